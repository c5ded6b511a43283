"""A routing imposed on rows: the signs of the features that a gate reads are set, the magnitudes stay."""

import torch

from capratio.errors import InputError
from capratio.inputs.stream import random_stream
from capratio.inputs.table import ROUTINGS

# Up to here every leaf has its rank, at 16 bytes a leaf; beyond, leaves far outnumber a case's tokens.
RANKED_DEPTH = 20
# Patterns that share the tokens where leaves have no ranks: as skewed as a tree of depth 12.
RANKED_PATTERNS = 2**12


def impose_routing(x: torch.Tensor, columns: torch.Tensor, routing: str, seed: int) -> torch.Tensor:
    """Rows whose sign bits follow a routing; bit b_i is 1 where column columns[i-1] is positive, b_1 most significant.

    - measured: the rows as they are.
    - uniform: every leaf equally probable, drawn anew for each token.
    - zipf: the leaf of rank r has probability (1/r) / (1/1 + 1/2 + ... + 1/2^k), ranks dealt out by the seed; for
      k > RANKED_DEPTH the ranks belong to RANKED_PATTERNS sign patterns drawn by the seed.
    - single: one leaf, drawn by the seed, for all tokens.

    Only the given columns change, and of those only the sign; a zero, which has no sign, gets magnitude 1. The given
    tensor is not written to.

    x: floats (N, p). columns: int64 (k,), distinct, in 0..p-1; none leaves the rows as they are. routing: one of
    ROUTINGS. seed: any integer.

    Raises InputError for an unknown routing and for columns that are not distinct columns of x.
    """
    if routing not in ROUTINGS:
        raise InputError(f"routing = {routing!r} is not known; use one of {', '.join(ROUTINGS)}.")
    _check_columns(x, columns)
    if routing == "measured" or len(columns) == 0:
        return x
    bits = _bits(len(x), len(columns), routing, random_stream(f"routing {routing}", seed)).to(x.device)
    columns = columns.to(x.device)
    magnitude = x[:, columns].abs()
    magnitude = torch.where(magnitude == 0, torch.ones_like(magnitude), magnitude)
    routed = x.clone()
    routed[:, columns] = torch.where(bits, magnitude, -magnitude)
    return routed


def _bits(tokens: int, depth: int, routing: str, generator: torch.Generator) -> torch.Tensor:
    if routing == "uniform":
        return _coin_flips(tokens, depth, generator)
    if routing == "single":
        return _coin_flips(1, depth, generator).expand(tokens, depth)
    if depth > RANKED_DEPTH:
        patterns = _coin_flips(RANKED_PATTERNS, depth, generator)
        return patterns[zipf_ranks(tokens, RANKED_PATTERNS, generator)]
    leaf = torch.randperm(2**depth, generator=generator)[zipf_ranks(tokens, 2**depth, generator)]
    return (leaf.unsqueeze(-1) >> torch.arange(depth - 1, -1, -1)) & 1 == 1


def _coin_flips(rows: int, depth: int, generator: torch.Generator) -> torch.Tensor:
    # k independent fair bits are a uniform leaf of 2^k, at any k.
    return torch.randint(2, (rows, depth), generator=generator, dtype=torch.uint8) == 1


def zipf_ranks(tokens: int, ranks: int, generator: torch.Generator) -> torch.Tensor:
    """Ranks from 0 on, rank r with probability proportional to 1 / (r + 1), int64 (tokens,)."""
    cumulative = torch.arange(1, ranks + 1, dtype=torch.float64).reciprocal().cumsum(0)
    drawn = torch.rand(tokens, generator=generator, dtype=torch.float64) * cumulative[-1]
    # A product that rounds up to the sum would fall one past the last rank.
    return torch.searchsorted(cumulative, drawn, right=True).clamp(max=ranks - 1)


def _check_columns(x: torch.Tensor, columns: torch.Tensor) -> None:
    if x.dim() != 2 or columns.dim() != 1:
        raise InputError(
            f"a routing was to be imposed on x of shape {tuple(x.shape)} by columns of shape {tuple(columns.shape)}; "
            f"give x as (tokens, features) and columns as (depth,)."
        )
    given = columns.tolist()
    if len(set(given)) != len(given) or any(not 0 <= column < x.shape[1] for column in given):
        raise InputError(
            f"a routing was to be imposed by columns of which some repeat or are outside 0..{x.shape[1] - 1}; "
            f"give each column of x at most once."
        )
