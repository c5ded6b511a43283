"""The environments of the two sides: apart from one another, and on the packages of the one that runs the gate."""

import sysconfig
from pathlib import Path

import pytest

from capratio.errors import InputError
from capratio.gate.build_side import SIDE, with_side
from capratio.gate.commits import GateCommit
from capratio.gate.environments import build_side
from capratio.gate.shared_packages import link_shared_packages


@pytest.mark.parametrize(
    "matrix, expected",
    [
        ({}, {"env": {SIDE: ["head"]}}),
        ({"torch": ["2.13.0"]}, {"req": {"torch": ["2.13.0"]}, "env": {SIDE: ["head"]}}),
        (
            {"req": {"torch": []}, "env": {"A": ["1"]}},
            {"req": {"torch": []}, "env": {"A": ["1"], SIDE: ["head"]}},
        ),
    ],
)
def test_each_side_has_an_environment_of_its_own_beside_what_the_matrix_says(
    matrix: dict[str, object], expected: dict[str, object]
) -> None:
    assert expected == with_side(matrix, "head")


def test_the_packages_that_are_installed_here_are_shared_but_for_the_project(tmp_path: Path) -> None:
    links = link_shared_packages(tmp_path / "links", "numpy")

    names = {entry.name for entry in links.iterdir()}
    assert {"torch", "scipy", "click"} <= names
    assert "numpy" not in names
    assert not {name for name in names if name.startswith("numpy-")}
    assert (links / "torch").resolve() == Path(sysconfig.get_path("purelib"), "torch").resolve()
    assert not [name for name in names if name.endswith(".pth")]


def test_a_project_that_is_not_installed_leaves_all_of_them(tmp_path: Path) -> None:
    names = {entry.name for entry in link_shared_packages(tmp_path, "nowhere-to-be-found").iterdir()}

    assert {"torch", "numpy"} <= names


def test_a_repository_without_a_configuration_is_told_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no asv\.conf\.json.*'capratio gate init' writes one"):
        build_side(tmp_path, tmp_path, "base", GateCommit("main", "a" * 40, "b" * 40))
