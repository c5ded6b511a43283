"""A worker that is watched: its events, and each way in which it can die."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import capratio
from capratio.sweep.process import run_process
from capratio.watched_process import Death, WatchedProcess


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


def test_a_worker_does_not_outlive_a_sweep_that_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = module(
        tmp_path,
        monkeypatch,
        "from capratio.sweep.parent import die_with_parent\n"
        "die_with_parent()\n"
        "print(f'{{\"pid\": {os.getpid()}}}', flush=True)\n"
        "time.sleep(600)",
    )
    script = (
        "from capratio.sweep.process import run_process\n"
        f"for event in run_process({name!r}, '', 1, 60): print(event['pid'], flush=True)"
    )
    sweep = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=paths(tmp_path))
    assert sweep.stdout is not None
    worker = int(sweep.stdout.readline())

    sweep.send_signal(signal.SIGKILL)
    sweep.wait()
    sweep.stdout.close()

    deadline = time.monotonic() + 20
    while is_running(worker) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(worker)


def paths(folder: Path) -> dict[str, str]:
    home = Path(capratio.__file__).parents[1]
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(home), str(folder)])}


def is_running(pid: int) -> bool:
    try:
        # A process that has ended waits as a zombie until someone asks.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


SAYS_ITS_NUMBER = "import json; print(json.dumps({'pid': os.getpid()}), flush=True)"


def test_a_process_that_is_paused_does_not_run_until_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = module(tmp_path, monkeypatch, f"{SAYS_ITS_NUMBER}; input(); print('{{}}')")

    with WatchedProcess([sys.executable, "-m", name], os.environ) as process:
        event = process.event(20)
        assert isinstance(event, dict)
        process.pause()
        state = Path(f"/proc/{event['pid']}/stat")
        while state.read_text().rpartition(") ")[2][0] != "T":
            time.sleep(0.01)
        process.tell("on")
        process.go_on()
        assert {} == process.event(20)


def test_a_process_ends_with_all_that_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = "import subprocess; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"
    name = module(tmp_path, monkeypatch, f"{child}\n{SAYS_ITS_NUMBER.replace('os.getpid()', 'child.pid')}; input()")

    with WatchedProcess([sys.executable, "-m", name], os.environ) as process:
        event = process.event(20)

    assert isinstance(event, dict)
    deadline = time.monotonic() + 20
    while is_running(event["pid"]) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(event["pid"])
