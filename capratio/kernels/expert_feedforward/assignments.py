"""Assignments sorted by expert, and the rows of a token's experts added up, compiled for the CPU.

A slot is a place n k + j of the tokens' experts, (N, k) one row after the other; an assignment is a slot with an expert.
"""

from typing import Any

import numpy as np
from numba import prange

from capratio.kernels.cpu.compiling import compile_kernel, compile_parallel
from capratio.kernels.cpu.sorting import sort_by_key
from capratio.kernels.cpu.tiles import add_row, copy_row


@compile_kernel
def first_unknown(expert: Any, experts: int) -> int:
    """The first slot (S,) whose expert is none of -1..experts - 1, or -1."""
    for slot in range(expert.shape[0]):
        if expert[slot] < -1 or expert[slot] >= experts:
            return slot
    return -1


@compile_kernel
def sort_slots(expert: Any, experts: int) -> Any:
    """Sort slots by their expert (S,) in -1..experts - 1, and drop those of -1; those of an expert keep their order.

    Returns the slot at each place (A,), the place of each slot (S,), -1 for none, the visited experts, ascending (G,),
    and where each one's assignments begin, with A last (G + 1,).
    """
    order, keys, starts = sort_by_key(expert + 1, experts + 1)
    if keys.shape[0] > 0 and keys[0] == 0:
        order, keys, starts = order[starts[1] :], keys[1:], starts[1:] - starts[1]
    place = np.full(expert.shape[0], -1)
    for assignment in range(order.shape[0]):
        place[order[assignment]] = assignment
    return order, place, keys - 1, starts


@compile_parallel
def gather_rows(rows: Any, order: Any, each: int, out: Any) -> None:
    """out[a] = rows[order[a] // each]: the token of a slot."""
    for a in prange(order.shape[0]):
        copy_row(out[a], rows[order[a] // each])


@compile_parallel
def add_slots(rows: Any, place: Any, share: Any, out: Any) -> None:
    """out[n] = sum over j of share[n, j] rows[place[n k + j]]: rows (A, q), place (N k,), share (N, k), out (N, q)."""
    slots = share.shape[1]
    for n in prange(out.shape[0]):
        out[n] = 0
        for j in range(slots):
            row = place[n * slots + j]
            if row >= 0:
                add_row(out[n], share[n, j], rows[row])
