"""A system's case made ready and verified: what it draws, looks up and decodes is the same in every sample."""

import io
import json
from dataclasses import replace
from typing import Any

import pytest
import torch

from capratio.cost.systems.contract import Visits
from capratio.errors import InputError
from capratio.layers.conditional_layer import ConditionalLayer
from capratio.layers.memory_table import MemoryTable
from capratio.layers.table_lookups import Found, SignHash
from capratio.records.codec import decode
from capratio.records.record import Exact, Point, Record
from capratio.sweep import worker
from capratio.sweep.case import Case, Sampling
from capratio.sweep.job import Job
from capratio.sweep.measure_case import count_exactly
from capratio.sweep.prepare import build_layer, prepare_trial
from capratio.sweep.system_trial import SystemCall
from capratio.sweep.trial import Trial
from capratio.sweep.verify import WrongAnswerError
from tests.sweep.points import POINT

QUICK = Sampling(min_samples=3, max_samples=3, time_limit_s=0.02, decode_tokens=4)
TABLE = replace(
    POINT, layer="memory-table", in_features=24, out_features=24, depth=0, input="text", options={"entries": "32"}
)
MIXTURE = replace(TABLE, layer="moe-sparse", options={"experts": "4", "hidden": "8"}, pass_="train")
LOOKUPS: dict[str, dict[str, str]] = {
    "ids": {"lookup": "ids"},
    "sign-lsh": {},
    "euclidean-lsh": {"lookup": "euclidean-lsh"},
    "softmax": {"lookup": "softmax", "consumption": "expert"},
}
PASSES = [("forward", 6), ("forward-grad", 6), ("decode", 1), ("train", 6)]


@pytest.fixture(autouse=True)
def _free_memory_of_the_test_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "limit_memory", lambda: None)


def case_of(point: Point) -> Case:
    return Case(point, "suite", "group", 1, sampling=QUICK)


def measured(*points: Point) -> list[Record]:
    events = io.StringIO()
    worker.run_job(Job(tuple(map(case_of, points)), replicate=0, block=0, run_started_s=0.0), events)
    said = [json.loads(line) for line in events.getvalue().splitlines()]
    return [decode(event["record"]) for event in said if "record" in event]


def prepared(point: Point) -> tuple[ConditionalLayer, Trial]:
    layer = build_layer(point, seed=1)
    assert isinstance(layer, ConditionalLayer)
    return layer, prepare_trial(layer, case_of(point), seed=1)


def counted(point: Point) -> Exact:
    """What one sample executes; raises where it differs from the closed form."""
    layer, trial = prepared(point)
    return count_exactly(layer, trial, case_of(point))


@pytest.mark.parametrize(("pass_", "tokens"), PASSES)
@pytest.mark.parametrize("lookup", LOOKUPS)
def test_every_look_up_and_pass_is_verified_and_counted(lookup: str, pass_: str, tokens: int) -> None:
    point = replace(TABLE, pass_=pass_, tokens=tokens, options={"entries": "32"} | LOOKUPS[lookup])

    exact = counted(point)

    assert exact.flop == exact.promised_flop
    # A decode sample is one token; two entries of the table by softmax, one by all others.
    assert {"entries"} == set(exact.visits or {})
    assert 1 <= (exact.visits or {})["entries"] <= tokens * (2 if lookup == "softmax" else 1)


@pytest.mark.parametrize("options", [LOOKUPS["ids"], LOOKUPS["sign-lsh"], LOOKUPS["softmax"]])
@pytest.mark.parametrize(("routing", "fewest", "most"), [("single", 1, 2), ("uniform", 25, 32)])
def test_an_imposed_routing_decides_how_many_entries_are_visited(
    routing: str, fewest: int, most: int, options: dict[str, str]
) -> None:
    point = replace(TABLE, in_features=256, out_features=256, tokens=200, routing=routing)

    exact = counted(replace(point, options={"entries": "32"} | options))

    assert fewest <= (exact.visits or {})["entries"] <= most


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"input": "gaussian", "options": {"lookup": "ids"}}, "'gaussian' has no token ids"),
        ({"routing": "uniform", "options": {"lookup": "euclidean-lsh"}}, "and lookup=euclidean-lsh, whose choices no"),
    ],
)
def test_what_a_layer_cannot_be_given_is_refused_in_a_sentence(changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        prepared(replace(TABLE, **changed))


@pytest.mark.parametrize(("pass_", "tokens"), PASSES)
def test_a_row_off_by_one_is_told(pass_: str, tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    right = MemoryTable.state_dict

    def one_row_on(self: MemoryTable) -> dict[str, torch.Tensor]:
        state = dict(right(self))
        return state | {"consumption.table": state["consumption.table"].roll(1, 0)}

    monkeypatch.setattr(MemoryTable, "state_dict", one_row_on)

    with pytest.raises(WrongAnswerError, match=r"the output is .* tolerances away from the float64 reference"):
        prepared(replace(TABLE, pass_=pass_, tokens=tokens))


@pytest.mark.parametrize(("pass_", "tokens"), PASSES)
def test_an_entry_off_by_one_is_told(pass_: str, tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    right = SignHash.forward

    def next_entry(self: SignHash, x: torch.Tensor, ids: torch.Tensor | None, backend: str) -> Found:
        return Found((right(self, x, ids, backend).rows + 1) % self.entries)

    monkeypatch.setattr(SignHash, "forward", next_entry)

    with pytest.raises(WrongAnswerError, match="a choice differs from the float64 reference: token 0 goes to entry"):
        prepared(replace(TABLE, pass_=pass_, tokens=tokens))


def test_a_gradient_of_another_row_has_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    right = MemoryTable.reset_parameters

    def spoilt(self: MemoryTable) -> None:
        right(self)
        self.get_parameter("consumption.table").register_hook(  # type: ignore[no-untyped-call]
            lambda gradient: gradient.roll(1, 0)
        )

    monkeypatch.setattr(MemoryTable, "reset_parameters", spoilt)

    (record,) = measured(replace(TABLE, pass_="train"))

    assert ("wrong", None) == (record.status, record.timing)
    assert "the gradient of consumption.table at" in (record.reason or "")


def test_decoding_gives_one_token_after_the_other_and_holds_each_against_its_own_answer() -> None:
    layer, trial = prepared(replace(TABLE, pass_="decode", tokens=1))
    whole = prepare_trial(layer, case_of(replace(TABLE, tokens=QUICK.decode_tokens)), seed=1)

    tokens = [trial.prepare(sample) for sample in range(2 * QUICK.decode_tokens)]
    outputs = [trial.call(token) for token in tokens]

    assert [(1, 24)] * len(tokens) == [tuple(token.x.shape) for token in tokens]
    every = whole.call(whole.prepare(0))
    for sample, out in enumerate(outputs):
        torch.testing.assert_close(every[sample % QUICK.decode_tokens], out[0])
        trial.check(sample, out)
    with pytest.raises(WrongAnswerError, match="the output differs"):
        trial.check(1, outputs[0])


def test_of_decoded_tokens_that_differ_in_work_one_of_median_work_is_counted() -> None:
    options = {"hidden": "16", "blocks": "8", "rate": "0.5"}
    case = case_of(replace(TABLE, layer="block-policy", pass_="decode", tokens=1, options=options))
    case = replace(case, sampling=replace(QUICK, decode_tokens=5))
    layer = build_layer(case.point, seed=1)
    assert isinstance(layer, ConditionalLayer)
    trial = prepare_trial(layer, case, seed=1)
    assert isinstance(trial.call, SystemCall)
    assert isinstance(trial.visited, Visits)
    outcomes = [trial.call.outcome(trial.prepare(token)) for token in range(5)]
    live = [layer.visits(outcome.decisions)["live_blocks"] for outcome in outcomes]

    assert len(set(live)) > 2
    assert sorted(live)[2] == live[0] == trial.visited["live_blocks"]


def test_training_holds_the_gradients_of_every_sample_against_the_verified_ones() -> None:
    layer, trial = prepared(replace(TABLE, pass_="train"))
    out = trial.call(trial.prepare(0))
    trial.check(0, out)
    table = layer.get_parameter("consumption.table")
    assert table.grad is not None

    table.grad[int(table.grad.abs().sum(1).argmax())] *= 1 + 1e-6

    with pytest.raises(WrongAnswerError, match="the gradient differs"):
        trial.check(0, out)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("routing", ["single", "uniform"])
def test_a_router_that_is_all_but_certain_has_a_gradient_of_roundings_alone(routing: str, dtype: str) -> None:
    options = {"entries": "32", "lookup": "softmax", "top_k": "1"}
    point = replace(TABLE, in_features=256, out_features=256, pass_="train", options=options, routing=routing)

    layer, _ = prepared(replace(point, dtype=dtype))

    gradient = layer.get_parameter("lookup.router").grad
    assert gradient is not None
    # Beside the gradient of the input, of length 16 and more.
    assert float(gradient.double().norm(dim=1).max()) < 0.02


def test_gradients_do_not_add_up_over_samples() -> None:
    layer, trial = prepared(replace(TABLE, pass_="train"))

    for sample in range(3):
        trial.check(sample, trial.call(trial.prepare(sample)))

    assert layer.get_parameter("consumption.table").grad is not None


def test_every_sample_draws_the_same() -> None:
    layer, trial = prepared(MIXTURE)
    assert layer.stochastic

    first, second = (trial.call(trial.prepare(sample)) for sample in range(2))

    assert torch.equal(first, second)
    trial.check(1, second)


def test_a_sample_that_draws_anew_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    _, trial = prepared(MIXTURE)
    trial.prepare(0)
    monkeypatch.setattr(SystemCall, "ready", lambda self, batch: batch)

    trial.call(trial.prepare(0))
    with pytest.raises(WrongAnswerError, match="differs from the verified one"):
        trial.check(1, trial.call(trial.prepare(1)))


def test_a_pass_runs_in_its_own_mode_also_after_another_one() -> None:
    layer, training = prepared(MIXTURE)
    inference = prepare_trial(layer, case_of(replace(MIXTURE, pass_="forward")), seed=1)

    for trial, mode in ((training, True), (inference, False), (training, True), (inference, False)):
        out = trial.call(trial.prepare(0))
        assert mode == layer.training
        trial.check(0, out)


def test_the_cases_of_a_process_do_not_spoil_one_another() -> None:
    forward = replace(MIXTURE, pass_="forward")

    records = measured(forward, MIXTURE, replace(forward, cache="cold"))

    assert [("measured", None)] * 3 == [(record.status, record.reason) for record in records]


def test_training_with_autograd_leaves_a_record_and_inference_none() -> None:
    for pass_, recorded in (("forward", False), ("forward-grad", True)):
        layer, trial = prepared(replace(TABLE, pass_=pass_))

        out = trial.call(trial.prepare(0))

        assert recorded == (out.grad_fn is not None)
        assert all(parameter.grad is None for parameter in layer.parameters())


def test_an_option_that_the_layer_does_not_have_is_refused_before_it_is_built() -> None:
    with pytest.raises(InputError, match="did you mean 'entries'"):
        build_layer(replace(TABLE, options={"entrys": "3"}), seed=0)
