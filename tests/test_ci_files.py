"""The files of ``ci/``: the workflow, step by step without GitHub, and the script that any CI can call."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from capratio.gate.policy import read_policy
from capratio.gate.starter import TEMPLATES
from capratio.sweep.gate_cases import read_gate_cases

ROOT = Path(__file__).parent.parent
CI = ROOT / "ci"
SCRIPTS = [CI / "gate.sh", ROOT / ".ci" / "run"]
# asv brings it.
yaml = pytest.importorskip("yaml")


@pytest.fixture(scope="module")
def workflow() -> dict[Any, Any]:
    """The workflow; YAML takes its key ``on`` for true."""
    read: dict[Any, Any] = yaml.safe_load((CI / "workflow.yml").read_text())
    return read


@pytest.fixture(scope="module")
def steps(workflow: dict[Any, Any]) -> dict[str, dict[str, Any]]:
    """Its steps by name, or by the action that they use."""
    return {step.get("name", step.get("uses")): step for step in workflow["jobs"]["gate"]["steps"]}


def bash(script: str, folder: Path, **environment: object) -> subprocess.CompletedProcess[str]:
    """A script as a runner runs it, where commands of ``folder/bin`` come first."""
    known = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "HOME": str(folder)}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    env = known | {name: str(value) for name, value in environment.items()}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def executable(path: Path, script: str) -> None:
    """A script of the shell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_the_policy_and_the_cases_of_this_repository_are_read() -> None:
    policy = read_policy(CI / "gate.toml")

    assert "gate_cases.toml" == policy.cases
    assert 20 == len(read_gate_cases(CI / "gate_cases.toml"))


def test_a_system_and_a_layer_of_ones_own_are_gated_together_as_the_page_says(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "gate.md").read_text(encoding="utf-8")
    (shown,) = (block for block in re.findall(r"^```toml\n(.*?)^```$", page, re.M | re.S) if "[[cases]]" in block)
    cases = tmp_path / "cases.toml"
    cases.write_text(shown, encoding="utf-8")

    assert [
        "moe-sparse[experts=8,hidden=64]/p64-q64-k0/n64/float32/cpu/forward/warm/text+measured/auto/t1",
        "mypackage.layers:Tree[features=64]/p64-q64-k0/n64/float32/cpu/forward/warm/text+measured/module/t1",
    ] == [case.id for case in read_gate_cases(cases)]


@pytest.mark.parametrize("name", ["gate.sh", "workflow.yml"])
def test_what_init_writes_is_the_file_of_ci_itself(name: str) -> None:
    assert (CI / name).resolve() == (TEMPLATES / name).resolve()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_bash(script: Path) -> None:
    assert 0 == subprocess.run(["bash", "-n", str(script)], check=False).returncode


def test_the_workflow_runs_on_pull_requests_and_can_be_called(workflow: dict[Any, Any]) -> None:
    inputs = workflow[True]["workflow_call"]["inputs"]

    assert {"pull_request", "workflow_call"} == workflow[True].keys()
    assert {
        "base", "policy", "strict", "time-limit", "install", "python-version", "runs-on", "comment"
    } == inputs.keys()  # fmt: skip
    assert all({"description", "type", "default"} == each.keys() for each in inputs.values())
    assert {"contents": "read", "pull-requests": "write"} == workflow["jobs"]["gate"]["permissions"]


def test_a_pull_request_which_gives_no_inputs_gets_their_defaults(workflow: dict[Any, Any]) -> None:
    inputs = workflow[True]["workflow_call"]["inputs"]
    fallbacks = re.findall(r"inputs\.([\w-]+) \|\| (?:'((?:[^']|'')*)'|(\w+)) }}", (CI / "workflow.yml").read_text())

    assert {"runs-on", "python-version", "install", "policy", "strict", "time-limit"} == {
        name for name, *_ in fallbacks
    }
    for name, text, word in fallbacks:
        assert str(inputs[name]["default"]).lower() == (text.replace("''", "'") or word)


def test_the_whole_history_is_fetched(steps: dict[str, dict[str, Any]]) -> None:
    assert 0 == steps["actions/checkout@v4"]["with"]["fetch-depth"]


def test_nothing_from_outside_is_pasted_into_a_script(steps: dict[str, dict[str, Any]]) -> None:
    scripts = [step["run"] for step in steps.values() if "run" in step]

    assert 5 == len(scripts)
    assert not [script for script in scripts if "${{" in script]
    assert all(0 == subprocess.run(["bash", "-n", "-c", script], check=False).returncode for script in scripts)


@pytest.mark.parametrize("strict, expected", [("true", " --strict"), ("false", "")])
def test_the_step_that_gates_keeps_the_exit_code_for_the_last_step(
    steps: dict[str, dict[str, Any]], tmp_path: Path, strict: str, expected: str
) -> None:
    executable(tmp_path / "ci" / "gate.sh", 'echo "$@"; exit 4')
    given = {"POLICY": "a policy.toml", "TIME_LIMIT": 5, "STRICT": strict, "GITHUB_OUTPUT": tmp_path / "output"}

    done = bash(steps["Gate"]["run"], tmp_path, **given)

    assert (0, f"--policy a policy.toml --time-limit 5{expected}\n") == (done.returncode, done.stdout)
    assert "code=4\n" == (tmp_path / "output").read_text()


@pytest.mark.parametrize(
    "code, strict, expected",
    [
        (0, "false", 0),
        (1, "false", 1),
        (2, "false", 2),
        (5, "false", 5),
        (4, "false", 0),
        (4, "true", 4),
        (3, "true", 3),
    ],
)
def test_void_is_red_under_strict_alone(
    steps: dict[str, dict[str, Any]], tmp_path: Path, code: int, strict: str, expected: int
) -> None:
    done = bash(steps["Verdict"]["run"], tmp_path, CODE=code, STRICT=strict)

    assert expected == done.returncode
    assert (code == 4 and not expected) == done.stdout.startswith("::warning title=gate::void")


@pytest.mark.parametrize(
    "earlier, expected",
    [
        ("", "api --silent COMMENTS/7/comments --field body=@"),
        ("11\n12", "api --silent --method PATCH COMMENTS/comments/11 --field body=@"),
    ],
)
def test_a_pull_request_has_one_comment(
    steps: dict[str, dict[str, Any]], tmp_path: Path, earlier: str, expected: str
) -> None:
    executable(tmp_path / "bin" / "gh", f'case "$*" in *paginate*) printf "{earlier}" ;; *) echo "$@" ;; esac')
    (tmp_path / "gate.md").write_text("**Passed**\n")
    given = {"GATE_OUT": tmp_path, "RUNNER_TEMP": tmp_path, "COMMENTS": "COMMENTS", "NUMBER": 7, "RUN": "the-run"}

    done = bash(steps["Comment"]["run"], tmp_path, **given)

    assert (0, f"{expected}{tmp_path}/comment.md\n") == (done.returncode, done.stdout)
    comment = (tmp_path / "comment.md").read_text()
    assert "<!-- capratio gate -->\n**Passed**\n\n\n[Page, blocks and logs](the-run)\n" == comment


def test_the_tail_of_a_long_answer_is_left_out_between_two_characters(
    steps: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    executable(tmp_path / "bin" / "gh", "exit 0")
    (tmp_path / "gate.md").write_text("a" + "─" * 40_000)
    given = {"GATE_OUT": tmp_path, "RUNNER_TEMP": tmp_path, "COMMENTS": "COMMENTS", "NUMBER": 7, "RUN": "the-run"}

    bash(steps["Comment"]["run"], tmp_path, **given)

    assert 19_999 == (tmp_path / "comment.md").read_text().count("─")


@pytest.fixture
def branched(tmp_path: Path) -> Path:
    """A checkout one commit away from ``main``, which went on; its ``capratio`` says what it is given."""
    script = "\n".join(
        [
            "git init --quiet --initial-branch main",
            "export GIT_AUTHOR_NAME=n GIT_AUTHOR_EMAIL=e GIT_COMMITTER_NAME=n GIT_COMMITTER_EMAIL=e",
            "git commit --quiet --allow-empty --message fork && git tag fork",
            "git checkout --quiet -b change && git commit --quiet --allow-empty --message change",
            "git checkout --quiet main && git commit --quiet --allow-empty --message later",
            "git checkout --quiet change",
        ]
    )
    done = bash(script, tmp_path)
    assert 0 == done.returncode, done.stderr
    executable(tmp_path / "bin" / "capratio", 'echo "$@"; echo "capratio: a sentence." >&2; exit 5')
    return tmp_path


def test_the_script_compares_with_the_merge_base_and_passes_the_code_on(branched: Path) -> None:
    fork = bash("git rev-parse --short=12 fork", branched).stdout.strip()

    done = bash(f"{CI / 'gate.sh'} --strict", branched)

    out = ".asv/gate/report/gate"
    paths = f"--markdown {out}.md --html {out}.html --json {out}.json --junit {out}.xml"
    assert (5, f"gate {fork} HEAD {paths} --strict\n") == (done.returncode, done.stdout)


def test_the_script_writes_why_nothing_was_decided(branched: Path) -> None:
    (branched / "out").mkdir()
    (branched / "out" / "gate.md").write_text("what an earlier run said")

    bash(str(CI / "gate.sh"), branched, GATE_OUT="out")

    told = (branched / "out" / "gate.md").read_text()
    assert "**The gate ended with exit code 5 and decided nothing.**\n\n    capratio: a sentence.\n" == told


@pytest.mark.parametrize(
    "variable", ["GATE_BASE", "GITHUB_BASE_REF", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "CHANGE_TARGET"]
)
def test_the_branch_that_a_ci_names_is_the_base(branched: Path, variable: str) -> None:
    done = bash(str(CI / "gate.sh"), branched, **{variable: "release"})

    assert (2, "") == (done.returncode, done.stdout)
    assert "'release' is no branch, tag or commit of this clone" in done.stderr


def test_the_branch_of_the_remote_is_taken_where_a_checkout_has_no_other(branched: Path) -> None:
    bash("git clone --quiet --branch change . clone", branched)

    done = bash(str(CI / "gate.sh"), branched / "clone", PATH=f"{branched / 'bin'}:{os.environ['PATH']}")

    assert 5 == done.returncode
    assert done.stdout.startswith(f"gate {bash('git rev-parse --short=12 fork', branched).stdout.strip()} ")


@pytest.mark.parametrize(
    "environment, sentence",
    [
        ({"GATE_BASE": "change"}, "'change' has "),
        ({"GATE_BASE": "HEAD~1", "GATE_HEAD": "none"}, "GATE_HEAD 'none' is no commit of this repository."),
    ],
)
def test_what_cannot_be_compared_is_2(branched: Path, environment: dict[str, str], sentence: str) -> None:
    done = bash(str(CI / "gate.sh"), branched, **environment)

    assert (2, "") == (done.returncode, done.stdout)
    assert f"gate.sh: {sentence}" in done.stderr


def test_a_shallow_clone_is_2_with_its_advice(branched: Path) -> None:
    bash(f"git clone --quiet --depth 1 file://{branched} shallow", branched)

    done = bash(str(CI / "gate.sh"), branched / "shallow", PATH=f"{branched / 'bin'}:{os.environ['PATH']}")

    assert (2, "") == (done.returncode, done.stdout)
    assert "the clone is shallow" in done.stderr
    assert "fetch-depth: 0" in done.stderr
