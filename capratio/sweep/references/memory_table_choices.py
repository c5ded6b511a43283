"""Whether the entries that tokens were given are those of their look-up in float64, up to rounding."""

from collections.abc import Iterator
from math import floor

import torch

from capratio.cost.systems.memory_table import MemoryTableSpec
from capratio.sweep.references.contract import Parameters
from capratio.sweep.references.rounding import SAFETY, projected

# Tokens whose scores with all entries are held at once: 64 of a table of 2^17 are 64 MiB.
CHUNK = 64

# A token, and what is wrong with its entries, in words.
Wrong = tuple[int, str]


def wrong_choices(
    spec: MemoryTableSpec,
    parameters: Parameters,
    x: torch.Tensor,
    ids: torch.Tensor | None,
    table: int,
    chosen: torch.Tensor,
    eps: float,
) -> Iterator[Wrong]:
    """The tokens whose entries of one table are wrong, each with the reason.

    Args: x: (N, p), float64. ids: (N,), of a look-up by ids. chosen: int64 (N, k), entries, which should be distinct
    ones of 0 .. entries - 1. eps: of the dtype in which scores were summed.
    """
    for token, entries in enumerate(chosen.tolist()):
        if len(set(entries)) < len(entries) or not all(0 <= entry < spec.entries for entry in entries):
            yield token, f"which are not {len(entries)} of 0 to {spec.entries - 1}"
            return
    if spec.lookup == "ids":
        assert ids is not None
        yield from _wrong_ids(ids, chosen)
    elif spec.lookup == "softmax":
        router = parameters["lookup.router"][table * spec.entries : (table + 1) * spec.entries]
        for first in range(0, len(x), CHUNK):
            part = slice(first, first + CHUNK)
            for token, why in _wrong_highest(router, x[part], chosen[part], eps):
                yield first + token, why
    elif spec.lookup == "sign-lsh":
        yield from _wrong_signs(spec, parameters, x, table, chosen, eps)
    else:
        yield from _wrong_steps(spec, parameters, x, table, chosen, eps)


def _wrong_ids(ids: torch.Tensor, chosen: torch.Tensor) -> Iterator[Wrong]:
    for token, (token_id, entries) in enumerate(zip(ids.tolist(), chosen.tolist(), strict=True)):
        if entries != [token_id]:
            yield token, f"where its id is {token_id}"


def _wrong_signs(
    spec: MemoryTableSpec, parameters: Parameters, x: torch.Tensor, table: int, chosen: torch.Tensor, eps: float
) -> Iterator[Wrong]:
    scores, rounding = projected(parameters.row("lookup.planes", table), x, eps)
    found = zip(chosen[:, 0].tolist(), scores.tolist(), rounding.tolist(), strict=True)
    for token, (entry, of_token, errors) in enumerate(found):
        text = f"{entry:b}".zfill(spec.bits) if spec.bits else ""
        for place, (bit, score, error) in enumerate(zip(text, of_token, errors, strict=True)):
            if abs(score) > error and (score > 0) != (bit == "1"):
                yield token, f"whose bit {place + 1} is {bit} where the projection is {score:.3g}"


def _wrong_steps(
    spec: MemoryTableSpec, parameters: Parameters, x: torch.Tensor, table: int, chosen: torch.Tensor, eps: float
) -> Iterator[Wrong]:
    """Within rounding of a step's edge both of its sides are right."""
    scores, rounding = projected(parameters.row("lookup.slopes", table), x, eps)
    offsets = parameters.row("lookup.offsets", table)
    values = (scores + offsets) / spec.width
    errors = (rounding + SAFETY * eps * offsets.abs()) / spec.width + SAFETY * eps * values.abs()
    lowest, highest = torch.floor(values - errors).tolist(), torch.floor(values + errors).tolist()
    multipliers = parameters["lookup.multipliers"].tolist()
    for token, entry in enumerate(chosen[:, 0].tolist()):
        right = {0}
        for times, low, high in zip(multipliers, lowest[token], highest[token], strict=True):
            # As many steps as entries lead to all of them.
            steps = range(floor(low), floor(min(high, low + spec.entries - 1)) + 1)
            right = {(reached + times * step) % spec.entries for reached in right for step in steps}
        if entry not in right:
            yield token, f"where its steps lead to {' or '.join(map(str, sorted(right)))}"


def _wrong_highest(router: torch.Tensor, x: torch.Tensor, chosen: torch.Tensor, eps: float) -> Iterator[Wrong]:
    scores, rounding = projected(router, x, eps)
    most, least = (scores + rounding).gather(1, chosen), scores - rounding
    highest_left = least.scatter(1, chosen, -torch.inf).amax(1)
    passed_over = (most < highest_left.unsqueeze(1)).any(1)
    disordered = (most[:, :-1] < least.gather(1, chosen)[:, 1:]).any(1)
    for token in passed_over.nonzero().flatten().tolist():
        yield token, f"where another is higher by {float(highest_left[token] - most[token].min()):.3g}"
    for token in disordered.nonzero().flatten().tolist():
        yield token, "which are not in the order of their scores"
