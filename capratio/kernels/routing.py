"""From leaves to the rows of their nodes, and tokens sorted by leaf."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch

from capratio.kernels.leaf_index.reference import leaf_index


def node_rows(leaf: torch.Tensor, depth: int) -> torch.Tensor:
    """The rows of a path's nodes in level order, (2^l - 1) + (leaf >> (k - l)) for l = 0..k: int64 (N,) -> (N, k + 1).

    Costs a shift and an add a node.
    """
    levels = torch.arange(depth + 1, device=leaf.device)
    return (leaf.unsqueeze(-1) >> (depth - levels)) + (2**levels - 1)


def leaf_bits(leaf: torch.Tensor, depth: int) -> torch.Tensor:
    """The bits that lead to a leaf, b_1 the most significant: int64 (N,) -> bool (N, k)."""
    return (leaf.unsqueeze(-1) >> torch.arange(depth - 1, -1, -1, device=leaf.device)) % 2 == 1


def path_rows(leaf: int, depth: int) -> list[int]:
    """The rows of one path's nodes, root first, as plain integers."""
    return [(1 << level) - 1 + (leaf >> (depth - level)) for level in range(depth + 1)]


def shared_levels(leaf: int, other: int, depth: int) -> int:
    """How many nodes, from the root on, the paths of two leaves share: 1 to k + 1."""
    return depth + 1 - (leaf ^ other).bit_length()


@dataclass(frozen=True, slots=True)
class TokenGroups:
    """Tokens sorted by a key, so that those with the same key are neighbours.

    order: which token stands at each sorted place, (N,), or None where sorting changes nothing (one token).
    keys: the distinct keys, ascending. starts: where each key's tokens begin, and at the end N.
    """

    order: torch.Tensor | None
    keys: list[int]
    starts: list[int]

    def __iter__(self) -> Iterator[tuple[int, slice]]:
        return zip(self.keys, (slice(a, b) for a, b in pairwise(self.starts)), strict=True)

    def prefixes(self, shift: int) -> Iterator[tuple[int, slice]]:
        """The groups of the keys without their last ``shift`` bits; they too are neighbours."""
        start = 0
        for place, key in enumerate(self.keys):
            last = place + 1 == len(self.keys)
            if last or self.keys[place + 1] >> shift != key >> shift:
                yield key >> shift, slice(start, self.starts[place + 1])
                start = self.starts[place + 1]

    def gather(self, rows: torch.Tensor) -> torch.Tensor:
        """The tokens' rows in sorted order."""
        return rows if self.order is None else rows.index_select(0, self.order)

    def restore(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows in sorted order put back into the tokens' order."""
        if self.order is None:
            return rows
        place = torch.empty_like(self.order)
        place[self.order] = torch.arange(len(self.order), device=rows.device)
        return rows.index_select(0, place)


def group_by_key(key: torch.Tensor) -> TokenGroups:
    """Sort tokens by an int64 key (N,); tokens of a key keep their order."""
    if len(key) == 1:
        return TokenGroups(None, [int(key)], [0, 1])
    ascending, order = torch.sort(key, stable=True)
    keys, counts = torch.unique_consecutive(ascending, return_counts=True)
    return TokenGroups(order, keys.tolist(), list(accumulate(counts.tolist(), initial=0)))


def group_by_leaf(bits: torch.Tensor) -> TokenGroups:
    """Sort tokens by the leaf of their bits, (N, k)."""
    if len(bits) == 1:
        # A single token needs no tensor arithmetic, which would take longer than its product.
        leaf = 0
        for bit in bits[0].tolist():
            leaf = 2 * leaf + bit
        return TokenGroups(None, [leaf], [0, 1])
    return group_by_key(leaf_index(bits))
