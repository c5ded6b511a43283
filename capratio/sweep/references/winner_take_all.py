"""The answer of the winner-take-all memory, row by row, and whether its probes are those of the features' order."""

import torch

from capratio.cost.systems.contract import SystemSpec
from capratio.cost.systems.winner_take_all import WinnerTakeAllSpec
from capratio.sweep.references.contract import Decisions, Parameters, Reference

# Roundings of a difference of two features that are allowed where margins are close.
_ROUNDINGS = 4.0


class WinnerTakeAllReference(Reference):
    """y = W x + b and one row after the other."""

    def output(
        self, spec: SystemSpec, parameters: Parameters, x: torch.Tensor, token: int, decisions: Decisions
    ) -> torch.Tensor:
        """One token's output with the rows that the layer found."""
        out = parameters["weight"] @ x[token] + parameters["bias"]
        for row in decisions["row"][token].tolist():
            out = out + parameters.row("table", row)
        return out

    def wrong_decision(
        self, spec: SystemSpec, parameters: Parameters, x: torch.Tensor, decisions: Decisions, eps: float
    ) -> str | None:
        """A row that is none of the first probe's, or of a flip whose turn it is; only margins have near ties."""
        assert isinstance(spec, WinnerTakeAllSpec)
        windows = parameters["windows"].tolist()
        for token in range(len(x)):
            features = x[token].tolist()
            rows = decisions["row"][token].view(spec.tables, spec.probes).tolist()
            for table in range(spec.tables):
                seen = [[features[number] for number in window] for window in windows[table]]
                wrong = _wrong_probe(spec, seen, [row - table * spec.buckets for row in rows[table]], eps)
                if wrong:
                    return f"token {token}, table {table}: {wrong}"
        return None


def _wrong_probe(spec: WinnerTakeAllSpec, seen: list[list[float]], buckets: list[int], eps: float) -> str | None:
    """seen: what each hash looks at. buckets: of the probes, within the table."""
    # Sorting is stable: of equal features the first comes first.
    ranked = [sorted(range(spec.window), key=features.__getitem__, reverse=True) for features in seen]
    plain = [ranks[0] for ranks in ranked]
    if buckets[0] != _number(plain, spec.window):
        return f"the first probe is bucket {buckets[0]}, but the winners are {plain} of {spec.window}"
    if spec.probes == 1:
        return None
    flips = {_number([*plain[:k], ranked[k][1], *plain[k + 1 :]], spec.window): k for k in range(spec.hashes)}
    margins = [features[ranks[0]] - features[ranks[1]] for features, ranks in zip(seen, ranked, strict=True)]
    slack = _ROUNDINGS * eps * max(abs(value) for features in seen for value in features)
    if len(set(buckets)) < len(buckets):
        return f"the probes {buckets} are not distinct"
    for bucket, margin in zip(buckets[1:], sorted(margins), strict=False):
        if bucket not in flips:
            return f"bucket {bucket} flips no single hash of the winners {plain} to its runner-up"
        if margins[flips[bucket]] > margin + slack:
            return f"bucket {bucket} flips hash {flips[bucket]}, whose margin is not the next smallest"
    return None


def _number(digits: list[int], base: int) -> int:
    number = 0
    for digit in digits:
        number = number * base + digit
    return number
