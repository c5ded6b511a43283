"""The cases of a gate: a case file of ours, or a user's layers, and what is wrong with either."""

from pathlib import Path

import pytest

from capratio.errors import InputError
from capratio.sweep.gate_cases import SAMPLING, read_gate_cases

REPOSITORY = Path(__file__).parents[2]


def written(folder: Path, text: str) -> Path:
    path = folder / "cases.toml"
    path.write_text(text)
    return path


def test_the_gate_of_this_repository_has_twenty_cases_of_every_layer() -> None:
    cases = read_gate_cases(REPOSITORY / "ci" / "gate_cases.toml")

    assert 20 == len({case.id for case in cases})
    layers = {case.described["point"]["layer"] for case in cases}
    assert {"dense", "tree-shared", "tree-unit", "tree-bias", "fast-feedforward"} == layers


def test_a_layer_of_ours_is_described_without_what_has_its_default_so_that_older_commits_know_every_key(
    tmp_path: Path,
) -> None:
    (case,) = read_gate_cases(written(tmp_path, "[[cases]]\nlayer = 'dense'\nin_features = 8"))

    assert "bias" not in case.described["point"]
    assert ("dense", 8) == (case.described["point"]["layer"], case.described["point"]["in_features"])


def test_a_users_layer_makes_a_case_for_each_value(tmp_path: Path) -> None:
    text = """
        [sampling]
        time_limit_s = 0.1

        [[layers]]
        layer = "package.layers:Gated"
        arguments = { width = 64, deep = true }
        in_features = 32
        tokens = [1, 64]
        pass = ["forward", "train"]
        threads = 2
    """

    cases = read_gate_cases(written(tmp_path, text))

    assert [
        "package.layers:Gated[deep=True,width=64]/p32/n1/float32/cpu/forward/t2",
        "package.layers:Gated[deep=True,width=64]/p32/n64/float32/cpu/forward/t2",
        "package.layers:Gated[deep=True,width=64]/p32/n1/float32/cpu/train/t2",
        "package.layers:Gated[deep=True,width=64]/p32/n64/float32/cpu/train/t2",
    ] == [case.id for case in cases]
    assert {"width": 64, "deep": True} == cases[0].described["layer"]["arguments"]
    assert {**SAMPLING, "time_limit_s": 0.1} == cases[0].sampling
    assert 2 == cases[0].threads


LAYER = "[[layers]]\nlayer = 'a:B'\nin_features = 4\n"


@pytest.mark.parametrize(
    "text, expected",
    [
        ("layers = 3", "layers is 3"),
        ("layers = [3]", "write a"),
        ("[[layers]]\nin_features = 4", "name it package.module:Class"),
        ("[[layers]]\nlayer = 'Gated'\nin_features = 4", "name it package.module:Class"),
        ("[[layers]]\nlayer = 'a:'\nin_features = 4", "name it package.module:Class"),
        ("[[layers]]\nlayer = 'a:B'", "has no in_features"),
        (LAYER + "arguments = 3", "arguments = 3; give a table"),
        (LAYER + "token = 3", "did you mean 'tokens'"),
        (LAYER + "tokens = 0", "are 1 or more"),
        (LAYER + "dtype = 'float33'", "did you mean 'float32'"),
        (LAYER + "pass = 'decode'", "is not known"),
        (LAYER + "[sampling]\nmin_samples = 0", "min_samples is 0"),
        (LAYER + "[sampling]\nsamples = 1", "is not known"),
        ("[[", "is not TOML"),
    ],
)
def test_a_file_that_is_not_right_is_refused_with_the_place(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        read_gate_cases(written(tmp_path, text))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_gate_cases(tmp_path / "nowhere.toml")
