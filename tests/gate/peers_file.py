"""What ``benchmarks/gate_peers.py`` leaves in a file, without a run of the gates of others."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def peers_of(machine: Mapping[str, Any]) -> dict[str, Any]:
    """Two gates with two runs each, alike and 10 % slower, four comparisons a run; the first in a run is accused."""
    runs = [
        {
            "tool": tool,
            "percent": percent,
            "exit_code": int(percent > 0),
            "seconds": 600.0 + number,
            "compared": [{"name": "a", "called": "slower"}, *({"name": "b", "called": "alike"} for _ in range(3))],
        }
        | ({"measuring_s": 400.0} if tool == "asv" else {})
        for tool in ("asv", "pytest")
        for percent in (0, 10)
        for number in range(2)
    ]
    versions = {"asv": "0.6.6", "pytest-benchmark": "5.3.1"}
    doubled = [{"processes": 6, "called": "alike", "mann_whitney_p": 0.00216, "bar": 0.002}]
    return {
        "of": {"commit": "d" * 40, "machine": dict(machine), "versions": versions},
        "runs": runs,
        "doubled": doubled,
    }


def write_peers(path: Path, machine: Mapping[str, Any]) -> Path:
    """The same in a file."""
    path.write_text(json.dumps(peers_of(machine)))
    return path
