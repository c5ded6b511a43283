"""The worker in this process: what it says, and how each failure is recorded."""

import io
import json
from dataclasses import replace
from typing import Any

import numba
import pytest
import torch

from capratio.cost import Promise, promise
from capratio.cost.flop import Flop
from capratio.cost.spec import PASSES
from capratio.inputs.table import make_input
from capratio.kernels import routing
from capratio.kernels.cpu.compiling import COMPILE_NOTE
from capratio.kernels.leaf_linear import reference as leaf_reference
from capratio.layers.gated_layer import GatedLayer
from capratio.layers.table import Layer
from capratio.measure.eviction import CacheEvictor
from capratio.records.codec import decode
from capratio.records.record import Point, Record
from capratio.sweep import measure_case, worker
from capratio.sweep.case import Case, Sampling
from capratio.sweep.code_warmer import CodeWarmer
from capratio.sweep.estimate import estimated_bytes, gradient_bytes
from capratio.sweep.job import Job
from capratio.sweep.prepare import build_layer, prepare_trial
from capratio.sweep.refusal import RefusedError
from capratio.sweep.trial import Trial
from tests.sweep.points import POINT

QUICK = Sampling(min_samples=3, max_samples=3, time_limit_s=0.02, decode_tokens=4)
FORMS = [
    ("tree-shared", "path"),
    ("tree-shared", "collapsed"),
    ("tree-unit", "path"),
    ("tree-unit", "collapsed"),
    ("tree-bias", "path"),
    ("tree-bias", "collapsed"),
]


@pytest.fixture(autouse=True)
def _free_memory_of_the_test_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "limit_memory", lambda: None)


def measured(*points: Point) -> list[Record]:
    cases = tuple(Case(point, "suite", "group", 1, sampling=QUICK) for point in points)
    events = io.StringIO()
    worker.run_job(Job(cases, replicate=0, block=0, run_started_s=0.0), events)
    said = [json.loads(line) for line in events.getvalue().splitlines()]
    assert ["starts", "record"] * len(points) == [next(iter(event)) for event in said]
    return [decode(event["record"]) for event in said if "record" in event]


@pytest.mark.parametrize("pass_", PASSES)
@pytest.mark.parametrize(("layer", "form"), [("dense", "path"), *FORMS])
def test_every_layer_and_pass_is_measured(layer: str, form: str, pass_: str) -> None:
    depth, tokens = (0 if layer == "dense" else 3), (1 if pass_ == "decode" else 6)

    (record,) = measured(replace(POINT, layer=layer, form=form, depth=depth, pass_=pass_, tokens=tokens))

    assert ("measured", None) == (record.status, record.reason)
    assert record.exact is not None
    assert record.exact.flop == record.exact.promised_flop


@pytest.mark.parametrize(("layer", "form"), FORMS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_gradient_of_touched_rows_is_measured(layer: str, form: str, dtype: str) -> None:
    point = replace(POINT, layer=layer, form=form, pass_="train", dtype=dtype, depth=6, tokens=3)

    (dense,) = measured(point)
    (touched,) = measured(replace(point, weight_gradient="touched"))

    assert [("measured", None)] * 2 == [(record.status, record.reason) for record in (dense, touched)]
    assert "touched" == touched.point.weight_gradient
    assert dense.exact is not None
    assert touched.exact is not None
    assert dense.exact.flop == touched.exact.flop == touched.exact.promised_flop
    assert (dense.exact.compulsory_bytes or 0) > (touched.exact.compulsory_bytes or 0)


def test_a_peer_measures_touched_rows_too() -> None:
    point = replace(POINT, layer="tree-unit", pass_="train", backend="embedding-bag", weight_gradient="touched")

    (record,) = measured(point)

    assert ("measured", None) == (record.status, record.reason)


@pytest.mark.parametrize(("mode", "place"), [("dense", 3), ("touched", 2)])
def test_a_gradient_at_the_row_of_another_node_has_no_time(
    mode: str, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = routing.group_by_key
    calls = 0

    # Tokens are grouped by the product and by its gradients to the input and to the weight, which alone is wrong; of
    # touched rows it comes before that to the input.
    def wrong_once(key: torch.Tensor) -> routing.TokenGroups:
        nonlocal calls
        calls += 1
        return right(key ^ 1 if calls == place else key)

    monkeypatch.setattr(leaf_reference, "group_by_key", wrong_once)

    (record,) = measured(replace(POINT, form="collapsed", pass_="train", weight_gradient=mode, tokens=60))

    assert "wrong" == record.status
    assert "gradient of weight at row" in (record.reason or "")


@pytest.mark.parametrize("pass_", PASSES)
@pytest.mark.parametrize(("layer", "form"), FORMS)
def test_a_node_off_by_one_has_no_time(layer: str, form: str, pass_: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = GatedLayer.state_dict

    def one_row_on(self: GatedLayer) -> dict[str, torch.Tensor]:
        state = dict(right(self))
        for name in ("weight", "table"):
            # The rows of nodes lie behind the units where these have tables of their own.
            if name in state and not (name == "weight" and layer == "tree-bias"):
                state[name] = state[name].roll(1, dims=1 if layer == "tree-unit" else 0)
        return state

    monkeypatch.setattr(GatedLayer, "state_dict", one_row_on)

    (record,) = measured(replace(POINT, layer=layer, form=form, pass_=pass_, tokens=1 if pass_ == "decode" else 6))

    assert "wrong" == record.status
    assert record.timing is None
    assert "float64 reference" in (record.reason or "")


@pytest.mark.parametrize(("pass_", "recorded"), [("forward", False), ("forward-grad", True)])
@pytest.mark.parametrize(("layer", "form"), [("dense", "path"), *FORMS])
def test_autograd_records_the_timed_call_where_the_case_says_so(
    layer: str, form: str, pass_: str, recorded: bool
) -> None:
    point = replace(POINT, layer=layer, form=form, depth=0 if layer == "dense" else 3, pass_=pass_)
    built = build_layer(point, seed=0)
    trial = prepare_trial(built, Case(point, "suite", "group", 1, sampling=QUICK), seed=0)

    out = trial.call(trial.prepare(0))

    assert recorded == (out.grad_fn is not None)
    assert all(parameter.grad is None for parameter in built.parameters())


def test_a_case_tells_how_long_its_kernels_were_compiled_and_the_next_one_has_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = prepare_trial

    def compiling(layer: Layer, case: Case, seed: int) -> Trial:
        if case.point.tokens == POINT.tokens:
            # Not kept, so that each run of this test compiles it.
            numba.njit(lambda x: x + 1)(1)
        return right(layer, case, seed)

    monkeypatch.setattr(worker, "prepare_trial", compiling)
    # Its kernels are plain torch, and registering the listener compiles nothing.
    first, second = measured(POINT, replace(POINT, tokens=POINT.tokens + 1))

    assert first.timing is not None
    assert second.timing is not None
    assert 0.0 < (first.timing.compile_s or 0.0) < COMPILE_NOTE.seconds + 1e-9
    assert 0.0 == second.timing.compile_s


def test_one_flop_more_than_promised_has_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_more(*given: Any) -> Promise:
        right = promise(*given)
        return replace(right, flop=right.flop + Flop(product=1))

    monkeypatch.setattr(measure_case, "promise", one_more)

    (record,) = measured(POINT)

    assert "wrong" == record.status
    assert "differ from the promised" in (record.reason or "")


def test_memory_that_runs_out_is_a_record_and_the_next_case_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    right = prepare_trial

    def hungry(layer: Layer, case: Case, seed: int) -> object:
        if case.point.tokens == 6:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return right(layer, case, seed)

    monkeypatch.setattr(worker, "prepare_trial", hungry)

    first, second = measured(POINT, replace(POINT, tokens=2))

    assert ["out-of-memory", "measured"] == [first.status, second.status]


def test_a_routing_that_no_sign_can_impose_fails_with_its_sentence() -> None:
    (record,) = measured(replace(POINT, gate="hyperplanes", routing="uniform"))

    assert "failed" == record.status
    assert "use gate = 'signs'" in (record.reason or "")


@pytest.mark.parametrize(("routing", "leaves"), [("single", 1), ("uniform", None)])
def test_an_imposed_routing_decides_how_many_leaves_are_visited(routing: str, leaves: int | None) -> None:
    (record,) = measured(replace(POINT, routing=routing, tokens=200))

    assert record.exact is not None
    assert record.exact.visited_levels is not None
    assert (leaves or 8) == record.exact.visited_levels[-1]


def test_a_refusal_is_recorded_with_its_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (10 * 2**20, 80 * 2**30))

    with pytest.raises(RefusedError, match=r"10\.0 MiB of memory are free.*nothing was allocated") as caught:
        worker.refuse_beyond_device(POINT)

    assert ("refused", str(caught.value)) == worker.classify(caught.value)


def test_gradients_of_touched_rows_need_memory_for_the_rows_that_tokens_can_visit() -> None:
    point = replace(POINT, pass_="train", depth=12, tokens=4)

    # 8191 nodes of 7 x 5 and 5 biases; 4 tokens visit at most 13 nodes each.
    assert (8191 * 35 + 5) * 4 == gradient_bytes(point)
    assert (52 * 35 + 5) * 4 == gradient_bytes(replace(point, weight_gradient="touched"))
    # The table of a tree bias has rows of 5; its matrix of 7 x 5 has a whole gradient.
    assert (52 * 5 + 35 + 5) * 4 == gradient_bytes(replace(point, layer="tree-bias", weight_gradient="touched"))
    assert 0 == gradient_bytes(replace(point, pass_="forward"))
    assert estimated_bytes(replace(point, weight_gradient="touched")) < estimated_bytes(point)


@pytest.mark.parametrize(("share", "refused"), [(0.79, False), (0.81, True)])
def test_a_point_is_refused_beyond_four_fifths_of_its_devices_free_memory(
    share: float, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (round(estimated_bytes(POINT) / share), 80 * 2**30))

    try:
        worker.refuse_beyond_device(POINT)
    except RefusedError:
        was_refused = True
    else:
        was_refused = False

    assert refused == was_refused


def test_data_of_a_cold_case_are_evicted_and_its_code_is_warmed_before_each_sample(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    happened: list[str] = []
    monkeypatch.setattr(CacheEvictor, "__call__", lambda self: happened.append("evicted"))
    monkeypatch.setattr(CodeWarmer, "__call__", lambda self: happened.append("warmed"))

    (record,) = measured(replace(POINT, cache="cold"))

    assert record.timing is not None
    calls = record.timing.warmup_calls + len(record.timing.samples_s)
    assert ["evicted", "warmed"] * calls == happened


def test_nothing_is_evicted_for_a_warm_case(monkeypatch: pytest.MonkeyPatch) -> None:
    def evict(self: CacheEvictor) -> None:
        raise AssertionError("a warm case was made cold")

    monkeypatch.setattr(CacheEvictor, "__call__", evict)

    (record,) = measured(POINT)

    assert "measured" == record.status


def test_the_nodes_of_all_samples_are_those_of_the_tokens_that_were_run() -> None:
    sampling = Sampling(min_samples=3, max_samples=3, time_limit_s=0.02, decode_tokens=64)
    point = replace(POINT, depth=6, tokens=1, pass_="decode")
    events = io.StringIO()

    worker.run_job(Job((Case(point, "suite", "group", 1, sampling=sampling),), 0, 0, 0.0), events)

    record = decode(json.loads(events.getvalue().splitlines()[-1])["record"])
    assert record.exact is not None
    assert record.timing is not None
    calls = record.timing.warmup_calls + len(record.timing.samples_s)
    layer = build_layer(point, 1000)
    assert isinstance(layer, GatedLayer)
    tokens = make_input("gaussian", 64, 7, 1000)[:calls].float()
    assert layer.visited(tokens).levels == record.exact.sampled_levels


def test_a_case_whose_threads_were_changed_under_it_has_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    before, forward = torch.get_num_threads(), GatedLayer.forward

    def starts_threads(self: GatedLayer, *given: torch.Tensor) -> torch.Tensor:
        torch.set_num_threads(2)
        return forward(self, *given)

    monkeypatch.setattr(GatedLayer, "forward", starts_threads)
    try:
        (record,) = measured(replace(POINT, form="collapsed", threads=1))
    finally:
        torch.set_num_threads(before)

    assert "failed" == record.status
    assert "threads = 1 and torch ran on 2" in (record.reason or "")
