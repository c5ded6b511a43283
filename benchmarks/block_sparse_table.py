"""The table of ``benchmarks.block_sparse_speedup``: ratios of times of one replicate, over all replicates."""

import statistics
from typing import Any

from capratio.units import seconds

HEADERS = (
    "part",
    "inputs",
    "outputs",
    "tokens",
    "threads",
    "masks",
    "live in",
    "live out",
    "density",
    "block_linear",
    "dense",
    "dense-masked",
    "bsr",
    "bsr-linear",
)
PEERS = HEADERS[-4:]


def markdown(replicates: list[list[dict[str, Any]]]) -> str:
    """A Markdown table, a row a case: block_linear's median time, and how many times as long each peer takes.

    A ratio is the median over replicates with the least and the largest in brackets. live in, live out: the share of
    blocks that are alive in the mean; density: of their pairs.
    """
    lines = [f"| {' | '.join(HEADERS)} |", f"|{'---|' * len(HEADERS)}"]
    lines += [f"| {' | '.join(_row(list(rows)))} |" for rows in zip(*replicates, strict=True)]
    return "\n".join(lines) + "\n"


def _row(rows: list[dict[str, Any]]) -> list[str]:
    case = rows[0]["case"]
    ours = [row["times_s"]["block_linear"] for row in rows]
    return [
        case["part"],
        f"{case['in_blocks']} x {case['in_size']}",
        f"{case['out_blocks']} x {case['out_size']}",
        str(case["tokens"]),
        str(case["threads"]),
        "shared" if case["shared"] else "own",
        *(f"{100 * statistics.fmean(row[key] for row in rows):.1f} %" for key in ("live_in", "live_out", "density")),
        seconds(statistics.median(ours)),
        *(_ratio([row["times_s"].get(peer) for row in rows], ours) for peer in PEERS),
    ]


def _ratio(theirs: list[float | None], ours: list[float]) -> str:
    ratios = [their / our for their, our in zip(theirs, ours, strict=True) if their is not None]
    if not ratios:
        return ""
    return f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"
