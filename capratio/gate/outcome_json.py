"""A comparison as JSON, for machines."""

import json
from math import isfinite

from capratio.gate.comparison import Comparison
from capratio.gate.decision import Decision
from capratio.gate.policy import Policy
from capratio.gate.sides import Side

SCHEMA = 1


def outcome_json(comparison: Comparison, policy: Policy) -> str:
    """The verdict, the sides, every decision and rise; a bound that no number has is null."""
    described = {
        "schema": SCHEMA,
        "verdict": comparison.verdict,
        "void_because": comparison.void,
        "alpha": policy.alpha,
        "base": _side(comparison.base),
        "head": _side(comparison.head),
        "decisions": [_decision(decision) for decision in comparison.decisions],
        "exact_rises": [
            {"case": r.case, "quantity": r.quantity, "base": r.base, "head": r.head, "budget": r.budget}
            for r in comparison.rises
        ],
        "compared_exactly": comparison.compared_exactly,
        "only_base": list(comparison.only_base),
        "only_head": list(comparison.only_head),
        "failed": dict(comparison.failed),
        "notes": list(comparison.notes),
    }
    return json.dumps(described, indent=2, allow_nan=False) + "\n"


def _side(side: Side) -> dict[str, object]:
    return {"name": side.name, "kind": side.kind, "commit": side.commit, "cases": len(side.series)}


def _decision(decision: Decision) -> dict[str, object]:
    return {
        "case": decision.case,
        "decision": decision.status,
        "budget": decision.budget,
        "ratio": _finite(decision.ratio),
        "low": _finite(decision.low),
        "high": _finite(decision.high),
        "p": _finite(decision.p),
        "detectable": _finite(decision.detectable),
        "sentence": decision.sentence,
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None
