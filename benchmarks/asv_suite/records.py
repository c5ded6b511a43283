"""The cases of this suite, measured by the commit that is installed, through its command line and its records.

Nothing of the package is imported here: asv runs old commits with today's suite.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

CASES = Path(__file__).with_name("cases.toml")
SWEEP = "import sys; from capratio.cli.main import run; sys.exit(run(sys.argv[1:]))"
Key = tuple[str, int]


def measure() -> dict[Key, dict[str, float]]:
    """Quantity → number for each series and depth; a commit that cannot measure a layer has no row for it."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [sys.executable, "-c", SWEEP, "sweep", str(CASES), "--out", str(run)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = run / "records.jsonl"
        if not found.is_file():
            # asv shows this beside the commit.
            sys.stderr.write(f"nothing was measured, and this commit is left out: {done.stderr.strip()[-500:]}\n")
            return {}
        records = [json.loads(line) for line in found.read_text().splitlines()]
    return {_key(record["point"]): _numbers(record) for record in records if record["status"] == "measured"}


def _key(point: dict[str, Any]) -> Key:
    name = point["layer"] if point["form"] == "path" else f"{point['layer']}, {point['form']}"
    return name, point["depth"]


def _numbers(record: dict[str, Any]) -> dict[str, float]:
    exact, limit = record["exact"], record.get("limit")
    latency_s = median(record["timing"]["samples_s"])
    levels = exact.get("visited_levels")
    numbers = {
        "latency_s": latency_s,
        "op_bytes": exact.get("op_bytes"),
        "compulsory_bytes": exact.get("compulsory_bytes"),
        "parameters": exact.get("parameters"),
        "capacity_ratio": exact.get("capacity_ratio"),
        "allocated_peak_bytes": record["memory"].get("allocated_peak_bytes"),
        "distinct_leaves": levels[-1] if levels else None,
        "efficiency": limit["limit_s"] / latency_s if limit else None,
        **{f"{name}_flop": count for name, count in exact["flop"].items()},
    }
    return {name: value for name, value in numbers.items() if value is not None}
