"""``capratio gate init``: the gate's readers accept what it writes, and nothing that is there is overwritten."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from capratio.cli.main import run
from capratio.gate.policy import Policy, read_policy
from capratio.gate.starter import FILES
from capratio.sweep.gate_cases import read_gate_cases


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository of a project, with no commit yet."""
    subprocess.run(["git", "init", "--quiet", "--initial-branch", "trunk", str(tmp_path)], check=True)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "wide-layers"\nversion = "1"\n')
    return tmp_path


def init(repository: Path, *options: str) -> int:
    """The exit code of ``capratio gate init`` in a folder."""
    return run(["gate", "init", "--folder", str(repository), *options])


def test_every_file_is_written_and_listed(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == init(repository)

    told = capsys.readouterr().out
    assert all((repository / file).is_file() and f"written            {file}\n" in told for file in FILES)
    assert "Next:\n  1. say in ci/gate_cases.toml how each layer is built" in told


def test_the_policy_is_the_gates_default_and_names_the_cases(repository: Path) -> None:
    init(repository)

    policy = read_policy(repository / "ci" / "gate.toml")
    assert Policy(cases="gate_cases.toml") == policy


def test_the_example_of_a_budget_is_accepted_when_its_comment_is_taken_away(repository: Path) -> None:
    init(repository)
    path = repository / "ci" / "gate.toml"
    text, example = path.read_text().split("# [[budgets]]")
    path.write_text(text + "[[budgets]]" + example.replace("\n# ", "\n"))

    (budget,) = read_policy(path).budgets

    assert ("*/n1/*", "latency", 0.05) == (budget.cases, budget.quantity, budget.budget)


def test_each_layer_is_a_table_that_the_gate_reads(repository: Path) -> None:
    init(repository, "--layer", "wide.layers:Wide", "--layer", "wide:Narrow")

    cases = read_gate_cases(repository / "ci" / "gate_cases.toml")
    assert [
        f"{layer}/p256/n{tokens}/float32/cpu/forward"
        for layer in ("wide.layers:Wide", "wide:Narrow")
        for tokens in (1, 64)
    ] == [case.id for case in cases]


def test_without_a_layer_a_name_is_there_to_be_replaced(repository: Path) -> None:
    init(repository)

    cases = read_gate_cases(repository / "ci" / "gate_cases.toml")
    assert {"wide_layers.module:Class"} == {case.id.partition("/")[0] for case in cases}


def test_asv_is_told_the_project_and_the_branch(repository: Path) -> None:
    init(repository)

    config = json.loads((repository / "asv.conf.json").read_text())
    assert ("wide-layers", ["trunk"], ".") == (config["project"], config["branches"], config["repo"])


def test_asv_builds_as_it_builds_capratio(repository: Path) -> None:
    init(repository)

    ours = json.loads((Path(__file__).parents[2] / "asv.conf.json").read_text())
    theirs = json.loads((repository / "asv.conf.json").read_text())
    different = {key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)}
    assert {"project", "branches", "benchmark_dir"} == different


def test_the_script_can_be_executed(repository: Path) -> None:
    init(repository)

    assert os.access(repository / "ci" / "gate.sh", os.X_OK)


def test_a_file_that_is_there_is_left_and_said_so(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "asv.conf.json").write_text("mine")

    assert 0 == init(repository)

    told = capsys.readouterr().out
    assert "mine" == (repository / "asv.conf.json").read_text()
    assert "was there, is left asv.conf.json\n" in told
    assert "written            ci/gate.toml\n" in told


def test_a_second_init_changes_nothing(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init(repository)
    capsys.readouterr()
    before = {file: (repository / file).read_bytes() for file in FILES}

    assert 0 == init(repository, "--layer", "other:Layer")

    assert before == {file: (repository / file).read_bytes() for file in FILES}
    assert "written            " not in capsys.readouterr().out


def test_a_folder_inside_the_repository_stands_for_its_root(repository: Path) -> None:
    (repository / "inside").mkdir()

    assert 0 == init(repository / "inside")

    assert (repository / "ci" / "gate.toml").is_file()


def test_a_project_of_setup_py_is_named_by_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "old_layers"
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    (folder / "setup.py").write_text("")

    assert 0 == init(folder)

    assert "old_layers" == json.loads((folder / "asv.conf.json").read_text())["project"]


@pytest.mark.parametrize("layer", ["layers.Wide", "layers:", ":Wide", 'a:B"\n', "a b:C", "a..b:C"])
def test_a_layer_of_another_form_writes_nothing_and_is_2(
    repository: Path, layer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 2 == init(repository, "--layer", layer)

    assert "name it package.module:Class" in capsys.readouterr().err
    assert not (repository / "ci").exists()


def test_outside_a_repository_it_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pyproject.toml").write_text("")

    assert 2 == init(tmp_path)

    assert "is in no git repository" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content, sentence", [(None, "has no pyproject.toml and no setup.py"), ("name =", "is not TOML")]
)
def test_a_repository_without_a_project_is_2(
    repository: Path, content: str | None, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "pyproject.toml").unlink()
    if content is not None:
        (repository / "pyproject.toml").write_text(content)

    assert 2 == init(repository)

    assert sentence in capsys.readouterr().err
