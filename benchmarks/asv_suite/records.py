"""The cases of this suite, measured by the commit that is installed, through its command line and its records.

Nothing of the package is imported here: asv runs old commits with today's suite.
"""

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from statistics import median
from typing import Any

CASES = Path(__file__).with_name("cases.toml")
SWEEP = "import sys; from capratio.cli.main import run; sys.exit(run(sys.argv[1:]))"
HEADING = "[[cases]]\n"
Key = tuple[str, int]
# Quantity → number, or why there is none.
Found = dict[str, float] | str


def measure() -> dict[Key, Found]:
    """What this commit measures for each series and depth, or its own words why it does not."""
    head, *blocks = CASES.read_text().split(HEADING)
    with tempfile.TemporaryDirectory() as folder:
        cases, run = Path(folder) / "cases.toml", Path(folder) / "run"
        # A name without its folder, so that a refusal reads alike for every commit.
        command = [sys.executable, "-c", SWEEP, "sweep", cases.name]

        def sweep(chosen: list[str], *options: str) -> str:
            """Nothing, or the last line of what a commit says that does not go through with these blocks."""
            cases.write_text(HEADING.join([head, *chosen]))
            done = subprocess.run([*command, *options], cwd=folder, capture_output=True, text=True, check=False)
            said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
            return "" if done.returncode == 0 else said[-1] if said else f"exit status {done.returncode}"

        # A file is refused whole for one layer that a commit lacks: only then is each block asked about.
        refusals = [sweep([block], "--plan") for block in blocks] if sweep(blocks, "--plan") else [""] * len(blocks)
        taken = [block for block, why in zip(blocks, refusals, strict=True) if not why]
        ended = sweep(taken, "--out", run.name) if taken else ""
        records = _records(run / "records.jsonl")
    found: dict[Key, Found] = {}
    for block, why in zip(blocks, refusals, strict=True):
        for key in _keys(head + HEADING + block):
            found[key] = why or ended or "the sweep left no record"
    return found | {_key(record["point"]): _numbers(record) for record in records}


def _records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def _keys(text: str) -> list[Key]:
    """The series and depths of a case file."""
    read = tomllib.loads(text)
    points = [read.get("defaults", {}) | case for case in read["cases"]]
    return [_key({"form": "path"} | point | {"depth": depth}) for point in points for depth in _listed(point["depth"])]


def _listed(depths: int | list[int]) -> list[int]:
    return depths if isinstance(depths, list) else [depths]


def _key(point: dict[str, Any]) -> Key:
    name = point["layer"] if point["form"] == "path" else f"{point['layer']}, {point['form']}"
    return name, point["depth"]


def _numbers(record: dict[str, Any]) -> Found:
    if record["status"] != "measured":
        return f"{record['status']}: {record.get('reason')}"
    exact, limit = record["exact"], record.get("limit")
    latency_s = median(record["timing"]["samples_s"])
    levels = exact.get("visited_levels")
    numbers = {
        "latency_s": latency_s,
        "op_bytes": exact.get("op_bytes"),
        "compulsory_bytes": exact.get("compulsory_bytes"),
        "parameters": exact.get("parameters"),
        "touched_parameters": exact.get("touched_parameters"),
        "capacity_ratio": exact.get("capacity_ratio"),
        "allocated_peak_bytes": record["memory"].get("allocated_peak_bytes"),
        "distinct_leaves": levels[-1] if levels else None,
        "efficiency": limit["limit_s"] / latency_s if limit else None,
        **{f"{name}_flop": count for name, count in exact["flop"].items()},
    }
    return {name: value for name, value in numbers.items() if value is not None}
