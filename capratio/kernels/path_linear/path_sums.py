"""Gradient sums of the nodes on the current path of a walk over sorted leaves.

In half precision a node's sum is kept in float32 while the walk is below the node, and rounded once into its row when
the walk leaves it: k + 1 temporary matrices. In full precision the rows hold the sums themselves.
"""

from collections.abc import Mapping, Sequence

import torch

from capratio.kernels.precision import sum_dtype
from capratio.kernels.routing import path_rows, shared_levels

# Where each node's row stands in a table: at its own number in a whole one, which a range says.
Places = Mapping[int, int] | Sequence[int]


class PathSums:
    """The sums of one path's nodes, root first.

    table: zeros (rows, q, p), which receive the sums. places: where each node's row stands there. carry: whether a
    node's sum is added into its parent's when the walk leaves it, which costs one add of pq for each visited node below
    the root.
    """

    def __init__(self, table: torch.Tensor, depth: int, places: Places, *, carry: bool) -> None:
        self._table = table
        self._depth = depth
        self._places = places
        self._carry = carry
        self._leaf = 0
        self._rows: list[int] = []
        self._sums: list[torch.Tensor] = []

    def enter(self, leaf: int) -> list[torch.Tensor]:
        """Walk on to a leaf, after all leaves below it, and return the sums of its path's nodes, root first."""
        self.leave(shared_levels(self._leaf, leaf, self._depth))
        self._leaf = leaf
        for node in path_rows(leaf, self._depth)[len(self._rows) :]:
            row = self._places[node]
            wide = self._table[row].to(sum_dtype(self._table.dtype))
            self._rows.append(row)
            self._sums.append(wide)
        return self._sums

    def leave(self, shared: int = 0) -> None:
        """Finish the sums of all nodes but the first ``shared`` of the current path."""
        while len(self._sums) > shared:
            finished, row = self._sums.pop(), self._rows.pop()
            if self._carry and self._sums:
                self._sums[-1].add_(finished)
            if finished.dtype != self._table.dtype:
                self._table[row].copy_(finished)
