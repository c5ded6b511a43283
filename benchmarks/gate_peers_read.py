"""What asv and pytest-benchmark say of two commits, read from their own output and asked of asv's own rule."""

import inspect
import re
from dataclasses import dataclass
from typing import Any

from asv import _stats
from asv.commands.compare import _is_result_better
from asv_runner.statistics import compute_stats  # type: ignore[import-untyped]

# asv's default: a change counts from here on.
FACTOR = 1.1
SLOWER, FASTER, ALIKE = "slower", "faster", "alike"
# asv's marks of a decision; any other mark says that there was nothing to compare.
MARKS = {"+": SLOWER, "-": FASTER, "": ALIKE}
# asv says so before it measures a commit, and so before it turns to the next one.
MEASURING, TURNING = "·· Benchmarking ", "· For "
FAILED_CHECK = re.compile(r"^\t(?P<name>.+?) \(\d{4}_\w+\) - Field 'mean' has failed \w+: (?P<change>\S+) > ")


@dataclass(frozen=True, slots=True)
class Compared:
    """One comparison: what was compared, what the tool calls it, and head / base where the tool prints it."""

    name: str
    called: str
    ratio: float | None = None


def asv_comparisons(output: str) -> list[Compared]:
    """The rows of the table that ``asv continuous --no-only-changed`` ends with, without those that were skipped."""
    found = []
    for line in output.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) != 5 or cells[0] not in MARKS:
            continue
        mark, _, _, ratio, name = cells
        # A tilde stands before a large ratio that asv does not believe.
        if ratio != "n/a":
            found.append(Compared(name, MARKS[mark], float(ratio.removeprefix("~"))))
    return found


def measuring_s(stamped: list[tuple[float, str]], end_s: float) -> float:
    """Seconds in which asv ran benchmarks; in the rest it makes environments and wheels, and installs them.

    Args: stamped: lines of its output with the seconds at which they came. end_s: when it ended.
    """
    total_s, measures = 0.0, False
    stops_s = [when_s for when_s, _ in stamped[1:]] + [end_s]
    for (when_s, line), until_s in zip(stamped, stops_s, strict=True):
        measures = MEASURING in line or (measures and TURNING not in line)
        total_s += (until_s - when_s) * measures
    return total_s


def pytest_failures(output: str) -> dict[str, float]:
    """Benchmark → rise of its mean in per cent, of those that ``--benchmark-compare-fail`` failed on."""
    matches = (FAILED_CHECK.match(line) for line in output.splitlines())
    return {match["name"]: float(match["change"]) for match in matches if match}


def pytest_comparisons(output: str, base: dict[str, float], head: dict[str, float]) -> list[Compared]:
    """Every benchmark of both sides, by its mean.

    Raises ValueError where the sides, or what failed, are not of the same benchmarks.
    """
    failed = pytest_failures(output)
    if base.keys() != head.keys() or not failed.keys() <= base.keys():
        raise ValueError(
            f"the benchmarks of the sides differ: {sorted(base)}, {sorted(head)}, failed {sorted(failed)}."
        )
    return [Compared(name, SLOWER if name in failed else ALIKE, head[name] / base[name]) for name in base]


def asv_on_doubled(processes: int) -> dict[str, Any]:
    """What asv says of a head that takes twice the time of base in each of so many processes a side, one sample each.

    The samples of a side spread over 1 % and the sides lie wide apart, so that every rank test sees the most it can.
    """
    base = [1.0 + 0.01 * process / processes for process in range(processes)]
    head = [2.0 * sample for sample in base]
    (base_s, base_stats), (head_s, head_stats) = compute_stats(base, 1), compute_stats(head, 1)
    slower = _is_result_better(base_s, head_s, (base_stats, base), (head_stats, head), FACTOR)
    return {
        "processes": processes,
        "ratio": head_s / base_s,
        "mann_whitney_p": _stats.mann_whitney_u(base, head)[1],
        "bar": inspect.signature(_stats.is_different).parameters["p_threshold"].default,
        "different": _stats.is_different(base, head, base_stats, head_stats),
        "called": SLOWER if slower else ALIKE,
    }
