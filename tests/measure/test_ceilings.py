"""Ceilings: the best over candidates and rounds, no footprint under a larger one, and real reads under the roof."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from capratio.cost.roofline import Ceilings, interpolate
from capratio.errors import InputError
from capratio.measure import ceilings as ceilings_module
from capratio.measure import product_rate
from capratio.measure.bandwidth import COPY, RANDOM_ROW, READ, bandwidth_probes, footprints
from capratio.measure.ceilings import envelope, measure_ceilings, repeat_probes, spread_of
from capratio.measure.clock import PerfClock
from capratio.measure.flop_counter import count_operations
from capratio.measure.probe import Probe, best_rate
from capratio.measure.product_rate import CPU_SHAPES, product_probes, with_float32_as_half

KIBIBYTE, MEBIBYTE = 2**10, 2**20


def probe(clock: Any, durations: list[float], amount: float = 12.0, point: Any = ("read", 1)) -> Probe:
    times = iter(durations)
    return Probe(point, amount, lambda: clock.pass_s(next(times)))


def nothing() -> None:
    """Wait for a device that is always done."""


def test_calls_of_a_burst_share_one_wait(clock: Any) -> None:
    # An untimed call of 1 s, then three of 2 s and a wait of 4 s: 3 · 12 in 10 s.
    calls = probe(clock, [1.0, *[2.0] * 6])

    assert 36.0 / 10.0 == best_rate(calls, 0.0, clock, lambda: clock.pass_s(4.0), burst=3)


def test_the_best_rate_is_that_of_the_shortest_call_without_the_first(clock: Any) -> None:
    assert 12.0 / 2.0 == best_rate(probe(clock, [1.0, 4.0, 2.0, 3.0]), 9.0, clock, nothing)


def test_two_calls_are_timed_whatever_the_time(clock: Any) -> None:
    assert 12.0 / 3.0 == best_rate(probe(clock, [1.0, 4.0, 3.0]), 0.0, clock, nothing)


def test_waiting_for_the_device_is_timed(clock: Any) -> None:
    assert 12.0 / 5.0 == best_rate(probe(clock, [1.0] * 3), 0.0, clock, lambda: clock.pass_s(4.0))


def test_a_point_has_the_best_of_its_candidates_in_each_round(clock: Any) -> None:
    candidates = [Probe(("read", 1), amount, lambda: clock.pass_s(1.0)) for amount in (3.0, 5.0, 4.0)]

    rounds = repeat_probes(candidates, 100.0, clock, nothing)

    assert {("read", 1): 5.0} == rounds[0]


def test_rounds_end_at_the_deadline_after_two(clock: Any) -> None:
    late = repeat_probes([Probe(("read", 1), 1.0, lambda: clock.pass_s(1.0))], 0.5, clock, nothing)
    early = repeat_probes([Probe(("read", 1), 1.0, lambda: clock.pass_s(1.0))], clock.now_s() + 1000, clock, nothing)

    assert 2 == len(late)
    assert ceilings_module.ROUNDS == len(early)


def test_the_spread_is_the_upper_quartile_of_best_to_median() -> None:
    # Points whose medians lie 0, 10, 20, 30 and 40 % under their best.
    rounds = [
        {("read", point): rate for point in range(5)} if rate == 1.0 else {("read", p): 1.0 - p / 10 for p in range(5)}
        for rate in (1.0, 0.0, 0.0)
    ]

    assert pytest.approx(0.3) == spread_of(rounds)  # type: ignore[arg-type]


def test_threads_that_are_paced_by_the_scheduler_have_a_spread_though_their_rounds_agree() -> None:
    # As seen where both threads had one processor: 4 MiB in a slice of 8 ms, whatever the cache, in every round.
    paced = {("read", size): 0.52e9 for size in (16, 64, 256, 1024)} | {("read", 262144): 17.4e9}
    quiet = {
        ("read", 16): 280e9,
        ("read", 64): 270e9,
        ("read", 256): 196e9,
        ("read", 1024): 186e9,
        ("read", 262144): 17e9,
    }

    assert 0.95 < spread_of([paced, paced, paced])  # type: ignore[list-item]
    assert 0.0 == spread_of([quiet, quiet, quiet])  # type: ignore[list-item]


def test_a_copy_that_is_slow_at_a_small_footprint_is_no_spread_since_a_call_takes_its_time() -> None:
    copies = {("copy", 16): 19e9, ("copy", 64): 47e9, ("copy", 256): 86e9}

    assert 0.0 == spread_of([copies, copies])  # type: ignore[list-item]


def test_a_machine_without_noise_has_no_spread() -> None:
    assert 0.0 == spread_of([{("read", 1): 7.0}, {("read", 1): 7.0}])


def test_a_disturbed_footprint_is_raised_to_the_larger_one() -> None:
    assert ((1.0, 9.0), (2.0, 6.0), (4.0, 6.0), (8.0, 2.0)) == envelope([(4, 6.0), (1, 9.0), (2, 1.0), (8, 2.0)])


@given(st.dictionaries(st.integers(1, 10**9), st.floats(1.0, 1e12), min_size=1, max_size=9))
def test_an_envelope_never_rises_with_the_footprint_and_lies_on_or_above_its_points(points: dict[int, float]) -> None:
    raised = envelope(list(points.items()))

    rates = [rate for _, rate in raised]
    assert sorted(rates, reverse=True) == rates
    assert sorted(points) == [int(footprint) for footprint, _ in raised]
    assert all(rate >= points[int(footprint)] for footprint, rate in raised)


def test_footprints_reach_four_times_the_last_level_and_memory_at_least() -> None:
    free = 2**40

    assert 16 * KIBIBYTE == footprints(MEBIBYTE, free)[0]
    assert 256 * MEBIBYTE == footprints(MEBIBYTE, free)[-1]
    assert 512 * MEBIBYTE == footprints(128 * MEBIBYTE, free)[-1]


def test_footprints_stay_within_a_quarter_of_free_memory() -> None:
    assert 64 * MEBIBYTE == footprints(MEBIBYTE, 256 * MEBIBYTE)[-1]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_read_candidate_reads_its_whole_footprint_as_often_as_it_says(threads: int) -> None:
    points = (MEBIBYTE, 4 * MEBIBYTE)
    reads = [one for one in bandwidth_probes(points, threads, "cpu") if one.point[0] == READ]

    results = [one.call() for one in reads]

    # Of a buffer of ones a sum says how many elements were read, and so does a product of it with itself.
    small_sum, small_largest, large_sum, large_largest, large_dot = reads
    assert small_sum.amount == 4 * results[0].sum().item() == pytest.approx(4 * MEBIBYTE, rel=1e-5)  # type: ignore[attr-defined]
    assert large_sum.amount == 4 * results[2].sum().item()  # type: ignore[attr-defined]
    assert large_dot.amount == 4 * results[4].item() == 4 * MEBIBYTE  # type: ignore[attr-defined]
    # The largest of each part is asked for as often as its sum.
    assert (small_sum.amount, large_sum.amount) == (small_largest.amount, large_largest.amount)
    assert results[0].shape == results[1].shape == (threads, 4)  # type: ignore[attr-defined]


def test_copies_count_what_is_read_and_written() -> None:
    copies = [one for one in bandwidth_probes((16 * KIBIBYTE,), 1, "cpu") if one.point[0] == COPY]

    counted = count_operations(copies[0].call, strict=True).cost

    assert 1 == len(copies)
    assert copies[0].amount == counted.read_bytes + counted.written_bytes == 16 * KIBIBYTE


def test_random_rows_visit_every_row_before_one_comes_again() -> None:
    fetch = next(one for one in bandwidth_probes((64 * KIBIBYTE,), 1, "cpu") if one.point[0] == RANDOM_ROW)

    counted = count_operations(fetch.call, strict=True).cost

    # 4 MiB of rows of 2 KiB.
    assert 2048 == counted.rows_gathered
    assert 4 * MEBIBYTE == fetch.amount


def test_products_are_counted_as_2mnk() -> None:
    probes = list(product_probes(("float32",), "cpu", PerfClock()))

    counted = count_operations(probes[0].call, strict=True).cost.flop

    assert probes[0].amount == counted.product == counted.total
    assert sorted(2 * [2.0 * m * k * n for m, k, n in CPU_SHAPES]) == sorted(one.amount for one in probes)


def test_every_probe_of_a_shape_computes_the_same_product() -> None:
    products = [torch.as_tensor(one.call()) for one in product_probes(("float32",), "cpu", PerfClock())]

    for by_library, by_onednn in zip(products[: len(CPU_SHAPES)], products[len(CPU_SHAPES) :], strict=True):
        assert torch.allclose(by_library, by_onednn, atol=1e-3)


def test_without_onednn_the_library_alone_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)

    assert len(CPU_SHAPES) == len(list(product_probes(("float32",), "cpu", PerfClock())))


def test_a_dtype_that_is_emulated_is_asked_for_its_smallest_shape_only(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = iter([1.0, 100.0])
    monkeypatch.setattr(product_rate, "best_rate", lambda *_: next(rates))

    assert [2.0 * 64**3] == [one.amount for one in product_probes(("bfloat16",), "cpu", PerfClock())]


def test_a_dtype_that_is_not_much_slower_is_asked_for_all_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = iter([50.0, 100.0])
    monkeypatch.setattr(product_rate, "best_rate", lambda *_: next(rates))

    assert len(CPU_SHAPES) == len(list(product_probes(("bfloat16",), "cpu", PerfClock())))


def test_half_types_on_the_cpu_have_at_least_the_rate_of_float32() -> None:
    rates = {"float32": 10.0, "float16": 0.1, "bfloat16": 30.0, "float64": 5.0}

    assert {**rates, "float16": 10.0} == with_float32_as_half(rates, "cpu")
    assert rates == with_float32_as_half(rates, "cuda")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Footprints and products that take a test no time."""
    monkeypatch.setattr(ceilings_module, "footprints", lambda *_: (16 * KIBIBYTE, MEBIBYTE))
    monkeypatch.setattr(product_rate, "CPU_SHAPES", ((64, 64, 64),))


@pytest.mark.usefixtures("small")
def test_ceilings_hold_what_was_asked_for_and_float32_always() -> None:
    measured = measure_ceilings(1, ("float64",), 0.1, measured_at_s=12.5)

    assert (12.5, 1, "cpu") == (measured.measured_at_s, measured.threads, measured.device)
    assert {"float32", "float64"} == measured.flop_per_s.keys()
    assert [16 * KIBIBYTE, MEBIBYTE] == [footprint for footprint, _ in measured.read_curve]
    assert measured == Ceilings.from_dict(measured.to_dict())


@pytest.mark.usefixtures("small")
def test_threads_are_set_while_ceilings_are_measured_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    before = torch.get_num_threads()
    monkeypatch.setattr(ceilings_module, "_wait", lambda _: lambda: seen.append(torch.get_num_threads()))

    measure_ceilings(before + 1, (), 0.01)

    assert {before + 1} == set(seen)
    assert before == torch.get_num_threads()


@pytest.mark.usefixtures("small")
def test_no_real_read_is_far_above_the_measured_roof() -> None:
    measured = measure_ceilings(1, (), 1.0)
    x = torch.ones(MEBIBYTE // 4)

    reads = {
        "sum": lambda: x.sum(),
        "dot": lambda: torch.dot(x, x),
        "product": lambda: torch.mv(x.view(512, 512), x[:512]),
        "largest": lambda: x.max(),
    }
    best = {name: best_rate(Probe(("", 0), MEBIBYTE, call), 0.05, PerfClock(), nothing) for name, call in reads.items()}

    # A quarter is for a shared machine, whose neighbours come and go between the two.
    roof = interpolate(measured.read_curve, MEBIBYTE) * 1.25
    assert {} == {name: rate for name, rate in best.items() if rate > roof}


@pytest.mark.parametrize(
    "threads, dtypes, budget_s, words",
    [
        (0, (), 1.0, "threads=0"),
        (1, ("float31",), 1.0, "dtype='float31'"),
        (1, ("int64",), 1.0, "dtype='int64'"),
        (1, (), 0.0, "time_budget_s=0.0"),
        (1, (), float("nan"), "time_budget_s=nan"),
    ],
)
def test_what_cannot_be_measured_is_refused(threads: int, dtypes: tuple[str, ...], budget_s: float, words: str) -> None:
    with pytest.raises(InputError, match=words):
        measure_ceilings(threads, dtypes, budget_s)


@pytest.mark.cuda
def test_a_cuda_device_has_ceilings_above_a_cpus() -> None:
    measured = measure_ceilings(1, ("bfloat16",), 5.0, device="cuda")

    assert measured.read_curve[-1][1] > 100e9
    assert measured.flop_per_s["bfloat16"] > measured.flop_per_s["float32"]
