"""A worker that is watched: its events, and each way in which it can die."""

from pathlib import Path

import pytest

from capratio.sweep.process import Death, run_process


def module(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> str:
    (folder / "worker_of_this_test.py").write_text(f"import os, sys, time, signal\n{body}\n")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return "worker_of_this_test"


def test_events_come_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = module(
        tmp_path, monkeypatch, "print('{\"said\": ' + sys.stdin.readline().strip() + '}'); print('{\"b\": 2}')"
    )

    assert [{"said": 7}, {"b": 2}] == list(run_process(name, "7", 1, 20))


def test_a_process_that_hangs_is_killed_and_timed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = module(tmp_path, monkeypatch, "print('{}', flush=True); time.sleep(600)")

    first, death = run_process(name, "", 1, 1.0)

    assert {} == first
    assert isinstance(death, Death)
    assert death.status == "timed-out"


def test_a_process_that_is_killed_has_crashed_by_its_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = module(tmp_path, monkeypatch, "os.kill(os.getpid(), signal.SIGKILL)")

    (death,) = run_process(name, "", 1, 20)

    assert isinstance(death, Death)
    assert ("crashed", "the process was ended by signal 9.") == (death.status, death.reason)


def test_what_a_dying_process_said_last_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = module(tmp_path, monkeypatch, "sys.exit('no table fits')")

    (death,) = run_process(name, "", 1, 20)

    assert isinstance(death, Death)
    assert "exit code 1: no table fits" in death.reason
