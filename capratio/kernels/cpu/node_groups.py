"""Tokens grouped by node for the CPU kernels."""

from typing import Any, NamedTuple

import numpy as np
import torch

from capratio.kernels.cpu.compiling import array
from capratio.kernels.cpu.index_check import check_rows
from capratio.kernels.cpu.sorting import sort_by_key
from capratio.kernels.precision import product_dtype

Integers = np.ndarray[Any, np.dtype[np.int64]]
Booleans = np.ndarray[Any, np.dtype[np.bool_]]


class NodeGroups(NamedTuple):
    """Tokens sorted by node: (N,), and of each visited node its row, and where its tokens begin and end: (G,)."""

    order: Integers
    keys: Integers
    begins: Integers
    ends: Integers

    def gather(self, rows: torch.Tensor) -> torch.Tensor:
        """The tokens' rows in sorted order, in the dtype of sums."""
        wide = rows.detach().to(product_dtype(rows))
        return wide if len(wide) == 1 else wide.index_select(0, torch.from_numpy(self.order))

    def split(self, from_tokens: int) -> "tuple[NodeGroups, NodeGroups]":
        """The groups of fewer tokens, and those of so many or more."""
        if len(self.order) < from_tokens:
            return self, _NO_GROUPS
        many = self.ends - self.begins >= from_tokens
        return self._only(~many), self._only(many)

    def compacted(self, rows: int) -> "tuple[torch.Tensor, NodeGroups]":
        """The visited rows, padded with ``rows`` to min(N, rows), and the groups in a table of those rows alone."""
        return padded_rows(self.keys, len(self.order), rows), self._replace(keys=np.arange(len(self.keys)))

    def paths(self, depth: int) -> "NodeGroups":
        """The groups of all nodes on the paths of the leaves that are the keys, in level order."""
        levels = [self._level(level, depth - level) for level in range(depth + 1)]
        keys, begins, ends = (np.concatenate(numbers) for numbers in zip(*levels, strict=True))
        return NodeGroups(self.order, keys, begins, ends)

    def _level(self, level: int, below: int) -> tuple[Integers, Integers, Integers]:
        prefixes, first = np.unique(self.keys >> below, return_index=True)
        # A node's tokens end where those of the level's next node begin.
        ends = np.append(self.begins, len(self.order))[np.append(first[1:], len(self.keys))]
        return prefixes + (1 << level) - 1, self.begins[first], ends[: len(first)]

    def ranges(self, rows: int) -> tuple[Integers, Integers]:
        """Where the tokens of every row 0..rows - 1 begin and end; both 0 for a row without tokens."""
        begins, ends = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
        begins[self.keys], ends[self.keys] = self.begins, self.ends
        return begins, ends

    def _only(self, chosen: Booleans) -> "NodeGroups":
        return NodeGroups(self.order, self.keys[chosen], self.begins[chosen], self.ends[chosen])


def padded_rows(visited: Integers, entries: int, rows: int) -> torch.Tensor:
    """The visited rows, padded with ``rows`` to the most that so many entries can visit."""
    indices = np.full(min(entries, rows), rows)
    indices[: len(visited)] = visited
    return torch.from_numpy(indices)


_FIRST, _ONE, _NONE = np.zeros(1, np.int64), np.ones(1, np.int64), np.zeros(0, np.int64)
_NO_GROUPS = NodeGroups(_NONE, _NONE, _NONE, _NONE)


def group_tokens(node: torch.Tensor, rows: int) -> NodeGroups:
    """Sort tokens by their node (N,) in 0..rows - 1; those of a node keep their order.

    Raises InputError for a node outside of the rows.
    """
    keys = array(node)
    check_rows(keys, rows)
    if len(keys) == 1:
        # Sorting would take as long as the product of one token.
        return NodeGroups(_FIRST, keys, _FIRST, _ONE)
    order, distinct, starts = sort_by_key(keys, rows)
    return NodeGroups(order, distinct, starts[:-1], starts[1:])
