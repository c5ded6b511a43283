"""The rows of a table that a batch visits, in plain torch: ascending, each once, in a tensor of a size known before."""

import torch
from torch.nn.functional import pad


def touched_rows(index: torch.Tensor, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The distinct values of an index into a table, and where each entry's value stands among them.

    Args: index: int64 of any shape, in 0..rows - 1. rows: of the table.

    Returns the values, ascending, padded with ``rows`` to min(entries, rows), and places in the shape of the index.
    """
    visited, place = torch.unique(index, return_inverse=True)
    return pad(visited, (0, most_touched(index.numel(), rows) - len(visited)), value=rows), place


def most_touched(entries: int, rows: int) -> int:
    """The most rows that so many entries can visit; either may be symbolic."""
    most: int = torch.sym_min(entries, rows)  # type: ignore[no-untyped-call]
    return most
