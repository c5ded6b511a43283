"""What tests of sweeps stand on: a user's module in the working directory, and workers without processes."""

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from capratio.sweep import worker
from capratio.sweep.job import decode_job
from tests.sweep.user_module import NAME, SOURCE


@pytest.fixture
def user_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory of a sweep, with a user's module in it."""
    (tmp_path / f"{NAME}.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    # What a worker appends to the path is taken away again.
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(worker, "limit_memory", lambda: None)
    yield tmp_path
    sys.modules.pop(NAME, None)


@pytest.fixture
def workers_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep whose jobs run here, without the seconds in which a process of its own would start."""

    def run_here(module: str, message: str, threads: int, limit_s: float) -> Iterator[dict[str, object]]:
        events = io.StringIO()
        worker.run_job(decode_job(message), events)
        return map(json.loads, events.getvalue().splitlines())

    monkeypatch.setattr("capratio.sweep.runner.run_process", run_here)
    monkeypatch.setattr(worker, "limit_memory", lambda: None)
