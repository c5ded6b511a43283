"""A sweep from a case file to records: measured, refused, failed, interrupted and continued."""

import json
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest

from capratio.errors import InputError
from capratio.records.store import read_run
from capratio.sweep import process, runner
from capratio.sweep.observer import SilentObserver
from capratio.sweep.runner import run_sweep
from capratio.watched_process import Death

CASES = """
name = "tiny"
replicates = 1
[sampling]
min_samples = 3
max_samples = 5
time_limit_s = 0.1
decode_tokens = 4
[defaults]
in_features = 9
out_features = 5
input = "gaussian"
[[cases]]
layer = "tree"
depth = 2
tokens = [0, 1, 6]
[[cases]]
layer = "tree"
depth = 2
tokens = 6
pass = "train"
[[cases]]
layer = "tree-unit"
form = "collapsed"
depth = 2
pass = "decode"
cache = "cold"
"""
# The limit of a case of nanoseconds is all noise of ceilings, so tests of the way of a record do without them.


def case_file(folder: Path, text: str = CASES) -> Path:
    path = folder / "tiny.toml"
    path.write_text(text)
    return path


@pytest.fixture
def _no_ceilings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capratio.sweep.runner.with_limit", lambda record, ceilings: record)
    monkeypatch.setattr("capratio.sweep.ceilings.RunCeilings.refresh", lambda *_: None)


@pytest.mark.usefixtures("_no_ceilings")
def test_every_case_gives_a_record_and_a_second_sweep_measures_nothing(tmp_path: Path) -> None:
    path, out = case_file(tmp_path), tmp_path / "run"

    first = run_sweep([path], out, None, SilentObserver())
    second = run_sweep([path], out, None, SilentObserver())

    records = read_run(out).records
    assert [] == [(record.case, record.reason) for record in records if not record.measured]
    assert (5, 0) == (first.measured, first.skipped)
    assert (0, 5) == (second.measured, second.skipped)
    train = next(record for record in records if record.point.pass_ == "train")
    assert train.exact is not None
    assert train.exact.flop == train.exact.promised_flop
    # Three products of 2·6·9·5: forward, to the input, to the weights.
    assert 3 * 540 == train.exact.flop["product"]


@pytest.mark.usefixtures("workers_in_this_process")
def test_a_batch_without_tokens_has_a_time_and_no_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capratio.sweep.ceilings.RunCeilings.refresh", lambda *_: None)
    path, out = case_file(tmp_path), tmp_path / "run"

    outcome = run_sweep([path], out, "*/n0/*", SilentObserver())

    assert (1, []) == (outcome.measured, outcome.failed)
    assert [None] == [record.limit for record in read_run(out).records]


@pytest.mark.usefixtures("_no_ceilings", "workers_in_this_process")
def test_processes_of_a_run_that_goes_on_are_numbered_on(tmp_path: Path) -> None:
    path, out = case_file(tmp_path), tmp_path / "run"
    run_sweep([path], out, "*/decode/*", SilentObserver())
    run_sweep([path], out, "*/n0/*", SilentObserver())

    assert [0, 1] == [record.block for record in read_run(out).records]


@pytest.mark.usefixtures("_no_ceilings", "workers_in_this_process")
def test_a_torn_record_is_measured_again(tmp_path: Path) -> None:
    path, out = case_file(tmp_path), tmp_path / "run"
    run_sweep([path], out, "*/decode/*", SilentObserver())
    lines = (out / "records.jsonl").read_bytes()
    (out / "records.jsonl").write_bytes(lines[: len(lines) // 2])

    again = run_sweep([path], out, "*/decode/*", SilentObserver())

    assert 1 == again.measured
    assert 1 == len(read_run(out).records)


@pytest.mark.usefixtures("_no_ceilings", "workers_in_this_process")
def test_a_run_refuses_other_content_and_other_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, out = case_file(tmp_path), tmp_path / "run"
    run_sweep([path], out, "*/decode/*", SilentObserver())

    case_file(tmp_path, CASES + "\n# changed")
    with pytest.raises(InputError, match=r"other content \(case_files: tiny.toml\)"):
        run_sweep([path], out, None, SilentObserver())

    case_file(tmp_path)
    monkeypatch.setattr(runner, "machine_identity", lambda: {"cpu": "another"})
    with pytest.raises(InputError, match=r"other content \(machine: .*cpu"):
        run_sweep([path], out, None, SilentObserver())
    assert 1 == len(read_run(out).records)


@pytest.mark.usefixtures("_no_ceilings", "workers_in_this_process")
def test_a_run_goes_on_with_cases_of_another_input(tmp_path: Path) -> None:
    more = '[[cases]]\nlayer = "dense"\ninput = "text"\n'
    path, out = case_file(tmp_path, CASES + more), tmp_path / "run"
    run_sweep([path], out, "*/decode/*", SilentObserver())

    outcome = run_sweep([path], out, "dense*", SilentObserver())

    assert 1 == outcome.measured
    assert {"gaussian", "text"} == set(read_run(out).machine["identity"]["corpora"])


@pytest.mark.usefixtures("_no_ceilings")
def test_a_sweep_that_goes_on_tells_what_failed_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, out = case_file(tmp_path), tmp_path / "run"
    monkeypatch.setattr(runner, "free_memory_bytes", lambda: 2**20)
    first = run_sweep([path], out, "*/decode/*", SilentObserver())

    second = run_sweep([path], out, "*/decode/*", SilentObserver())

    assert (1, 0) == (len(first.failed), len(first.failed_before))
    assert (0, 1) == (len(second.failed), len(second.failed_before))
    assert (0, 0) == (second.measured, second.skipped)


@pytest.mark.usefixtures("_no_ceilings", "workers_in_this_process")
def test_a_run_keeps_what_was_planned_and_what_its_files_say(tmp_path: Path) -> None:
    path, out = case_file(tmp_path, 'title = "Small trees"\n' + CASES), tmp_path / "run"

    run_sweep([path], out, "*/decode/*", SilentObserver())

    run = read_run(out)
    assert [1] == list((run.planned or {}).values())
    assert [("tiny", "Small trees")] == [(suite["name"], suite["title"]) for suite in run.machine["suites"]]


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(InputError, match="holds no run"):
        run_sweep([case_file(tmp_path)], tmp_path, None, SilentObserver())


def test_a_sweep_on_cuda_is_refused_where_torch_finds_no_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)

    with pytest.raises(InputError, match="finds no CUDA device here; measure on the CPU, or install"):
        run_sweep([case_file(tmp_path)], tmp_path / "run", None, SilentObserver(), device="cuda")

    assert not (tmp_path / "run").exists()


def test_a_case_beyond_the_free_memory_is_refused_before_a_process_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "free_memory_bytes", lambda: 2**20)
    monkeypatch.setattr(runner, "run_process", lambda *_: pytest.fail("a process was started"))

    outcome = run_sweep([case_file(tmp_path)], tmp_path / "run", None, SilentObserver())

    assert {"refused"} == {status for _, _, status, _ in outcome.failed}
    assert all("nothing was allocated" in reason for *_, reason in outcome.failed)
    assert 5 == len(read_run(tmp_path / "run").records)


@pytest.mark.usefixtures("_no_ceilings")
def test_a_case_that_kills_its_process_is_a_record_and_the_rest_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = process.run_process
    started = []

    def crash_once(module: str, message: str, threads: int, limit_s: float) -> object:
        started.append(message)
        if len(started) > 1:
            return real(module, message, threads, limit_s)
        first = json.loads(message)["cases"][0]
        return iter([{"starts": str(first)}, Death("crashed", "the process was ended by signal 11.")])

    monkeypatch.setattr(runner, "run_process", crash_once)

    outcome = run_sweep([case_file(tmp_path)], tmp_path / "run", None, SilentObserver())

    assert ["crashed"] == [status for _, _, status, _ in outcome.failed]
    assert 4 == outcome.measured
    assert 5 == len(read_run(tmp_path / "run").records)


@pytest.mark.usefixtures("_no_ceilings")
@pytest.mark.parametrize("status", ["crashed", "timed-out"])
def test_a_process_that_ends_badly_after_its_last_record_has_lost_none(
    status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = process.run_process

    def dies_at_its_end(module: str, message: str, threads: int, limit_s: float) -> object:
        yield from real(module, message, threads, limit_s)
        yield Death(status, "the process ended with exit code 3.")

    monkeypatch.setattr(runner, "run_process", dies_at_its_end)

    outcome = run_sweep([case_file(tmp_path)], tmp_path / "run", "*/decode/*", SilentObserver())

    assert (1, []) == (outcome.measured, outcome.failed)
    assert ["measured"] == [record.status for record in read_run(tmp_path / "run").records]


@pytest.mark.usefixtures("_no_ceilings", "workers_in_this_process")
@pytest.mark.parametrize("ending", [[], [Death("crashed", "the process was ended by signal 6.")]])
def test_what_a_process_leaves_behind_a_record_is_measured_by_a_fresh_one(
    ending: list[Death], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = vars(runner)["run_process"]
    jobs = []

    def one_case(module: str, message: str, threads: int, limit_s: float) -> object:
        jobs.append(len(json.loads(message)["cases"]))
        yield from islice(whole(module, message, threads, limit_s), 2)
        yield from ending

    monkeypatch.setattr(runner, "run_process", one_case)

    outcome = run_sweep([case_file(tmp_path)], tmp_path / "run", "tree-shared*", SilentObserver())

    assert [4, 3, 2, 1] == jobs
    assert (4, []) == (outcome.measured, outcome.failed)


@pytest.mark.usefixtures("_no_ceilings")
def test_a_process_that_says_nothing_at_all_is_a_record_of_each_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "run_process", lambda *_: iter([]))

    outcome = run_sweep([case_file(tmp_path)], tmp_path / "run", "tree-shared*", SilentObserver())

    assert ["crashed"] * 4 == [status for _, _, status, _ in outcome.failed]


def test_a_sweep_killed_in_the_middle_loses_nothing_that_it_had_measured(tmp_path: Path) -> None:
    path, out = case_file(tmp_path), tmp_path / "run"
    script = (
        "from pathlib import Path\n"
        "from capratio.sweep import runner\n"
        "from capratio.sweep.observer import SilentObserver\n"
        "runner.with_limit = lambda record, ceilings: record\n"
        "runner.RunCeilings.refresh = lambda *_: None\n"
        f"runner.run_sweep([Path({str(path)!r})], Path({str(out)!r}), None, SilentObserver())\n"
    )
    sweep = subprocess.Popen([sys.executable, "-c", script], cwd=Path(runner.__file__).parents[2])
    records = out / "records.jsonl"
    deadline = time.monotonic() + 60
    while not (records.exists() and records.read_bytes().count(b"\n")) and time.monotonic() < deadline:
        time.sleep(0.02)
    sweep.send_signal(signal.SIGKILL)
    sweep.wait()
    kept = read_run(out).records
    assert kept

    script_again = subprocess.run([sys.executable, "-c", script], cwd=Path(runner.__file__).parents[2], check=True)

    after = read_run(out).records
    assert 0 == script_again.returncode
    assert tuple(kept) == after[: len(kept)]
    assert 5 == len({(record.case, record.replicate) for record in after}) == len(after)
