"""A case file is named by its path or by the name of a bundled one."""

from pathlib import Path

import pytest

from capratio.cli.case_names import case_files
from capratio.errors import InputError

BUNDLED = {"quick": Path("/package/quick.toml"), "tree": Path("/package/tree.toml")}


def test_a_name_means_a_bundled_file() -> None:
    assert [Path("/package/tree.toml"), Path("/package/quick.toml")] == case_files(["tree", "quick"], BUNDLED)


def test_a_path_means_itself_before_a_bundled_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("quick").write_text("")

    assert [Path("quick")] == case_files(["quick"], BUNDLED)


@pytest.mark.parametrize(
    "name, hint", [("quik", "did you mean 'quick'"), ("zzz.toml", "bundled case files are quick, tree")]
)
def test_another_name_is_refused_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(InputError, match=hint):
        case_files([name], BUNDLED)
