"""A routing imposed on rows whose products with some directions decide: the rows are pushed along chosen directions."""

import torch

from capratio.errors import InputError
from capratio.inputs.routing import zipf_ranks
from capratio.inputs.stream import random_stream
from capratio.inputs.table import ROUTINGS

# Chosen directions win where they are pushed by this many times the largest product of a row with any direction:
# directions drawn at random have cosines under 0.4 from 256 features on, so that two of them lift no third one as far.
PUSH = 8.0


def impose_directions(x: torch.Tensor, directions: torch.Tensor, choices: int, routing: str, seed: int) -> torch.Tensor:
    """Rows whose ``choices`` largest products with the directions are at places that follow a routing.

    uniform: distinct places, each equally probable. zipf: distinct places drawn by 1 / rank, ranks dealt out by the
    seed. single: the same places for all tokens. A row keeps what it had, and gets a push along the chosen directions.

    Args: x: (N, p). directions: (E, p), drawn at random. choices: places for each token, at most E. routing: one of
    ROUTINGS, but measured.

    Returns (N, p), in the dtype of x.

    Raises InputError for another routing, or more choices than directions.
    """
    if routing not in ROUTINGS or routing == "measured":
        raise InputError(f"routing = {routing!r} cannot be imposed; use one of {', '.join(ROUTINGS[1:])}.")
    if choices > len(directions):
        raise InputError(f"{choices} choices of {len(directions)} directions were asked for; ask for fewer.")
    generator = random_stream(f"directions {routing}", seed)
    places = _places(len(x), len(directions), choices, routing, generator).to(x.device)
    units = torch.nn.functional.normalize(directions)
    if len(x) == 0:
        return x
    reach = float((x.to(units.dtype) @ units.T).abs().max())
    pushed = units[places].sum(1)
    return (x + PUSH * reach * pushed).to(x.dtype)


def _places(tokens: int, rows: int, choices: int, routing: str, generator: torch.Generator) -> torch.Tensor:
    """Distinct places of each token: int64 (tokens, choices)."""
    if routing == "single":
        return torch.randperm(rows, generator=generator)[:choices].repeat(tokens, 1)
    chosen = torch.empty(tokens, 0, dtype=torch.int64)
    ranked = torch.randperm(rows, generator=generator)
    while chosen.shape[1] < choices:
        drawn = (
            torch.randint(rows, (tokens,), generator=generator)
            if routing == "uniform"
            else ranked[zipf_ranks(tokens, rows, generator)]
        )
        # A place that a token has is replaced by the next free one.
        taken = (chosen == drawn.unsqueeze(1)).any(1)
        while bool(taken.any()):
            drawn = torch.where(taken, (drawn + 1) % rows, drawn)
            taken = (chosen == drawn.unsqueeze(1)).any(1)
        chosen = torch.cat([chosen, drawn.unsqueeze(1)], 1)
    return chosen
