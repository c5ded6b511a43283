"""A case is profiled as the sweep builds it, and what the sweep would not measure is not profiled."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from capratio.cost.roofline import Ceilings
from capratio.errors import InputError, NothingMeasuredError
from capratio.measure.profile import ProfileRow
from capratio.sweep import profile_case as room
from capratio.sweep.case import Case, Sampling
from capratio.sweep.find_case import find_case
from capratio.sweep.measure_case import count_exactly
from capratio.sweep.prepare import build_layer, prepare_trial
from capratio.sweep.profile_case import SEED, TRACE, CaseProfile, profile_case
from tests.sweep.points import POINT

CEILINGS = Ceilings(0.0, 1, "cpu", ((1e4, 1e11), (1e8, 1e10)), (), (), {"float32": 1e11}, 0.0)
SAMPLING = Sampling(min_samples=2, max_samples=3, decode_tokens=4)


def case_of(**changed: Any) -> Case:
    return Case(replace(POINT, **changed), "suite", "group", 1, sampling=SAMPLING)


def profiled(case: Case, out: Path) -> CaseProfile:
    return profile_case(case, out, calls=2, measure=lambda *_: CEILINGS)


def own_flop(rows: tuple[ProfileRow, ...]) -> int:
    return sum(row.cost.flop.total for row in rows if row.within is None and row.cost is not None)


@pytest.fixture
def case_file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text('[[cases]]\nlayer = "tree"\nin_features = 8\ndepth = [1, 2, 3]\ninput = "gaussian"')
    return path


@pytest.mark.parametrize("layer", ["dense", "tree-shared", "tree-unit", "tree-bias"])
@pytest.mark.parametrize("pass_", ["forward", "decode", "train"])
def test_the_rows_have_together_the_flop_of_the_case(layer: str, pass_: str, tmp_path: Path) -> None:
    dense = {"depth": 0} if layer == "dense" else {}
    case = case_of(layer=layer, pass_=pass_, tokens=1 if pass_ == "decode" else 6, **dense)
    built = build_layer(case.point, SEED)
    exact = count_exactly(built, prepare_trial(built, case, SEED), case)

    done = profiled(case, tmp_path)

    assert sum(exact.flop.values()) == own_flop(done.profile.rows)


def test_each_operation_that_moves_or_computes_is_held_against_its_limit(tmp_path: Path) -> None:
    done = profiled(case_of(), tmp_path)

    for row, limit in zip(done.profile.rows, done.limits, strict=True):
        moved = row.cost is not None and row.cost.read_bytes + row.cost.written_bytes > 0
        assert moved == (limit is not None)
    assert done.limit is not None
    assert 0 < done.limit.limit_s < done.latency_s


def test_the_limit_of_several_calls_is_that_of_one_as_often() -> None:
    from capratio.cost.operation import OperationCost

    one = ProfileRow("aten::clone", None, 1, 1.0, 1.0, OperationCost(read_bytes=5000, written_bytes=5000))
    ten = replace(one, calls=10, cost=OperationCost(read_bytes=50_000, written_bytes=50_000))

    limits = [room._row_limit(row, CEILINGS, "float32") for row in (one, ten)]

    assert limits[0] is not None
    assert limits[1] is not None
    assert pytest.approx(10 * limits[0].limit_s) == limits[1].limit_s


def test_the_trace_names_the_layers_hot_product(tmp_path: Path) -> None:
    profiled(case_of(), tmp_path / "new")

    events = json.loads((tmp_path / "new" / TRACE).read_text())["traceEvents"]
    assert "capratio::path_linear" in {event.get("name") for event in events}


def test_a_cold_case_is_profiled_without_its_eviction(tmp_path: Path) -> None:
    case = case_of(cache="cold", pass_="decode", tokens=1)

    assert own_flop(profiled(case, tmp_path).profile.rows) > 0


def test_a_wrong_answer_has_no_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: Any) -> Any:
        layer = build_layer(*given)
        layer.register_forward_hook(lambda _, __, out: out + 1)
        return layer

    monkeypatch.setattr(room, "build_layer", broken)

    with pytest.raises(NothingMeasuredError, match=r"tree-shared.* is wrong: the output of token"):
        profiled(case_of(), tmp_path)
    assert not (tmp_path / TRACE).exists()


def test_a_case_beyond_the_free_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "free_memory_bytes", lambda: 1000)

    with pytest.raises(NothingMeasuredError, match="is refused: the case needs about"):
        profiled(case_of(), tmp_path)


def test_another_error_of_torch_is_not_taken_for_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(room, "prepare_trial", fail)

    with pytest.raises(RuntimeError, match="a bug"):
        profiled(case_of(), tmp_path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_case_for_cuda_needs_a_device(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="finds no CUDA device"):
        profiled(case_of(device="cuda"), tmp_path)


@pytest.mark.cuda
def test_on_cuda_the_rows_have_the_time_of_kernels(tmp_path: Path) -> None:
    done = profiled(case_of(device="cuda", in_features=256, out_features=256), tmp_path)

    assert any(row.self_s > 0 for row in done.profile.rows)
    assert "kernel" in {event.get("cat") for event in json.loads((tmp_path / TRACE).read_text())["traceEvents"]}


def test_a_case_is_found_by_its_id_on_any_device(case_file: Path) -> None:
    wanted = "tree-shared/p8-q8-k2/n1/float32/cpu/forward/warm/gaussian+measured/auto/t1"

    assert wanted == find_case(wanted, [case_file]).id
    assert "cuda" == find_case(wanted.replace("/cpu/", "/cuda/"), [case_file]).point.device


def test_an_unknown_id_is_answered_with_the_nearest(case_file: Path) -> None:
    wanted = "tree-shared/p8-q8-k9/n1/float32/cpu/forward/warm/gaussian+measured/auto/t1"

    with pytest.raises(InputError, match=r"no case has the id .*; the nearest are .*p8-q8-k[123]/n1/float32/cpu"):
        find_case(wanted, [case_file])
