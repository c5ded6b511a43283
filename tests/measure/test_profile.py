"""A profile's rows are the operations of a call with their time and cost; what is around the call is not in them."""

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import register_flop_formula

from capratio.cost.flop import Flop
from capratio.cost.operation import OperationCost, OperationFormula
from capratio.errors import InputError
from capratio.measure.flop_counter import count_operations
from capratio.measure.profile import CALL, Profile, ProfileRow, profile_call
from capratio.measure.profile_events import AUTOGRAD, call_spans, operation_times
from capratio.measure.profile_parts import OUTSIDE, ROUTING, parts
from tests.measure.counting import K, M, N, f

LIBRARY: Any = torch.library.Library("profiled", "FRAGMENT")  # type: ignore[no-untyped-call]


def _product_and_sum(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.mm(x, y).cumsum(0)


LIBRARY.define("product_and_sum(Tensor x, Tensor y) -> Tensor")
LIBRARY.impl("product_and_sum", _product_and_sum, "CompositeExplicitAutograd")
PRODUCT_AND_SUM = torch.ops.profiled.product_and_sum
FORMULA = OperationCost(Flop(product=1000), read_bytes=11, written_bytes=7)
register_flop_formula(PRODUCT_AND_SUM, get_raw=True)(OperationFormula(lambda x, y, *, out_val: FORMULA))


def profiled(call: Any, tmp_path: Path, prepare: Any = lambda _: None, **given: Any) -> Profile:
    return profile_call(
        call, prepare=prepare, check=lambda *_: None, trace=tmp_path / "trace.json", **{"calls": 3, **given}
    )


def row_of(profile: Profile, name: str, within: str | None = None) -> ProfileRow:
    return next(row for row in profile.rows if (row.name, row.within) == (name, within))


def test_a_product_has_a_row_with_its_calls_flop_and_bytes(tmp_path: Path) -> None:
    x, y = f(M, K), f(K, N)

    row = row_of(profiled(lambda _: (torch.mm(x, y), torch.mm(x, y)), tmp_path), "aten::mm")

    assert row.cost is not None
    assert (2, 2 * 2 * M * K * N) == (row.calls, row.cost.flop.product)
    assert (2 * 4 * (M * K + K * N), 2 * 4 * M * N) == (row.cost.read_bytes, row.cost.written_bytes)


def test_self_times_sum_to_no_more_than_the_time_of_a_call(tmp_path: Path) -> None:
    x, taken_s = torch.ones(200, 200), list[float]()

    def call(_: object) -> torch.Tensor:
        started_s = time.perf_counter()
        out = torch.mm(x, x).relu().sum()
        taken_s.append(time.perf_counter() - started_s)
        return out

    profile = profiled(call, tmp_path)

    assert 0 < sum(row.self_s for row in profile.rows) <= profile.wall_s
    assert sum(row.self_s for row in profile.rows) <= max(taken_s)


def test_time_without_an_operation_is_outside(tmp_path: Path) -> None:
    def call(_: object) -> torch.Tensor:
        time.sleep(0.005)
        return f(M) * 2

    assert profiled(call, tmp_path).outside_s >= 0.005


def test_the_trace_is_json_that_names_the_operation_and_the_call(tmp_path: Path) -> None:
    profiled(lambda _: torch.mm(f(M, K), f(K, N)), tmp_path)

    names = [event.get("name") for event in json.loads((tmp_path / "trace.json").read_text())["traceEvents"]]

    assert "aten::mm" in names
    assert 3 == len([name for name in names if name == CALL])


def test_what_stands_around_a_call_has_no_row(tmp_path: Path) -> None:
    def prepare(index: int) -> torch.Tensor:
        return torch.full((M,), index).sin()

    def call(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    def check(_: int, out: torch.Tensor) -> None:
        out.cos()

    def evict() -> None:
        f(M).tan()

    trace = tmp_path / "trace.json"

    profile = profile_call(call, prepare=prepare, check=check, trace=trace, calls=2, evict=evict)

    assert ["aten::mul"] == [row.name for row in profile.rows]


def test_inside_of_an_operation_with_a_formula_each_operation_has_a_row_too(tmp_path: Path) -> None:
    x, y = f(M, K), f(K, N)

    profile = profiled(lambda _: PRODUCT_AND_SUM(x, y), tmp_path)

    outer, inner = (
        row_of(profile, "profiled::product_and_sum"),
        row_of(profile, "aten::mm", "profiled::product_and_sum"),
    )
    assert FORMULA == outer.cost
    assert inner.cost is not None
    assert 2 * M * K * N == inner.cost.flop.product
    assert inner.self_s + outer.self_s <= outer.total_s
    named = parts(profile)
    assert {"profiled::product_and_sum", OUTSIDE} == {part.name for part in named}
    assert pytest.approx(1.0) == sum(part.share for part in named)


def test_what_runs_inside_of_a_formula_is_in_no_sum() -> None:
    def call() -> object:
        return PRODUCT_AND_SUM(f(M, K), f(K, N)) * 2

    plain, inside = count_operations(call, strict=True), count_operations(call, strict=True, inside=True)

    assert plain.cost == inside.cost
    assert sum((one.cost or OperationCost() for one in plain.operations), OperationCost()) == plain.cost
    assert {"aten::mm", "aten::cumsum"} == {one.name for one in inside.operations if one.within}
    assert [] == [one for one in plain.operations if one.within]


def test_an_operation_that_ran_other_times_than_it_was_counted_has_no_cost(tmp_path: Path) -> None:
    def call(times: int) -> object:
        return [f(M).sin() for _ in range(times)]

    profile = profiled(call, tmp_path, prepare=lambda i: 1 if i == 0 else 2)

    assert (2, None) == (row_of(profile, "aten::sin").calls, row_of(profile, "aten::sin").cost)


def test_gradients_are_counted_and_their_engine_is_one_row(tmp_path: Path) -> None:
    x, y = f(M, K).requires_grad_(), f(K, N)

    def call(_: object) -> None:
        x.grad = None
        torch.autograd.backward(torch.mm(x, y), f(M, N))

    profile = profiled(call, tmp_path)

    mm = row_of(profile, "aten::mm")
    assert mm.cost is not None
    assert (2, 4 * M * K * N) == (mm.calls, mm.cost.flop.product)
    assert 1 == len([row for row in profile.rows if row.name == AUTOGRAD])


def test_a_sort_is_routing(tmp_path: Path) -> None:
    x = torch.arange(1000).flip(0)

    named = {part.name: part for part in parts(profiled(lambda _: x.sort(), tmp_path))}

    assert ("aten::sort",) == named[ROUTING].operations


def test_what_takes_a_hundredth_of_a_part_is_not_named_as_where_its_time_went() -> None:
    inner = [ProfileRow(name, "ours", 1, self_s, self_s, None) for name, self_s in (("aten::mm", 0.3), ("add_", 0.01))]

    named, _ = parts(Profile((ProfileRow("ours", None, 1, 0.69, 1.0, None), *inner), 0.0, 3))

    assert ("ours", 1.0, ("aten::mm",)) == (named.name, named.share, named.operations)


def test_a_call_whose_check_fails_has_no_profile(tmp_path: Path) -> None:
    def check(_: int, out: torch.Tensor) -> None:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        profile_call(lambda _: f(M) * 2, prepare=lambda _: None, check=check, trace=tmp_path / "trace.json")


def test_no_calls_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 1"):
        profiled(lambda _: None, tmp_path, calls=0)


def event(name: str, start: float, end: float, *children: Any, kernels_us: tuple[float, ...] = ()) -> Any:
    """An event as torch's profiler gives it, in µs."""
    made = SimpleNamespace(
        name=name,
        time_range=SimpleNamespace(start=start, end=end),
        cpu_children=list(children),
        cpu_parent=None,
        kernels=[SimpleNamespace(duration=each) for each in kernels_us],
        device_type=SimpleNamespace(name="CPU"),
        is_async=False,
    )
    for child in children:
        child.cpu_parent = made
    return made


def test_on_cuda_an_operation_takes_the_time_of_its_kernels() -> None:
    launch = event("cudaLaunchKernel", 2, 4)
    copy = event("aten::copy_", 5, 6, kernels_us=(3.0,))
    outer = event("capratio::leaf_linear", 0, 9, event("aten::mm", 1, 5, launch, kernels_us=(40.0,)), copy)
    counted = frozenset({(None, "capratio::leaf_linear"), ("capratio::leaf_linear", "aten::mm")})

    times = operation_times([outer], counted, "cuda")

    assert pytest.approx(43e-6) == times[None, "capratio::leaf_linear"].total_s
    assert 0.0 == times[None, "capratio::leaf_linear"].self_s
    assert pytest.approx(40e-6) == times["capratio::leaf_linear", "aten::mm"].self_s


def test_what_autograd_puts_around_an_implementation_is_the_operations_own_time() -> None:
    around = event("GeneratedBackwardFor_op", 1, 9, event("aten::mm", 2, 5))
    outer = event("capratio::op", 0, 10, around)

    times = operation_times([outer], frozenset({(None, "capratio::op"), ("capratio::op", "aten::mm")}), "cpu")

    assert {(None, "capratio::op"), ("capratio::op", "aten::mm")} == set(times)
    own = times[None, "capratio::op"]
    assert 1 == own.calls
    assert pytest.approx([7e-6, 10e-6]) == [own.self_s, own.total_s]


def test_an_operation_of_another_thread_belongs_to_the_call_that_it_ran_in() -> None:
    first, other = event("call", 0, 10, event("aten::mm", 1, 2)), event("call", 20, 30)
    elsewhere, between = event("aten::add", 22, 25), event("aten::sin", 12, 13)

    spans = call_spans([other, elsewhere, between, first, first.cpu_children[0]], "call")

    assert [["aten::mm"], ["aten::add"]] == [[each.name for each in outermost] for _, outermost in spans]
    assert pytest.approx([10e-6, 10e-6]) == [wall_s for wall_s, _ in spans]
