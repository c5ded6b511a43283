"""From the events of torch's profiler to the time of each operation in one call."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

# (the operation with a formula inside of which it ran, or None; name)
Key = tuple[str | None, str]

# All that the engine of gradients does between operations; its own names carry the operation that it differentiates.
AUTOGRAD = "autograd"

_MICRO = 1e-6


@dataclass(frozen=True, slots=True)
class OperationTime:
    """One operation in one call: how often it ran, and the seconds of these runs together.

    self_s: without the operations that have a row of their own. total_s: with those that ran inside of it.
    """

    calls: int = 0
    self_s: float = 0.0
    total_s: float = 0.0

    def __add__(self, other: "OperationTime") -> "OperationTime":
        return OperationTime(self.calls + other.calls, self.self_s + other.self_s, self.total_s + other.total_s)


def call_spans(events: Iterable[Any], span: str) -> list[tuple[float, list[Any]]]:
    """(Seconds, outermost operations) of each call, in their order.

    Args: events: ``FunctionEvent`` of torch's profiler, with parents and children. span: the name of the record that
    stands around a call.
    """
    on_host = [event for event in events if event.device_type.name == "CPU" and not event.is_async]
    # Gradients on CUDA run on a thread of their own, where nothing is the parent of an operation.
    orphans = [event for event in on_host if event.cpu_parent is None and event.name != span]
    spans = []
    for call in sorted((e for e in on_host if e.name == span), key=lambda e: float(e.time_range.start)):
        start, end = call.time_range.start, call.time_range.end
        beside = [event for event in orphans if start <= event.time_range.start < end]
        spans.append((_host_s(call), [*call.cpu_children, *beside]))
    return spans


def operation_times(outermost: Iterable[Any], counted: frozenset[Key], device: str) -> dict[Key, OperationTime]:
    """The time of each operation of one call: the host's on the CPU, that of its kernels on CUDA.

    A counted operation keeps the time of what it calls, save for one with counted operations inside of it, which have
    rows of their own; what is not counted (the shell around another operation) keeps its own time alone.
    """
    times: dict[Key, OperationTime] = {}
    opened = frozenset(within for within, _ in counted if within is not None)
    for event in outermost:
        for key, time in _visit(event, None, counted, opened, device):
            times[key] = times.get(key, OperationTime()) + time
    return times


def _visit(
    event: Any, within: str | None, counted: frozenset[Key], opened: frozenset[str], device: str
) -> Iterator[tuple[Key, OperationTime]]:
    key = (within, _name(event.name))
    total_s = _total_s(event, device)
    is_opened = within is None and key[1] in opened
    if key in counted and not is_opened:
        yield key, OperationTime(1, total_s, total_s)
        return
    own_s = max(total_s - sum(_total_s(child, device) for child in event.cpu_children), 0.0)
    if within is not None and key[1] == AUTOGRAD:
        # An operation's implementation runs inside of torch's record of its gradient; the time is its own.
        yield (None, within), OperationTime(0, own_s, 0.0)
    else:
        yield key, OperationTime(1, own_s, total_s if is_opened else own_s)
    for child in event.cpu_children:
        yield from _visit(child, key[1] if is_opened else within, counted, opened, device)


def _total_s(event: Any, device: str) -> float:
    if device == "cpu":
        return _host_s(event)
    # ``kernels`` are those that the event itself launched.
    own_s = _MICRO * sum(float(kernel.duration) for kernel in event.kernels)
    return own_s + sum(_total_s(child, device) for child in event.cpu_children)


def _host_s(event: Any) -> float:
    return _MICRO * float(event.time_range.end - event.time_range.start)


def _name(name: str) -> str:
    return AUTOGRAD if "autograd::" in name or "Backward" in name else name
