"""Which blocks of a token are live, and which tokens have both blocks of a pair live, compiled: lists from masks."""

from typing import Any

import numpy as np
from numba import prange

from capratio.kernels.cpu.compiling import compile_kernel, compile_parallel, compile_tile
from capratio.kernels.cpu.lane_products import SPARE_PLACES, line_elements
from capratio.kernels.cpu.tiles import copy_row


@compile_kernel
def live_lists(live: Any) -> Any:
    """The live blocks of every token, ascending, token after token, and where each token's begin, with the end last.

    live: (N, B) uint8. Returns (N + 1,) and (as many as are live + 1,), both int64.
    """
    tokens, blocks = live.shape
    starts = np.zeros(tokens + 1, np.int64)
    listed = np.empty(tokens * blocks + 1, np.int64)
    count = 0
    for token in range(tokens):
        for block in range(blocks):
            # Written in any case, and kept where the count goes on: a branch would be guessed wrong.
            listed[count] = block
            count += live[token, block] != 0
        starts[token + 1] = count
    return starts, listed[: count + 1]


@compile_parallel
def gather_live(rows: Any, starts: Any, listed: Any, wide: int) -> Any:
    """The live blocks of all rows, one behind the other, with zeros up to a whole line: (entries, padded).

    The rows of tokens lie a row apart: of a power of two of features, a block of all rows would fall into a few sets of
    the cache.
    """
    gathered = np.zeros((starts[-1], padded_width(wide, rows)), rows.dtype)
    for token in prange(rows.shape[0]):
        for entry in range(starts[token], starts[token + 1]):
            first = listed[entry] * wide
            copy_row(gathered[entry, :wide], rows[token, first : first + wide])
    return gathered


@compile_tile
def padded_width(wide: Any, out: Any) -> int:
    """A width in whole lines of the cache."""
    line = line_elements(out)
    padded: int = (wide + line - 1) // line * line
    return padded


@compile_kernel
def count_pairs(live_in: Any, live_out: Any) -> int:
    """The sum over tokens of live input blocks times live output blocks: (N, B_in), (N, B_out) uint8."""
    pairs = 0
    for token in range(live_in.shape[0]):
        inputs = outputs = 0
        for block in range(live_in.shape[1]):
            inputs += live_in[token, block]
        for block in range(live_out.shape[1]):
            outputs += live_out[token, block]
        pairs += inputs * outputs
    return pairs


@compile_kernel
def live_tokens(live: Any, block: int, first: int, last: int) -> Any:
    """The tokens in first..last that have a block live, ascending: (n,) int64."""
    members = np.empty(last - first + 1, np.int64)
    count = 0
    for token in range(first, last):
        members[count] = token
        count += live[token, block] != 0
    return members[:count]


@compile_kernel
def shared_tokens(members: Any, starts: Any, listed: Any, first: int, last: int) -> Any:
    """For each block first..last of the lists, which of the members have it live, as places among the members.

    starts, listed: of ``live_lists``. Returns counts (blocks,), int64, places and entries, int32 (blocks, n + spare).
    An entry is where the lists name the block for the member.
    """
    counts = np.zeros(last - first, np.int64)
    places = np.empty((last - first, members.shape[0] + SPARE_PLACES), np.int32)
    entries = np.empty((last - first, members.shape[0] + SPARE_PLACES), np.int32)
    for place in range(members.shape[0]):
        token = members[place]
        for entry in range(starts[token], starts[token + 1]):
            block = listed[entry] - first
            if 0 <= block < last - first:
                places[block, counts[block]] = place
                entries[block, counts[block]] = entry
                counts[block] += 1
    return counts, places, entries
