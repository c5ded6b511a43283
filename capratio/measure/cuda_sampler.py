"""One sample on a CUDA device: L2 emptied if cold, launch gaps hidden behind a blocking kernel or in a graph."""

from collections.abc import Callable
from typing import Generic, TypeVar

import torch

from capratio.errors import InputError
from capratio.measure.clock import Clock
from capratio.measure.cuda_device import l2_bytes

Argument = TypeVar("Argument")
Output = TypeVar("Output")

LAUNCHES = ("blocking-kernel", "graph")
# The host launches a call while the device is busy with a blocking kernel, which lasts this many times the launches.
BLOCKING_MARGIN = 2.0
BLOCKING_LEAST_S = 5e-4
# What waits for the device in the middle of a call launches no sooner for a longer block.
BLOCKING_MOST_S = 5e-2
# The clock that no device exceeds, so that a block is never shorter than asked.
CYCLES_PER_S = 3e9


class CudaSampler(Generic[Argument, Output]):
    """Times a call twice a sample: by the host's clock, and by the device's events with the launches hidden."""

    def __init__(
        self,
        call: Callable[[Argument], Output],
        *,
        prepare: Callable[[int], Argument],
        check: Callable[[int, Output], None],
        clock: Clock,
        cold: bool,
        launch: str = "blocking-kernel",
    ) -> None:
        """cold: whether L2 is emptied before each call, by writing exactly its size. launch: one of ``LAUNCHES``; a
        graph is captured once, of the call on ``prepare(0)``, and replayed.

        Raises InputError for another launch.
        """
        if launch not in LAUNCHES:
            raise InputError(f"launch={launch!r} is not known; it must be one of {', '.join(LAUNCHES)}.")
        self._call, self._prepare, self._check, self._now_s = call, prepare, check, clock.now_s
        self._flush = torch.empty(l2_bytes(), dtype=torch.int8, device="cuda") if cold else None
        self._graph: torch.cuda.CUDAGraph | None = None
        if launch == "graph":
            self._argument = prepare(0)
            self._graph, self._captured = _capture(lambda: call(self._argument))

    def sample(self, index: int) -> tuple[float, float]:
        """Run sample ``index``; (wall seconds with launches, device seconds without)."""
        argument = self._prepare(index)
        self._empty_l2()
        torch.cuda.synchronize()
        start_s = self._now_s()
        out = self._call(argument)
        launched_s = self._now_s() - start_s
        torch.cuda.synchronize()
        wall_s = self._now_s() - start_s
        self._check(index, out)
        del out
        return wall_s, self._device_s(index, launched_s)

    def _device_s(self, index: int, launched_s: float) -> float:
        before, after = _event(), _event()
        argument = self._prepare(index) if self._graph is None else self._argument
        torch.cuda._sleep(blocking_cycles(launched_s))  # type: ignore[no-untyped-call]
        # In the stream after the blocking kernel, so that it ends right before the call begins.
        self._empty_l2()
        before.record()
        if self._graph is None:
            out = self._call(argument)
        else:
            self._graph.replay()
            out = self._captured
        after.record()
        torch.cuda.synchronize()
        self._check(index if self._graph is None else 0, out)
        return float(before.elapsed_time(after)) / 1e3

    def _empty_l2(self) -> None:
        if self._flush is not None:
            self._flush.zero_()


def blocking_cycles(launched_s: float) -> int:
    """Cycles of a kernel that outlasts launches which took ``launched_s`` seconds of the host."""
    block_s = min(max(BLOCKING_MARGIN * launched_s, BLOCKING_LEAST_S), BLOCKING_MOST_S)
    return int(block_s * CYCLES_PER_S)


def _capture(call: Callable[[], Output]) -> tuple[torch.cuda.CUDAGraph, Output]:
    """A graph of the call, after three calls on a side stream so that nothing is set up while it is captured."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = call()
    return graph, out


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
