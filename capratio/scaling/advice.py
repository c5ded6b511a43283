"""What would decide an undecided claim, in one sentence."""

from math import ceil

# More processes than these for one case are no advice that anybody follows.
_MOST_PROCESSES = 200


def more_sizes(symbol: str, sizes: int, needed: int, largest: float, *, integers: bool) -> str:
    """Advice where there are too few sizes: how far a line over every integer must go, or how many sizes more."""
    if integers:
        reach = int(largest) + needed - sizes
        return f"Needs {symbol} up to {reach}, every integer: {needed} sizes of it, {sizes} were measured."
    return f"Needs {needed} sizes of {symbol}; {sizes} were measured."


def more_resolved(symbol: str, resolved: int, needed: int, largest: float, *, integers: bool) -> str:
    """Advice where too few differences stand clear of the noise."""
    reach = f"{symbol} up to {int(largest) + needed - resolved}" if integers else f"larger {symbol}"
    return f"Needs {reach}, or more processes a case: {resolved} sizes are above resolution, {needed} must be."


def more_processes(estimate: float, low: float, high: float, expected: float, margin: float, processes: int) -> str:
    """Advice where an interval crosses the edge of the margin: how many processes would draw it to one side.

    An interval's width falls with the square root of the processes. Where they would be too many, the estimate lies on
    the edge itself.
    """
    half_width = max(high - low, 0.0) / 2.0
    room = abs(margin - abs(estimate - expected))
    told = f"interval half-width {half_width:.2g}, margin {margin:.2g}"
    needed = ceil(processes * (half_width / room) ** 2) if room > 0 else _MOST_PROCESSES + 1
    if needed > _MOST_PROCESSES:
        return (
            f"Needs another range of sizes: {told}, and the estimate lies so near the margin's edge that over "
            f"{_MOST_PROCESSES} processes a case would be needed here."
        )
    return f"Needs more processes a case: {told}; about {max(needed, processes + 1)} in place of {processes}."
