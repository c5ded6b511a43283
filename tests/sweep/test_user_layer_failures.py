"""A user's module that cannot be measured: a record with one sentence that says why."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from capratio.records.record import Record
from capratio.records.store import read_run
from capratio.sweep import worker
from capratio.sweep.case_group import SWEPT_WORDS
from capratio.sweep.observer import SilentObserver
from capratio.sweep.runner import run_sweep
from tests.sweep.user_module import CASES, GOOD, LINEAR, NAME, measured

pytestmark = pytest.mark.usefixtures("user_folder")


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that every machine has, torch's meta, stands for a GPU: its free memory is not asked for."""
    monkeypatch.setattr(worker, "refuse_beyond_device", lambda point: None)
    monkeypatch.setattr(worker, "device_answers", lambda: True)


def assert_one_sentence(record: Record, pattern: str) -> None:
    assert record.reason is not None
    assert "\n" not in record.reason
    assert re.search(pattern, record.reason)


@pytest.mark.parametrize(
    ("name", "options", "changed", "sentence"),
    [
        ("TopOne", {"features": "8", "expert": "3"}, {}, "cannot be built with .*unexpected keyword argument 'expert'"),
        ("TopOne", {"features": "8"}, {}, "cannot be built with .*missing 1 required positional argument: 'experts'"),
        ("TopOne", {"features": "8", "experts": "many"}, {}, "cannot be built with .*'many'"),
        ("TopTwo", {}, {}, rf"{NAME}.* has no class or function 'TopTwo'; name the layer package.module:Class"),
        ("SOURCE", {}, {}, "has no class or function"),
        ("number", {}, {}, "gave int; an nn.Module is expected"),
        (
            "TopOne",
            {"features": "8", "experts": "3"},
            {"out_features": 9},
            r"shape \(6, 8\) .*; the case says \(6, 9\)",
        ),
        ("TopOne", {"features": "9", "experts": "3"}, {}, r"TopOne does not take an input of shape \(6, 8\)"),
        ("TwoInputs", LINEAR, {}, "does not take an input .*missing 1 required positional argument: 'mask'"),
        ("NoHalf", LINEAR, {"dtype": "float16"}, "torch.float16 on cpu: no kernel is there for torch.float16"),
        ("NoHalf", LINEAR, {"dtype": "bfloat16"}, "torch.bfloat16 on cpu: no kernel is there for torch.bfloat16"),
        (
            "Fixed",
            LINEAR,
            {},
            "cannot be moved to float32 on cpu .NotImplementedError: quantized weights are not converted",
        ),
        ("Raising", {"error": "assertion"}, {}, "does not take an input .*AssertionError: it went wrong"),
        ("Raising", {"error": "key"}, {}, "does not take an input .*it went wrong"),
        ("Raising", {"error": "attribute"}, {}, "does not take an input .*AttributeError: it went wrong"),
        ("Raising", {"error": "nothing"}, {}, "torch.float32 on cpu: AssertionError$"),
        ("Leaving", {"where": "constructor"}, {}, "cannot be built with .*SystemExit: 0"),
        ("Leaving", {"where": "call"}, {}, "does not take an input .*SystemExit: it leaves"),
        ("Sequence", LINEAR, {}, r"does not take an input of shape \(6, 8\), .*not enough values to unpack"),
        ("Double", LINEAR, {}, "an output of torch.float64 for an input of torch.float32; the case says float32"),
        ("Detached", LINEAR, {"pass_": "train"}, "the module's output has no gradient"),
        ("Pair", LINEAR, {}, "the module returned tuple; one tensor .* wrap it in a module that gives that one"),
        ("Pair", LINEAR, {"pass_": "train"}, "the module returned tuple; one tensor"),
        ("Threads", LINEAR, {}, "asks for threads = 1 and torch ran on 2"),
    ],
)
def test_what_a_layer_does_not_take_or_give_is_a_record_with_one_sentence(
    name: str, options: dict[str, str], changed: dict[str, Any], sentence: str
) -> None:
    before = torch.get_num_threads()
    try:
        (record,) = measured(replace(GOOD, layer=f"{NAME}:{name}", options=options, **changed))
    finally:
        torch.set_num_threads(before)

    assert ("failed", None, None) == (record.status, record.timing, record.exact)
    assert_one_sentence(record, sentence)


@pytest.mark.parametrize(
    ("name", "options", "pass_", "sentence"),
    [
        ("Noisy", LINEAR, "forward", "the output changes from call to call.* keep what a call changes in buffers"),
        ("Greedy", {}, "forward", "the module changes its own input"),
        ("NotANumber", {}, "forward", "the output holds NaN"),
    ],
)
def test_an_answer_that_cannot_be_repeated_has_no_time(
    name: str, options: dict[str, str], pass_: str, sentence: str
) -> None:
    (record,) = measured(replace(GOOD, layer=f"{NAME}:{name}", options=options, pass_=pass_))

    assert ("wrong", None, None) == (record.status, record.timing, record.exact)
    assert_one_sentence(record, sentence)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (None, f"{NAME} cannot be imported .ModuleNotFoundError: No module named '{NAME}'.; see that it is installed"),
        ("class TopOne(", f"{NAME} cannot be imported .SyntaxError"),
        ("raise RuntimeError('no licence')", f"{NAME} cannot be imported .RuntimeError: no licence"),
        ("import sys\nsys.exit(0)", f"{NAME} cannot be imported .SystemExit: 0"),
    ],
)
def test_a_module_that_cannot_be_imported_is_a_record(source: str | None, sentence: str, user_folder: Path) -> None:
    (user_folder / f"{NAME}.py").unlink()
    if source is not None:
        (user_folder / f"{NAME}.py").write_text(source)

    (record,) = measured(GOOD)

    assert "failed" == record.status
    assert_one_sentence(record, sentence)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("Stranded", {"features": "8"}, r"Stranded does not take an input of shape \(6, 8\), torch.float32 on meta: "),
        ("Settled", LINEAR, "Settled cannot be moved to float32 on meta .AssertionError: no kernel is built for meta"),
    ],
)
@pytest.mark.usefixtures("elsewhere")
def test_a_layer_that_fails_on_the_device_that_is_asked_for_is_a_record_with_one_sentence(
    name: str, options: dict[str, str], sentence: str
) -> None:
    (record,) = measured(replace(GOOD, layer=f"{NAME}:{name}", options=options, device="meta"))

    assert ("failed", None, None) == (record.status, record.timing, record.exact)
    assert_one_sentence(record, sentence)


@pytest.mark.cuda
def test_a_layer_that_leaves_a_tensor_on_the_host_is_such_a_record_on_a_gpu() -> None:
    stranded = replace(GOOD, layer=f"{NAME}:Stranded", options={"features": "8"}, device="cuda")

    (record,) = measured(stranded)

    assert "failed" == record.status
    assert_one_sentence(record, r"Stranded does not take an input of shape \(6, 8\), torch.float32 on cuda:0: ")


@pytest.mark.parametrize("answers", [True, False])
@pytest.mark.usefixtures("elsewhere")
def test_a_job_ends_behind_a_failure_where_the_device_no_longer_answers(
    answers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "device_answers", lambda: answers)
    stranded = replace(GOOD, layer=f"{NAME}:Stranded", options={"features": "8"}, device="meta")

    records = measured(stranded, replace(stranded, tokens=3))

    assert ["failed"] * (2 if answers else 1) == [record.status for record in records]


@pytest.mark.cuda
def test_a_kernel_that_fails_takes_no_other_case_with_it(user_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capratio.sweep.runner.with_limit", lambda record, ceilings: record)
    monkeypatch.setattr("capratio.sweep.ceilings.RunCeilings.refresh", lambda *_: None)
    text = CASES.replace("NotTwo", "Beyond").replace("options = { in_features = 8, out_features = 8 }", "")
    path, out = user_folder / "mine.toml", user_folder / "run"
    path.write_text(text)

    run_sweep([path], out, None, SilentObserver(), device="cuda")

    records = {record.point.tokens: record for record in read_run(out).records}
    assert {1: "measured", 2: "failed", 3: "measured"} == {at: record.status for at, record in records.items()}
    assert_one_sentence(records[2], "device-side assert")


@pytest.mark.usefixtures("elsewhere", "workers_in_this_process")
@pytest.mark.parametrize(
    ("name", "options"), [("Stranded", "features = 8"), ("Settled", "in_features = 8, out_features = 8")]
)
def test_a_sweep_goes_on_where_a_layer_fails_on_one_device(
    name: str, options: str, user_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SWEPT_WORDS, "device", ("cpu", "meta"))
    monkeypatch.setattr("capratio.sweep.runner.with_limit", lambda record, ceilings: record)
    monkeypatch.setattr("capratio.sweep.ceilings.RunCeilings.refresh", lambda *_: None)
    text = CASES.replace("NotTwo", name).replace("in_features = 8, out_features = 8", options)
    path, out = user_folder / "mine.toml", user_folder / "run"
    path.write_text(text.replace('input = "gaussian"', 'input = "gaussian"\ndevice = ["meta", "cpu"]'))

    outcome = run_sweep([path], out, None, SilentObserver())

    assert (3, 3) == (outcome.measured, len(outcome.failed))
    assert {("meta", "failed"), ("cpu", "measured")} == {
        (record.point.device, record.status) for record in read_run(out).records
    }


def test_memory_that_runs_out_while_a_layer_is_built_is_told_so() -> None:
    (record,) = measured(replace(GOOD, layer=f"{NAME}:Endless", options=None))

    assert "out-of-memory" == record.status
