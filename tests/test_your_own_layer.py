"""The page about layers of one's own says what happens: its files are written, its commands run, its outputs come."""

import io
import json
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from capratio.cli.main import run
from capratio.sweep import worker
from capratio.sweep.job import decode_job

PAGE = (Path(__file__).parents[1] / "docs" / "your_own_layer.md").read_text(encoding="utf-8")
SECTIONS = {section.partition("\n")[0]: section for section in PAGE.split("\n## ")}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TRANSFORMERS = "An expert layer of Hugging Face's `transformers`"
MODULES = ("my_layers", "hf_layers")


@pytest.fixture(autouse=True)
def _in_this_folder_and_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One process a case, quickly sampled and without ceilings: how processes are watched is tested elsewhere."""

    def in_this_process(module: str, message: str, threads: int, limit_s: float) -> Iterator[dict[str, object]]:
        events = io.StringIO()
        worker.run_job(decode_job(message), events)
        return map(json.loads, events.getvalue().splitlines())

    monkeypatch.setattr("capratio.sweep.runner.run_process", in_this_process)
    monkeypatch.setattr("capratio.sweep.runner.with_limit", lambda record, ceilings: record)
    monkeypatch.setattr("capratio.sweep.ceilings.RunCeilings.refresh", lambda *_: None)
    monkeypatch.setattr("capratio.cli.sweep.REPLICATES", 1)
    monkeypatch.setattr(worker, "limit_memory", lambda: None)
    monkeypatch.chdir(tmp_path)
    # What a worker appends to the path is taken away again.
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for module in MODULES:
        sys.modules.pop(module, None)


def follow(text: str, capsys: pytest.CaptureFixture[str]) -> int:
    """Do what a part of the page says, and give the number of its commands."""
    shown, commands = "", 0
    for kind, content in BLOCK.findall(text):
        if kind in ("python", "toml"):
            name = content.partition("\n")[0].removeprefix("# ")
            Path(name).write_text(content.replace("replicates = 5", "replicates = 1"), encoding="utf-8")
        elif kind == "sh":
            shown = "".join(output_of(line, capsys) for line in content.splitlines())
            commands += len(content.splitlines())
        else:
            assert [] == [line for line in content.splitlines() if of_any_number(line) not in of_any_number(shown)]
    return commands


def of_any_number(text: str) -> str:
    """A text in one line, without how many replicates there are."""
    return " ".join(re.sub(r"\d+(?= measured,| records)", "some", text).split())


def output_of(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    command, _, comment = line.partition("  # exit code ")
    program, *arguments = shlex.split(command)
    if program == "python":
        runpy.run_path(arguments[0])
    else:
        assert ("capratio", int(comment or 0)) == (program, run(arguments))
    said = capsys.readouterr()
    return said.out + said.err


def test_everything_but_what_needs_another_package_is_as_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    rest = "\n## ".join(section for title, section in SECTIONS.items() if title != TRANSFORMERS)

    assert 13 == follow(rest, capsys)


def test_an_expert_layer_of_transformers_is_measured_as_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("transformers", reason="the page's example of transformers needs it")

    assert 1 == follow(SECTIONS[TRANSFORMERS], capsys)


def test_the_page_is_linked_where_newcomers_look() -> None:
    root = Path(__file__).parents[1]

    for name in ("README.md", "CONTRIBUTING.md", "docs/case_files.md"):
        assert "your_own_layer.md)" in (root / name).read_text(encoding="utf-8")
