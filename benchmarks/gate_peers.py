"""How often asv and pytest-benchmark raise false alarms on this machine, and which real slowdowns they find.

Each compares a commit with an empty child of it, and with children whose timed calls spin for a share of their own
time. Whole runs are added to one JSON file one by one; what is there is not measured again.
"""

import argparse
import json
import statistics
import tempfile
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.gate_peers_read import FASTER, SLOWER, asv_on_doubled
from benchmarks.gate_peers_run import ROOT, describe_to_asv, git, make_clone, make_head, run_asv, run_pytest
from capratio.display import text_table
from capratio.measure.machine import describe_machine, machine_identity
from capratio.records.whole_file import write_whole
from capratio.units import seconds

TOOLS = ("asv", "pytest")
PACKAGES = ("asv", "asv_runner", "pytest", "pytest-benchmark", "torch", "numba", "numpy")
PERCENTS = (0, 10, 5, 2)
# Six a side is the fewest that asv's test takes samples for; with five it asks intervals instead.
PROCESSES = (5, 6, 7)
CHECKOUT = ("capratio", "commit", "dirty", "content")
HEADERS = ("gate", "injected", "runs", "that failed", "comparisons", SLOWER, FASTER, "a run", "of it measuring")
EXAMPLE = "example: python -m benchmarks.gate_peers --out peers.json --runs 3"


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gate_peers", description=(__doc__ or "").split("\n", 1)[0], epilog=EXAMPLE
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the JSON file that runs are added to")
    parser.add_argument("--runs", type=int, default=3, help="whole runs a gate and slowdown (default: 3)")
    parser.add_argument("--only", choices=(*TOOLS, "six"), help="one gate, or asv's rule at six processes a side")
    parser.add_argument(
        "--percents",
        type=int,
        nargs="+",
        default=list(PERCENTS),
        metavar="P",
        help="slowdowns in per cent, 0 for the same content (default: 0 10 5 2)",
    )
    parser.add_argument("--commit", default="HEAD", help="what is measured, by HEAD or before it (default: HEAD)")
    parser.add_argument("--bench", default="time_forward", metavar="REGEX", help="asv's benchmarks (time_forward)")
    parser.add_argument("--keyword", default="", metavar="EXPR", help="pytest-benchmark's tests, as pytest -k (all)")
    parser.add_argument(
        "--clone",
        type=Path,
        default=Path(tempfile.gettempdir()) / "capratio-gate-peers",
        metavar="FOLDER",
        help="a clone of this repository with asv's environment; made where it is missing, kept, used again",
    )
    return parser.parse_args(arguments)


def identity(options: argparse.Namespace) -> dict[str, Any]:
    """What all runs of a file have in common."""
    return {
        "commit": git(ROOT, "rev-parse", f"{options.commit}^{{commit}}"),
        "bench": options.bench,
        "keyword": options.keyword,
        "machine": machine_identity(),
        "versions": {name: version(name) for name in PACKAGES},
    }


def opened(path: Path, common: dict[str, Any]) -> dict[str, Any]:
    """What a file holds, or the start of a new one.

    Raises ValueError where it is of another commit, machine or choice of benchmarks.
    """
    if not path.exists():
        # The checkout that this script is of is not what is measured.
        machine = {key: value for key, value in describe_machine().items() if key not in CHECKOUT}
        return {"of": common, "machine": machine, "runs": [], "doubled": []}
    found: dict[str, Any] = json.loads(path.read_text())
    differing = sorted(key for key in common if found["of"].get(key) != common[key])
    if differing:
        raise ValueError(f"{path} was begun with another {', '.join(differing)}; give another --out.")
    return found


def save(path: Path, found: dict[str, Any]) -> None:
    """Write the whole file anew, or leave the old one."""
    write_whole(path, (json.dumps(found, indent=1, ensure_ascii=False) + "\n").encode())


def missing(found: dict[str, Any], tools: list[str], percents: list[int], runs: int) -> list[tuple[str, int]]:
    """What is still to be run: each slowdown once, then all again, so that a drift of the machine meets all alike."""
    there = Counter((run["tool"], run["percent"]) for run in found["runs"])
    return [
        (tool, percent)
        for number in range(runs)
        for tool in tools
        for percent in percents
        if there[tool, percent] <= number
    ]


def measure(clone: Path, tool: str, percent: int, common: dict[str, Any]) -> dict[str, Any]:
    """One whole run of a gate."""
    head = make_head(clone, common["commit"], tool, percent / 100)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    run = run_asv if tool == "asv" else run_pytest
    result = run(clone, common["commit"], head, common["bench" if tool == "asv" else "keyword"])
    return {"tool": tool, "percent": percent, "started": started, "head": head, **result}


def row(runs: list[dict[str, Any]]) -> tuple[object, ...]:
    """One gate at one slowdown, over its runs."""
    measuring_s = [run["measuring_s"] for run in runs if "measuring_s" in run]
    called = Counter(comparison["called"] for run in runs for comparison in run["compared"])
    return (
        runs[0]["tool"],
        f"+{runs[0]['percent']} %" if runs[0]["percent"] else "nothing",
        len(runs),
        sum(run["exit_code"] != 0 for run in runs),
        called.total(),
        called[SLOWER],
        called[FASTER],
        seconds(statistics.median(run["seconds"] for run in runs)),
        seconds(statistics.median(measuring_s)) if measuring_s else None,
    )


def summary(found: dict[str, Any]) -> str:
    """The runs by gate and slowdown, and what asv says of twice the time."""
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for run in found["runs"]:
        groups.setdefault((run["tool"], run["percent"]), []).append(run)
    parts = [text_table(HEADERS, [row(groups[key]) for key in sorted(groups)], left=["gate", "injected"])]
    for said in found["doubled"]:
        count = said["processes"]
        parts.append(
            f"asv on twice the time, {count} processes against {count}: {said['called']}"
            f" (its p {said['mann_whitney_p']:.5f}, its bar {said['bar']})"
        )
    return "\n".join(parts)


def main() -> None:
    """Measure what is missing, keep each run as it ends, and print the table."""
    options = parsed()
    common = identity(options)
    try:
        found = opened(options.out, common)
        tools = [tool for tool in TOOLS if options.only in (None, tool)]
        todo = missing(found, tools, options.percents, options.runs)
        if todo:
            make_clone(options.clone, common["commit"])
            describe_to_asv(options.clone)
    except ValueError as error:
        raise SystemExit(f"gate_peers: {error}") from None
    if options.only in (None, "six"):
        found["doubled"] = [asv_on_doubled(processes) for processes in PROCESSES]
        save(options.out, found)
    for number, (tool, percent) in enumerate(todo, start=1):
        print(f"run {number} of {len(todo)}: {tool}, +{percent} %", flush=True)
        found["runs"].append(measure(options.clone, tool, percent, common))
        save(options.out, found)
    print(summary(found))


if __name__ == "__main__":
    main()
