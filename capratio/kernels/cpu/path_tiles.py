"""Sums along a path, one tile a level, of which the next path in ascending order overwrites those it does not share."""

from typing import Any

from capratio.kernels.cpu.compiling import compile_tile
from capratio.kernels.cpu.tiles import add_row, add_to, copy_row
from capratio.kernels.cpu.widening import read_row


@compile_tile
def add_node(sums: Any, level: Any, node: Any, start: Any, buffer: Any) -> None:
    """Add a piece of a path's node to the sum of those above: into the next tile, or in place where there is but one.

    node: (n,), the piece that begins at the place ``start`` of a tile. buffer: (n,) or more. sums: (k + 1 or 1, size of
    a tile).
    """
    values = read_row(node, buffer[: node.shape[0]])
    stop = start + node.shape[0]
    if level == 0:
        copy_row(sums[0][start:stop], values)
    elif sums.shape[0] == 1:
        add_row(sums[0][start:stop], sums.dtype.type(1), values)
    else:
        add_to(sums[level][start:stop], sums[level - 1][start:stop], values)


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
