"""Sums along a path, one tile a level, of which the next path in ascending order overwrites those it does not share."""

from typing import Any

from capratio.kernels.compiling import compile_tile
from capratio.kernels.tiles import add_row, add_to, copy_row
from capratio.kernels.widening import read_row


@compile_tile
def add_node(sums: Any, level: Any, node: Any, buffer: Any) -> None:
    """Add a path's node to the sum of those above: into the next tile, or in place where there is but one.

    node, buffer: (n,). sums: (k + 1 or 1, n).
    """
    values = read_row(node, buffer)
    if level == 0:
        copy_row(sums[0], values)
    elif sums.shape[0] == 1:
        add_row(sums[0], sums.dtype.type(1), values)
    else:
        add_to(sums[level], sums[level - 1], values)


@compile_tile
def first_level(before: Any, leaf: Any, depth: Any, shared: Any) -> Any:
    """The level from which a path is formed anew after the leaf ``before`` (-1: there was none)."""
    if before < 0 or not shared:
        return 0
    level = depth + 1
    differing = before ^ leaf
    while differing:
        differing >>= 1
        level -= 1
    return level
