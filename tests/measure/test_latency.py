"""Latency is sampled as promised: only the call is timed, all samples are kept, and the right rule ends it."""

import gc
from collections.abc import Callable
from math import inf, isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capratio.errors import InputError
from capratio.measure.clock import PerfClock
from capratio.measure.latency import LatencySamples, SamplePolicy, measure_latency, relative_standard_error


class FakeClock:
    """A clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.time_s = 0.0

    def now_s(self) -> float:
        return self.time_s

    def advance(self, seconds: float) -> None:
        self.time_s += seconds


class Bench:
    """A call of known durations, with a log of what ran."""

    def __init__(self, duration_s: Callable[[int], float], prepare_s: float = 0.0, evict_s: float = 0.0) -> None:
        self.clock = FakeClock()
        self.duration_s = duration_s
        self.prepare_s, self.evict_s = prepare_s, evict_s
        self.calls = 0
        self.log: list[str] = []

    def prepare(self, index: int) -> int:
        self.clock.advance(self.prepare_s)
        self.log.append(f"prepare {index}")
        return index

    def evict(self) -> None:
        self.clock.advance(self.evict_s)
        self.log.append("evict")

    def call(self, index: int) -> int:
        self.clock.advance(self.duration_s(self.calls))
        self.calls += 1
        self.log.append(f"call {index}")
        return index * 10

    def check(self, index: int, out: int) -> None:
        assert index * 10 == out
        self.clock.advance(1000.0 if self.prepare_s else 0.0)
        self.log.append(f"check {index}")

    def run(self, policy: SamplePolicy, cold: bool = False) -> LatencySamples:
        return measure_latency(
            self.call,
            prepare=self.prepare,
            check=self.check,
            clock=self.clock,
            evict=self.evict if cold else None,
            policy=policy,
        )


def policy(**changes: float) -> SamplePolicy:
    given_: dict[str, float] = {
        "min_samples": 4,
        "max_samples": 12,
        "time_limit_s": 1e9,
        "max_warmup_calls": 0,
        "warmup_time_limit_s": 1e9,
    }
    return SamplePolicy(**(given_ | changes))  # type: ignore[arg-type]


def alternating(call: int) -> float:
    """Too noisy ever to be steady: two values, far apart."""
    return 1.0 + call % 2


def test_only_the_call_is_timed() -> None:
    bench = Bench(alternating, prepare_s=50.0, evict_s=70.0)

    samples = bench.run(policy(max_samples=6), cold=True)

    assert (1.0, 2.0, 1.0, 2.0, 1.0, 2.0) == samples.samples_s


def test_a_sample_is_prepared_then_evicted_then_called_then_checked() -> None:
    bench = Bench(alternating)

    bench.run(policy(min_samples=2, max_samples=2), cold=True)

    expected = ["prepare 0", "evict", "call 0", "check 0", "prepare 1", "evict", "call 1", "check 1"]
    assert expected == bench.log


def test_a_warm_case_is_not_evicted() -> None:
    bench = Bench(alternating)

    bench.run(policy(max_warmup_calls=3))

    assert "evict" not in bench.log


def test_warmup_calls_are_prepared_evicted_and_checked_too() -> None:
    bench = Bench(alternating)

    bench.run(policy(max_warmup_calls=1, min_samples=1, max_samples=1), cold=True)

    assert 2 * ["prepare 0", "evict", "call 0", "check 0"] == bench.log


def test_samples_stay_in_the_order_of_time_with_their_outliers() -> None:
    durations = [3.0, 1.0, 2.0, 500.0, 4.0, 1.0]
    bench = Bench(durations.__getitem__)

    samples = bench.run(policy(max_samples=6))

    assert tuple(durations) == samples.samples_s


def test_equal_samples_stop_at_the_least_number_because_of_noise() -> None:
    samples = Bench(lambda _: 1.0).run(policy(min_samples=5))

    assert (5, "noise") == (len(samples.samples_s), samples.stopped_because)


def test_noisy_samples_stop_at_the_largest_number() -> None:
    samples = Bench(alternating).run(policy(max_samples=9))

    assert (9, "count") == (len(samples.samples_s), samples.stopped_because)


def test_noisy_samples_stop_at_the_time_limit() -> None:
    # 1 + 2 + 1 + 2 + 1 s: the limit of 6.5 s is passed by the fifth sample.
    samples = Bench(alternating).run(policy(time_limit_s=6.5))

    assert (5, "time") == (len(samples.samples_s), samples.stopped_because)


def test_the_least_number_of_samples_is_taken_whatever_the_time() -> None:
    samples = Bench(alternating).run(policy(min_samples=4, time_limit_s=0.5))

    assert (4, "time") == (len(samples.samples_s), samples.stopped_because)


def test_preparation_counts_towards_the_time_limit() -> None:
    bench = Bench(lambda call: 1e-6 * alternating(call), prepare_s=10.0)

    samples = bench.run(policy(time_limit_s=1.0))

    assert (4, "time") == (len(samples.samples_s), samples.stopped_because)


def test_warmup_goes_on_while_calls_get_faster() -> None:
    # Falls until call 20, then stays: windows of 5 are equal first when both lie at or after call 20.
    bench = Bench(lambda call: float(max(30 - call, 10)))

    samples = bench.run(policy(max_warmup_calls=100))

    # The medians of calls 18..22 and 23..27 are both 10: the window before has its median at call 20.
    assert 28 == samples.warmup_calls
    assert {10.0} == set(samples.samples_s)


def test_warmup_of_a_steady_call_takes_two_windows() -> None:
    assert 10 == Bench(lambda _: 1.0).run(policy(max_warmup_calls=100)).warmup_calls


def test_warmup_that_never_gets_steady_stops_at_its_number_of_calls() -> None:
    samples = Bench(lambda call: 1.0 / (call + 1)).run(policy(max_warmup_calls=17, max_samples=4))

    assert 17 == samples.warmup_calls


def test_warmup_that_never_gets_steady_stops_at_its_time_limit() -> None:
    # 10 + 9 + 8 = 27 s are over the limit of 25 s.
    samples = Bench(lambda call: 10.0 - call).run(policy(max_warmup_calls=100, warmup_time_limit_s=25.0))

    assert 3 == samples.warmup_calls


def test_warmup_can_be_left_out() -> None:
    assert 0 == Bench(alternating).run(policy(max_warmup_calls=0)).warmup_calls


def test_a_wrong_output_stops_the_measurement() -> None:
    def wrong(index: int, out: int) -> None:
        raise ValueError(f"sample {index}")

    bench = Bench(alternating)

    with pytest.raises(ValueError, match="sample 0"):
        measure_latency(bench.call, prepare=bench.prepare, check=wrong, clock=bench.clock, policy=policy())
    assert gc.isenabled()


def test_garbage_is_not_collected_during_samples_and_is_again_after() -> None:
    seen: list[bool] = []
    bench = Bench(alternating)

    measure_latency(
        bench.call,
        prepare=bench.prepare,
        check=lambda index, out: seen.append(gc.isenabled()),
        clock=bench.clock,
        policy=policy(max_warmup_calls=2),
    )

    assert {False} == set(seen)
    assert gc.isenabled()


def test_garbage_collection_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        Bench(alternating).run(policy())

        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_standard_error_of_a_known_sample_is_that_of_the_hand_count() -> None:
    # Quartiles 1.5 and 3.5 of (1, 2, 3, 4), median 2.5: 1.2533 * (2 / 1.349) / sqrt(4) / 2.5.
    assert isclose(0.37163, relative_standard_error([4.0, 1.0, 3.0, 2.0]), rel_tol=1e-4)


def test_one_outlier_leaves_the_standard_error_where_it_was() -> None:
    quiet = [1.0 + 0.001 * (i % 5) for i in range(20)]

    assert relative_standard_error(quiet) == pytest.approx(relative_standard_error([*quiet[:-1], 1e6]), rel=0.6)


def test_three_samples_have_no_standard_error() -> None:
    assert inf == relative_standard_error([1.0, 1.0, 1.0])


def test_a_clock_that_stands_still_never_looks_steady() -> None:
    samples = Bench(lambda _: 0.0).run(policy(max_samples=8))

    assert "count" == samples.stopped_because


@given(st.lists(st.floats(1e-6, 1e3), min_size=4, max_size=40), st.floats(1e-3, 1e3))
def test_the_relative_standard_error_has_no_unit(samples: list[float], scale: float) -> None:
    scaled = [sample * scale for sample in samples]

    assert isclose(relative_standard_error(samples), relative_standard_error(scaled), rel_tol=1e-9, abs_tol=1e-9)


@given(st.lists(st.floats(0.5, 2.0), min_size=12, max_size=12), st.integers(1, 12))
def test_a_sampling_ends_between_its_least_and_its_largest_number(durations: list[float], least: int) -> None:
    samples = Bench(durations.__getitem__).run(policy(min_samples=least))

    assert least <= len(samples.samples_s) <= 12
    assert durations[: len(samples.samples_s)] == pytest.approx(list(samples.samples_s))
    noise = relative_standard_error(samples.samples_s)
    assert ("noise" if noise <= 0.005 else "count") == samples.stopped_because


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"min_samples": 0}, "at least 1 sample"),
        ({"min_samples": 5, "max_samples": 4}, "max_samples must not be under"),
        ({"time_limit_s": 0.0}, "time_limit_s=0.0"),
        ({"time_limit_s": float("nan")}, "time_limit_s=nan"),
        ({"relative_noise": -0.1}, "relative_noise=-0.1"),
        ({"warmup_time_limit_s": 0.0}, "warmup_time_limit_s=0.0"),
        ({"max_warmup_calls": -1}, "max_warmup_calls=-1"),
    ],
)
def test_a_policy_that_cannot_be_followed_is_refused(changes: dict[str, float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        policy(**changes)


def test_the_clock_of_the_process_never_falls() -> None:
    clock = PerfClock()

    readings = [clock.now_s() for _ in range(100)]

    assert sorted(readings) == readings
    assert readings[0] < readings[-1]
