"""A user's module is named in a case file and known by its content; nothing of it is imported for that."""

import sys
from pathlib import Path

import pytest

from capratio.errors import InputError
from capratio.sweep.case_file import read_case_files
from capratio.sweep.identity import run_identity, same_identity
from capratio.sweep.observer import SilentObserver
from capratio.sweep.plan import plan
from capratio.sweep.runner import run_sweep
from capratio.sweep.user_sources import check_found, user_source_hash
from tests.sweep.user_module import CASES, NAME

pytestmark = pytest.mark.usefixtures("user_folder")


def test_reading_planning_and_naming_a_run_import_nothing_of_a_users_module(user_folder: Path) -> None:
    path = user_folder / "mine.toml"
    path.write_text(CASES)

    cases = read_case_files([path])
    planned = plan([path], None)
    identity = run_identity([path], cases, {})

    assert 3 == len(planned.cases)
    assert all(each.fits for each in planned.cases)
    assert identity["layers"] == {f"{NAME}:NotTwo": user_source_hash(f"{NAME}:NotTwo")}
    assert NAME not in sys.modules


def test_a_run_goes_on_with_a_layer_that_it_did_not_measure_before(user_folder: Path) -> None:
    one, other = user_folder / "one.toml", user_folder / "other.toml"
    one.write_text(CASES.replace("NotTwo", "TopOne"))
    other.write_text(CASES)
    known = run_identity([one, other], read_case_files([one]), {})

    widened = same_identity(known, run_identity([one, other], read_case_files([other]), {}), user_folder)

    layers = widened["layers"]
    assert isinstance(layers, dict)
    assert {f"{NAME}:NotTwo", f"{NAME}:TopOne"} == set(layers)


def test_any_file_of_a_package_is_the_layers_content(user_folder: Path) -> None:
    package = user_folder / "package_of_this_test"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "inner" / "layers.py").write_text("class A: ...")
    layer = "package_of_this_test.inner.layers:A"
    before = user_source_hash(layer)

    (package / "inner" / "more.py").write_text("")

    assert None not in (before, user_source_hash(layer))
    assert before != user_source_hash(layer)


@pytest.mark.parametrize("layer", ["nowhere_to_be_found:A", "time:A", "__main__:A"])
def test_a_layer_without_a_file_of_its_own_has_no_content(layer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # As of a script.
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)

    assert user_source_hash(layer) is None


def test_a_package_of_too_many_files_has_no_content(monkeypatch: pytest.MonkeyPatch) -> None:
    assert user_source_hash(f"{NAME}:TopOne") is not None

    monkeypatch.setattr("capratio.sweep.user_sources.MOST_FILES", 0)

    assert user_source_hash(f"{NAME}:TopOne") is None


def test_a_layer_that_is_nowhere_is_told_before_anything_is_measured(user_folder: Path) -> None:
    path, out = user_folder / "mine.toml", user_folder / "run"
    path.write_text(CASES.replace(f"{NAME}:NotTwo", "nowhere_to_be_found.layers:A"))

    with pytest.raises(
        InputError, match=r"nowhere_to_be_found\.layers:A cannot be found, so that nothing was measured"
    ):
        run_sweep([path], out, None, SilentObserver())

    assert not out.exists()


def test_layers_are_found_without_their_import(user_folder: Path) -> None:
    (user_folder / "package_of_this_test").mkdir()
    (user_folder / "package_of_this_test" / "__init__.py").write_text("raise RuntimeError('imported')")
    (user_folder / "folder_of_this_test").mkdir()
    (user_folder / "folder_of_this_test" / "layers.py").write_text("raise RuntimeError('imported')")

    # What a package has is its own to say.
    check_found([f"{NAME}:A", "time:A", "package_of_this_test.layers:A", "folder_of_this_test.layers:A", "torch.nn:A"])

    with pytest.raises(InputError, match=r"folder_of_this_test\.others:A and 1 layer more cannot be found"):
        check_found([f"{NAME}:A", "folder_of_this_test.others:A", "folder_of_this_test.others:B"])


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('routing = "uniform"', "nothing is known of a user's layer by which a routing could be imposed"),
        ('pass = "forward-grad"', "measured in the passes forward, decode and train"),
        ("out_features = 0", "out_features = 0; it must be at least 1"),
        ('pass = "decode"', "decoding is one token"),
        ("expected = [{ parameters = 3 }]", "expected"),
    ],
)
def test_what_no_users_layer_is_measured_with_is_refused_when_the_file_is_read(
    line: str, sentence: str, user_folder: Path
) -> None:
    path = user_folder / "mine.toml"
    path.write_text(f"{CASES}{line}\n")

    with pytest.raises(InputError, match=sentence) as caught:
        read_case_files([path])
    assert str(caught.value).startswith(f"{path}: cases[1]")


@pytest.mark.parametrize("name", [f"{NAME}.TopOne", ":TopOne", f"{NAME}:", "a:b:c"])
def test_a_layer_that_is_not_named_by_module_and_class_is_refused(name: str, user_folder: Path) -> None:
    path = user_folder / "mine.toml"
    path.write_text(CASES.replace(f"{NAME}:NotTwo", name))

    with pytest.raises(InputError, match=r"name a layer of yours package\.module:Class"):
        read_case_files([path])
