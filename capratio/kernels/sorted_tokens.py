"""Tokens sorted by node for the CPU kernels."""

from typing import Any, NamedTuple

import numpy as np
import torch

from capratio.kernels.compiling import array
from capratio.kernels.precision import product_dtype
from capratio.kernels.sorting import sort_by_key

Integers = np.ndarray[Any, np.dtype[np.int64]]
Booleans = np.ndarray[Any, np.dtype[np.bool_]]


class SortedTokens(NamedTuple):
    """Tokens sorted by node: (N,), and of each visited node its row, and where its tokens begin and end."""

    order: Integers
    keys: Integers
    begins: Integers
    ends: Integers

    def gather(self, rows: torch.Tensor) -> torch.Tensor:
        """The tokens' rows in sorted order, in the dtype of sums."""
        wide = rows.detach().to(product_dtype(rows))
        return wide if len(wide) == 1 else wide.index_select(0, torch.from_numpy(self.order))

    def split(self, from_tokens: int) -> "tuple[SortedTokens, SortedTokens]":
        """The groups of fewer tokens, and those of so many or more."""
        many = self.ends - self.begins >= from_tokens
        if not many.any():
            return self, self._only(many)
        return self._only(~many), self._only(many)

    def _only(self, chosen: Booleans) -> "SortedTokens":
        return SortedTokens(self.order, self.keys[chosen], self.begins[chosen], self.ends[chosen])


_ONE_TOKEN = np.zeros(1, np.int64), np.ones(1, np.int64)


def sort_tokens(node: torch.Tensor, rows: int) -> SortedTokens:
    """Sort tokens by their node (N,) in 0..rows - 1; those of a node keep their order."""
    keys = array(node)
    if len(keys) == 1:
        return SortedTokens(_ONE_TOKEN[0], keys, *_ONE_TOKEN)
    order, keys, starts = sort_by_key(keys, rows)
    return SortedTokens(order, keys, starts[:-1], starts[1:])
