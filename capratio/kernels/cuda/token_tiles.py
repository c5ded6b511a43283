"""Tokens sorted by node on their own device: no size and no loop depends on a value, so that no host waits for one.

Everything here can be captured in a CUDA graph.
"""

from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True, slots=True)
class TokenOrder:
    """Tokens sorted by a key; those with the same key are neighbours and keep their order.

    order: which token stands at each sorted place. keys: the key at each place, ascending. Both int64 (N,).
    """

    order: torch.Tensor
    keys: torch.Tensor

    def shifted(self, shift: int) -> "TokenOrder":
        """The same tokens by the key without its last ``shift`` bits; they are sorted by it too."""
        return replace(self, keys=self.keys >> shift) if shift else self

    def offsets(self, rows: int) -> torch.Tensor:
        """Where the tokens of each key 0..rows - 1 begin, and at the end N: (rows + 1,)."""
        return torch.searchsorted(self.keys, torch.arange(rows + 1, device=self.keys.device))

    def compacted(self, rows: int) -> "tuple[torch.Tensor, TokenOrder]":
        """The distinct keys, ascending, padded with ``rows`` to min(N, rows), and the tokens by the places of theirs.

        The keys must lie in 0..rows - 1.
        """
        first = torch.ones_like(self.keys, dtype=torch.bool)
        torch.ne(self.keys[1:], self.keys[:-1], out=first[1:])
        place = first.cumsum(0) - 1
        indices = self.keys.new_full((min(len(self.keys), rows),), rows)
        # Tokens of a key write the same number into the same place.
        indices[place] = self.keys
        return indices, replace(self, keys=place)

    def tiles(self, size: int, groups: int) -> torch.Tensor:
        """The place where each tile begins; a tile is up to ``size`` neighbours with the same key.

        groups: the most keys that there are. Returns as many tiles as there can be, (N + G (size - 1)) / size with G =
        min(N, groups); those that are not needed begin at N.
        """
        tokens = len(self.keys)
        places = torch.arange(tokens, device=self.keys.device)
        begins = (places - torch.searchsorted(self.keys, self.keys)) % size == 0
        most = (tokens + min(tokens, groups) * (size - 1)) // size
        return torch.searchsorted(begins.cumsum(0), torch.arange(1, most + 1, device=places.device))


def sort_tokens(key: torch.Tensor, groups: int) -> TokenOrder:
    """Sort tokens by an int64 key (N,) in 0..groups - 1."""
    keys, order = torch.sort(narrow_keys(key, groups), stable=True)
    return TokenOrder(order, keys.to(torch.int64))


def narrow_keys(key: torch.Tensor, groups: int) -> torch.Tensor:
    """The keys 0..groups - 1 in the narrowest type that torch sorts by radix: it passes over every byte of a key."""
    for dtype in (torch.int16, torch.int32):
        if groups - 1 <= torch.iinfo(dtype).max:
            return key.to(dtype)
    return key


def add_children(table: torch.Tensor, depth: int) -> None:
    """Write every inner node of a table in level order, (2^(k+1) - 1, ...): the sum of its two children, from below.

    The last level, the leaves, must hold its sums.
    """
    for level in range(depth - 1, -1, -1):
        first, children, behind = 2**level - 1, 2 ** (level + 1) - 1, 2 ** (level + 2) - 1
        torch.add(table[children:behind:2], table[children + 1 : behind : 2], out=table[first:children])
