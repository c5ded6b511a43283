"""Histories as JSON, for machines."""

import json
from collections.abc import Sequence
from math import isfinite

from capratio.gate.history import Change, History
from capratio.gate.policy import Policy

SCHEMA = 1


def history_json(histories: Sequence[History], policy: Policy) -> str:
    """Every series with its levels and steps; a bound that no number has is null."""
    described = {"schema": SCHEMA, "alpha": policy.alpha, "histories": [_history(each) for each in histories]}
    return json.dumps(described, indent=2, allow_nan=False) + "\n"


def _history(history: History) -> dict[str, object]:
    points = history.series.points
    return {
        "benchmark": history.series.case,
        "status": history.status,
        "better": history.kind.better,
        "exact": history.kind.exact,
        "budget": history.budget,
        "commits": len(points),
        "first": points[0].commit,
        "last": points[-1].commit,
        "levels": [{"from": points[each.start].commit, "value": _finite(each.value)} for each in history.levels],
        "steps": [
            {
                "commit": points[each.place].commit,
                "date": points[each.place].date.isoformat(),
                **_change(each.change),
                "jump": _finite(each.jump),
                "p": each.p,
            }
            for each in history.steps
        ],
        "drift": _change(history.drift) if history.drift else None,
        "loss": _change(history.loss) if history.loss else None,
    }


def _change(change: Change) -> dict[str, float | None]:
    return {"ratio": _finite(change.ratio), "low": _finite(change.low), "high": _finite(change.high)}


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
