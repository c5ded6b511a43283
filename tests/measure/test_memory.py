"""The memory of a call: hand-counted peaks, and no number where the device has none."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from capratio.measure import memory as memory_module
from capratio.measure.memory import CallMemory, measure_memory, peak_of_changes

MEBIBYTE = 2**20
ONE_MEBIBYTE = MEBIBYTE // 4  # float32 elements


def new(mebibytes: int) -> torch.Tensor:
    return torch.empty(mebibytes * ONE_MEBIBYTE, dtype=torch.float32)


def test_a_tensor_that_is_returned_is_the_peak() -> None:
    assert 3 * MEBIBYTE == measure_memory(lambda: new(3)).allocated_peak_bytes


def test_tensors_that_live_together_add_up_and_others_do_not() -> None:
    def call() -> None:
        first = new(2)
        second = new(3)
        del first, second
        for _ in range(4):
            third = new(1)
            del third

    assert 5 * MEBIBYTE == measure_memory(call).allocated_peak_bytes


def test_what_was_held_before_is_not_counted() -> None:
    held = new(8)

    assert 1 * MEBIBYTE == measure_memory(lambda: (held.shape, new(1))).allocated_peak_bytes


def test_a_call_that_releases_what_was_held_has_no_peak_under_zero() -> None:
    held = [new(8)]

    # The first of two calls releases; both have no allocation.
    assert 0 == measure_memory(held.clear).allocated_peak_bytes


def test_a_call_without_tensors_has_no_peak() -> None:
    assert 0 == measure_memory(lambda: None).allocated_peak_bytes


def test_gradients_that_are_released_before_a_call_are_not_given_back_by_it() -> None:
    weight = torch.ones(ONE_MEBIBYTE, requires_grad=True)

    def prepare() -> None:
        weight.grad = None

    def call() -> None:
        torch.autograd.backward(weight * 2.0, torch.ones(ONE_MEBIBYTE))

    peaks = []
    for _ in range(6):
        prepare()
        call()
        peaks.append(measure_memory(call, prepare=prepare).allocated_peak_bytes)

    # Released inside the call they were taken off the peak, where an earlier profile had known memory at their address.
    assert {peaks[0]} == set(peaks)
    assert peaks[0] is not None
    assert 3 * MEBIBYTE <= peaks[0] < 3.1 * MEBIBYTE


def test_the_gradients_of_a_backward_pass_are_in_the_peak() -> None:
    weight = torch.ones(ONE_MEBIBYTE, requires_grad=True)

    # Nothing is kept from call to call: what a call releases of memory that was allocated before it has no known size.
    def call() -> tuple[torch.Tensor, ...]:
        return torch.autograd.grad(weight * 2.0, weight, torch.ones(ONE_MEBIBYTE))

    peak = measure_memory(call).allocated_peak_bytes

    # The product, the gradient that comes in, and the gradient of the weight; scalars are small.
    assert peak is not None
    assert 3 * MEBIBYTE <= peak < 3.1 * MEBIBYTE


def resident_of(memory: CallMemory) -> int:
    if memory.resident_peak_bytes is None:
        pytest.skip(memory.absent["resident_peak_bytes"])
    return memory.resident_peak_bytes


def test_the_resident_peak_sees_pages_that_are_written_and_released() -> None:
    resident = resident_of(measure_memory(lambda: torch.ones(64 * ONE_MEBIBYTE).numel()))

    # 64 MiB of float32 in pages, give or take what the process had free.
    assert 60 * MEBIBYTE < resident < 96 * MEBIBYTE


def test_the_resident_peak_forgets_what_was_released_before() -> None:
    torch.ones(64 * ONE_MEBIBYTE).sum()

    assert resident_of(measure_memory(lambda: None)) < 16 * MEBIBYTE


def test_a_given_baseline_is_subtracted_from_the_resident_peak() -> None:
    whole = resident_of(measure_memory(lambda: None, baseline_resident_bytes=0))
    part = resident_of(measure_memory(lambda: None, baseline_resident_bytes=64 * MEBIBYTE))

    # A process that has imported torch is larger than that.
    assert whole > 64 * MEBIBYTE
    assert part == pytest.approx(whole - 64 * MEBIBYTE, abs=16 * MEBIBYTE)


def test_numbers_that_a_cpu_has_not_are_none_with_their_reason() -> None:
    memory = measure_memory(lambda: None)

    assert memory.reserved_peak_bytes is None
    assert memory.device_used_peak_bytes is None
    assert {"reserved_peak_bytes", "device_used_peak_bytes"} <= memory.absent.keys()


def test_a_system_without_a_reset_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(call: object) -> int:
        raise PermissionError("clear_refs")

    monkeypatch.setattr(memory_module, "resident_peak_bytes", refused)

    memory = measure_memory(lambda: None)

    assert memory.resident_peak_bytes is None
    assert "clear_refs" in memory.absent["resident_peak_bytes"]


def test_every_number_that_is_none_has_its_reason() -> None:
    memory = measure_memory(lambda: None)

    names = [name for name in memory.__slots__ if name != "absent"]
    assert memory.absent.keys() == {name for name in names if getattr(memory, name) is None}


def test_an_error_of_the_call_comes_through() -> None:
    def fails() -> None:
        raise ValueError("of the call")

    with pytest.raises(ValueError, match="of the call"):
        measure_memory(fails)


@given(st.lists(st.integers(-100, 100), max_size=30))
def test_the_running_peak_is_the_largest_prefix_sum(deltas: list[int]) -> None:
    assert max(sum(deltas[:end]) for end in range(len(deltas) + 1)) == peak_of_changes(deltas)


def test_a_peak_that_is_read_as_a_sum_of_allocations_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def sum_of_allocations(deltas: list[int]) -> int:
        return sum(delta for delta in deltas if delta > 0)

    monkeypatch.setattr(memory_module, "peak_of_changes", sum_of_allocations)

    with pytest.raises(AssertionError):
        test_tensors_that_live_together_add_up_and_others_do_not()


@pytest.mark.cuda
def test_a_cuda_tensor_is_in_all_three_numbers_of_its_device() -> None:
    torch.cuda.empty_cache()

    memory = measure_memory(lambda: torch.empty(64 * ONE_MEBIBYTE, device="cuda"), device="cuda")

    assert 64 * MEBIBYTE == memory.allocated_peak_bytes
    assert memory.reserved_peak_bytes is not None
    assert memory.reserved_peak_bytes >= 64 * MEBIBYTE
    assert memory.device_used_peak_bytes is not None
    assert memory.resident_peak_bytes is None
