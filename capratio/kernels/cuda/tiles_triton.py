"""Tokens sorted by group and cut into tiles, in Triton: two or three launches, none of which waits for a value.

A tile is up to ``size`` tokens of one group. How many there are is known on the device alone, so each has a slot of its
own among as many as there can be, and slots that are left over begin behind the last token. Of more tokens than groups
the tile t of a group with key g whose tokens begin at place b has the slot b / size + g + t, rounded down: a group's
tiles end before the slots of the next begin, without a sum over all groups. Of fewer, a tile has the slot of its first
token's place.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl

from capratio.kernels.cuda import cuda_blocks
from capratio.kernels.cuda.compiling_triton import compile_kernel, on_device
from capratio.kernels.cuda.token_tiles import TokenOrder, narrow_keys

# Tokens of a program, and keys that it compares them with at a time.
_RANKED, _COMPARED = 8, 256
_MARKED = 128


class Tiles(NamedTuple):
    """Tokens in tiles.

    order: which token stands at each sorted place, and keys: its group, both (N,); keys of any integer type. begins:
    the place where the tile of each slot begins, N for none, (slots,).
    """

    order: torch.Tensor
    keys: torch.Tensor
    begins: torch.Tensor


def tile_tokens(key: torch.Tensor, size: int, groups: int) -> Tiles:
    """Sort tokens by their group, an int64 key (N,) in 0..groups - 1, and cut each group into tiles of ``size``.

    Those of a group keep their order. Up to some thousand tokens each is compared with all others, which takes one
    launch and less time than a sort; more are sorted by torch.
    """
    count = len(key)
    if count > cuda_blocks.CUDA_BLOCKS.compared_up_to_tokens:
        keys, order = torch.sort(narrow_keys(key, groups), stable=True)
        return Tiles(order, keys, tile_sorted(keys, size, groups))
    order, keys, begins = torch.empty_like(key), torch.empty_like(key), _slots(key, size, groups)
    if count:
        with on_device(key):
            _rank[(triton.cdiv(count, _RANKED),)](
                key,
                order,
                keys,
                begins,
                count,
                len(begins),
                key.stride(0),
                SIZE=size,
                ONE_A_TOKEN=count <= groups,
                BLOCK=_RANKED,
                CHUNK=_COMPARED,
            )
    return Tiles(order, keys, begins)


def untiled(key: torch.Tensor) -> Tiles:
    """Tokens as they come, each a group of its own, which needs no order: only the keys are read."""
    keys = key.contiguous()
    return Tiles(keys, keys, keys)


def tile_sorted(keys: torch.Tensor, size: int, groups: int) -> torch.Tensor:
    """The slots of the tiles of tokens that are sorted by group: ascending keys (N,) of any integer type."""
    count = len(keys)
    begins = _slots(keys, size, groups)
    if count:
        with on_device(keys):
            _mark[(triton.cdiv(count, _MARKED),)](
                keys, begins, count, len(begins), SIZE=size, ONE_A_TOKEN=count <= groups, BLOCK=_MARKED
            )
    return begins


def tile_order(tokens: TokenOrder, size: int, groups: int) -> Tiles:
    """The tiles of tokens that are sorted by group."""
    return Tiles(tokens.order, tokens.keys, tile_sorted(tokens.keys, size, groups))


def _slots(keys: torch.Tensor, size: int, groups: int) -> torch.Tensor:
    count = len(keys)
    if count <= groups:
        return keys.new_empty(count, dtype=torch.int64)
    return keys.new_full((count // size + groups,), count, dtype=torch.int64)


@compile_kernel
def _put(
    begins: tl.tensor,
    first: tl.tensor,
    rank: tl.tensor,
    key: tl.tensor,
    inside: tl.tensor,
    count: tl.tensor,
    slots: tl.tensor,
    SIZE: tl.constexpr,
    ONE_A_TOKEN: tl.constexpr,
) -> None:
    """Write the slots of the tiles that begin at tokens of some ranks in groups that begin at some places."""
    place = first + rank
    if ONE_A_TOKEN:
        tl.store(begins + place, tl.where(rank % SIZE == 0, place, count), mask=inside)
    else:
        slot = first // SIZE + key + rank // SIZE
        # A key beyond the groups, which nothing here can refuse, writes nothing beyond the slots.
        tl.store(begins + slot, place, mask=inside & (rank % SIZE == 0) & (slot >= 0) & (slot < slots))


@compile_kernel
def _rank(
    key: tl.tensor,
    order: tl.tensor,
    keys: tl.tensor,
    begins: tl.tensor,
    count: tl.tensor,
    slots: tl.tensor,
    key_token: tl.tensor,
    SIZE: tl.constexpr,
    ONE_A_TOKEN: tl.constexpr,
    BLOCK: tl.constexpr,
    CHUNK: tl.constexpr,
) -> None:
    """The sorted places of a block of tokens: those before are of smaller keys, or of the same and earlier."""
    token = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mine = tl.load(key + token * key_token, mask=token < count, other=0)
    smaller = tl.zeros((BLOCK, CHUNK), tl.int32)
    earlier = tl.zeros((BLOCK, CHUNK), tl.int32)
    for start in range(0, count, CHUNK):
        other = start + tl.arange(0, CHUNK)
        theirs = tl.load(key + other * key_token, mask=other < count, other=0)
        there = (other < count)[None, :]
        smaller += ((theirs[None, :] < mine[:, None]) & there).to(tl.int32)
        same = (theirs[None, :] == mine[:, None]) & there
        earlier += (same & (other[None, :] < token[:, None])).to(tl.int32)
    first = tl.sum(smaller, axis=1).to(tl.int64)
    rank = tl.sum(earlier, axis=1).to(tl.int64)
    tl.store(order + first + rank, token.to(tl.int64), mask=token < count)
    tl.store(keys + first + rank, mine, mask=token < count)
    _put(begins, first, rank, mine, token < count, count, slots, SIZE, ONE_A_TOKEN)


@compile_kernel
def _mark(
    keys: tl.tensor,
    begins: tl.tensor,
    count: tl.tensor,
    slots: tl.tensor,
    SIZE: tl.constexpr,
    ONE_A_TOKEN: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """The tiles that begin in a block of sorted places, whose groups' beginnings are found by bisection."""
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mine = tl.load(keys + place, mask=place < count, other=0)
    low = tl.zeros((BLOCK,), tl.int64)
    high = tl.minimum(place, count)
    span = count
    while span > 0:
        middle = (low + high) // 2
        open_ = low < high
        less = tl.load(keys + middle, mask=open_, other=0) < mine
        low = tl.where(open_ & less, middle + 1, low)
        high = tl.where(open_ & ~less, middle, high)
        span = span // 2
    _put(begins, low, place - low, mine.to(tl.int64), place < count, count, slots, SIZE, ONE_A_TOKEN)
