"""Latency is sampled as promised: only the call is timed, all samples are kept, and the right rule ends it."""

import gc
import weakref
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capratio.errors import InputError
from capratio.measure import latency
from capratio.measure.latency import LatencySamples, SamplePolicy, measure_latency
from capratio.measure.noise import relative_noise


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
        "min_samples": 6,
        "max_samples": 12,
        "time_limit_s": 1e9,
        "warmup_max_calls": 1,
        "warmup_time_limit_s": 1e9,
    }
    return SamplePolicy(**(given_ | changes))  # type: ignore[arg-type]


def alternating(call: int) -> float:
    """Two values, far apart: never steady and never quiet."""
    return 2.0 - call % 2


def test_only_the_call_is_timed() -> None:
    bench = Bench(alternating, prepare_s=50.0, evict_s=70.0)

    samples = bench.run(policy(max_samples=6), cold=True)

    # The first call, of 2 s, warms up.
    assert (1.0, 2.0, 1.0, 2.0, 1.0, 2.0) == samples.samples_s


def test_a_timer_that_times_the_preparation_too_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_much(self: latency._Steps, index: int) -> float:
        start_s = self._now_s()
        self._check(index, self._call(self._prepare(index)))
        return self._now_s() - start_s

    monkeypatch.setattr(latency._Steps, "time", too_much)

    with pytest.raises(AssertionError):
        test_only_the_call_is_timed()


def test_a_sample_is_prepared_then_evicted_then_called_then_checked_and_a_warm_up_call_too() -> None:
    bench = Bench(alternating)

    bench.run(policy(min_samples=1, max_samples=1), cold=True)

    expected = ["prepare 0", "evict", "call 0", "check 0", "prepare 1", "evict", "call 1", "check 1"]
    assert expected == bench.log


def test_a_warm_case_is_not_evicted() -> None:
    bench = Bench(alternating)

    bench.run(policy(warmup_max_calls=3))

    assert "evict" not in bench.log


def test_samples_stay_in_the_order_of_time_with_their_outliers() -> None:
    durations = [9.0, 3.0, 1.0, 2.0, 500.0, 4.0, 1.0]
    bench = Bench(durations.__getitem__)

    samples = bench.run(policy(max_samples=6))

    assert tuple(durations[1:]) == samples.samples_s
    assert 2.5 == samples.median_s


def test_equal_samples_stop_at_the_least_number_because_of_noise() -> None:
    samples = Bench(lambda _: 1.0).run(policy(min_samples=7))

    assert (7, "noise") == (len(samples.samples_s), samples.stopped_because)


def test_equal_samples_go_on_where_no_interval_can_be_known() -> None:
    # 5 samples have no 95 % interval of their median.
    samples = Bench(lambda _: 1.0).run(policy(min_samples=2))

    assert (6, "noise") == (len(samples.samples_s), samples.stopped_because)


def test_noisy_samples_stop_at_the_largest_number() -> None:
    samples = Bench(alternating).run(policy(max_samples=9))

    assert (9, "count") == (len(samples.samples_s), samples.stopped_because)


def test_noisy_samples_stop_at_the_time_limit() -> None:
    # 1 + 2 + 1 + 2 + 1 s: the limit of 6.5 s is passed by the fifth sample.
    samples = Bench(alternating).run(policy(time_limit_s=6.5))

    assert (5, "time") == (len(samples.samples_s), samples.stopped_because)


def test_one_sample_is_taken_whatever_the_time() -> None:
    samples = Bench(alternating).run(policy(time_limit_s=0.5))

    assert (1, "time") == (len(samples.samples_s), samples.stopped_because)


def test_preparation_counts_towards_the_time_limit() -> None:
    bench = Bench(lambda call: 1e-6 * alternating(call), prepare_s=10.0)

    samples = bench.run(policy(time_limit_s=1.0))

    assert (1, "time") == (len(samples.samples_s), samples.stopped_because)


def test_warm_up_goes_on_while_calls_get_faster() -> None:
    # Falls by 1 s to 10 s at call 20. Windows of 3 with medians 12 and 10 (calls 18 and 21) differ by more than 5 %, as
    # do 11 and 10 (19 and 22); those of calls 20 and 23 are equal, and call 24 is the last that they need.
    bench = Bench(lambda call: float(max(30 - call, 10)))

    samples = bench.run(policy(warmup_max_calls=100))

    assert 25 == samples.warmup_calls
    assert {10.0} == set(samples.samples_s)


def test_warm_up_of_a_steady_call_takes_two_windows_of_three() -> None:
    assert 6 == Bench(lambda _: 1.0).run(policy(warmup_max_calls=100)).warmup_calls


def test_one_slow_call_does_not_end_the_warm_up() -> None:
    # 64, 32, 16, 8, 99, 4 …: the median of the window with the slow call is still lower.
    durations = [64.0, 32.0, 16.0, 8.0, 99.0, 4.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    bench = Bench(lambda call: durations[min(call, 12)])

    assert 6 < bench.run(policy(warmup_max_calls=100)).warmup_calls


def test_warm_up_that_never_gets_steady_stops_at_its_number_of_calls() -> None:
    samples = Bench(lambda call: 0.5**call).run(policy(warmup_max_calls=17))

    assert 17 == samples.warmup_calls


def test_warm_up_that_never_gets_steady_stops_at_its_time_limit() -> None:
    # 10 + 9 + 8 = 27 s are over the limit of 25 s.
    samples = Bench(lambda call: max(10.0 - call, 1.0)).run(policy(warmup_max_calls=100, warmup_time_limit_s=25.0))

    assert 3 == samples.warmup_calls


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
        policy=policy(warmup_max_calls=2),
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


def test_an_output_is_released_before_the_next_sample_is_prepared() -> None:
    class Output:
        pass

    alive: list[weakref.ref[Output]] = []

    def prepare(index: int) -> int:
        assert all(output() is None for output in alive)
        return index

    def call(index: int) -> Output:
        made = Output()
        alive.append(weakref.ref(made))
        return made

    measure_latency(
        call, prepare=prepare, check=lambda index, out: None, clock=FakeClock(), policy=policy(max_samples=6)
    )

    assert 7 == len(alive)


def test_a_clock_that_stands_still_never_looks_quiet() -> None:
    samples = Bench(lambda _: 0.0).run(policy(max_samples=8))

    assert "count" == samples.stopped_because


@settings(max_examples=15)  # each collects the garbage of the whole test process
@given(st.lists(st.floats(0.5, 2.0), min_size=13, max_size=13), st.integers(1, 12))
def test_a_sampling_ends_between_its_least_and_its_largest_number(durations: list[float], least: int) -> None:
    samples = Bench(durations.__getitem__).run(policy(min_samples=least))

    count = len(samples.samples_s)
    assert least <= count <= 12
    assert durations[1 : count + 1] == pytest.approx(list(samples.samples_s))
    assert ("noise" if relative_noise(samples.samples_s) <= 0.005 else "count") == samples.stopped_because


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"min_samples": 0}, "min_samples=0"),
        ({"min_samples": 5, "max_samples": 4}, "max_samples=4"),
        ({"time_limit_s": 0.0}, "time_limit_s=0.0"),
        ({"time_limit_s": float("nan")}, "time_limit_s=nan"),
        ({"relative_noise": -0.1}, "relative_noise=-0.1"),
        ({"warmup_time_limit_s": 0.0}, "warmup_time_limit_s=0.0"),
        ({"warmup_max_calls": 0}, "warmup_max_calls=0"),
    ],
)
def test_a_policy_that_cannot_be_followed_is_refused(changes: dict[str, float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        policy(**changes)
