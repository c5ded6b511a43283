"""Assignments sorted by expert, and the rows of a token's assignments added up, compiled for the CPU.

A slot is a place n k + j of the experts (N, k); an assignment is a slot that has one, and not -1.
"""

from typing import Any

import numpy as np
from numba import prange

from capratio.kernels.cpu.compiling import compile_kernel, compile_parallel
from capratio.kernels.cpu.tiles import add_row


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

    Returns the slot at each place (A,), the place of each slot (S,), -1 for none, the visited experts, ascending, and
    where the assignments of each begin and end, (G,).
    """
    starts = np.zeros(experts + 1, np.int64)
    for slot in range(expert.shape[0]):
        if expert[slot] >= 0:
            starts[expert[slot] + 1] += 1
    visited = np.empty(min(experts, expert.shape[0]), np.int64)
    groups = 0
    for key in range(experts):
        if starts[key + 1] > 0:
            visited[groups] = key
            groups += 1
        starts[key + 1] += starts[key]
    visited = visited[:groups]
    begins, ends = starts[visited], starts[visited + 1]
    order, place = np.empty(starts[experts], np.int64), np.full(expert.shape[0], -1)
    for slot in range(expert.shape[0]):
        if expert[slot] >= 0:
            place[slot] = starts[expert[slot]]
            order[place[slot]] = slot
            starts[expert[slot]] += 1
    return order, place, visited, begins, ends


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
