"""Tokens in tiles, and the blocks that are chosen for them: on a GPU, or interpreted on the CPU.

test_cuda_kernels_interpreted.py runs this file in the second way.
"""

from dataclasses import replace

import pytest
import torch

from capratio.kernels.cuda import cuda_blocks
from capratio.kernels.cuda.cuda_blocks import CUDA_BLOCKS, ProductBlocks, pick, pick_product
from capratio.kernels.cuda.tiles_triton import tile_tokens
from capratio.kernels.cuda.token_tiles import sort_tokens
from tests.kernels.cuda_device import DEVICE, marks, need_device

need_device()
pytestmark = marks


def whole(rows: int, *shape: int) -> torch.Tensor:
    return torch.randint(0, rows, shape, generator=torch.Generator().manual_seed(2)).to(DEVICE)


@pytest.mark.parametrize("size", [1, 4])
def test_tiles_hold_each_token_once(size: int) -> None:
    tokens = sort_tokens(whole(5, 33), 5)

    begins = tokens.tiles(size, 5)

    assert (33 + 5 * (size - 1)) // size == len(begins)
    held = []
    for begin in begins.tolist():
        held += [place for place in range(begin, min(begin + size, 33)) if tokens.keys[place] == tokens.keys[begin]]
    assert list(range(33)) == held


@pytest.mark.parametrize("compared", [5, 100])
@pytest.mark.parametrize("count, groups", [(1, 1), (33, 5), (33, 100), (90, 1), (90, 40)])
@pytest.mark.parametrize("size", [1, 4, 16])
def test_slots_hold_each_tile_of_a_group_once(
    size: int, count: int, groups: int, compared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda_blocks, "CUDA_BLOCKS", replace(CUDA_BLOCKS, compared_up_to_tokens=compared))
    key = whole(groups, count)

    order, keys, begins = tile_tokens(key, size, groups)

    expected = sort_tokens(key, groups)
    assert torch.equal(expected.order, order)
    assert torch.equal(expected.keys, keys.long())
    compact = expected.tiles(size, groups)
    assert torch.equal(compact[compact < count], begins[begins < count])


@pytest.mark.parametrize("key", [-1, 7, 10**6])
def test_a_key_beyond_the_groups_writes_nothing_beyond_the_slots(key: int, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = torch.full((64,), 99, device=DEVICE)
    monkeypatch.setattr("capratio.kernels.cuda.tiles_triton._slots", lambda *_: memory[20:40])

    tile_tokens(torch.full((9,), key, device=DEVICE), 4, 3)

    assert (memory[:20] == 99).all()
    assert (memory[40:] == 99).all()


def test_blocks_that_would_leave_multiprocessors_idle_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    small = ProductBlocks(2, 10.0, "matrix", 16, 64, 64, 4, 3)
    large = ProductBlocks(2, float("inf"), "matrix", 128, 256, 64, 8, 3)
    vector = ProductBlocks(2, 1.0, "vector", 1, 64, 8, 4, 1)
    blocks = replace(CUDA_BLOCKS, least_programs=132, product=(vector, small, large))
    monkeypatch.setattr(cuda_blocks, "CUDA_BLOCKS", blocks)

    # 1024 tokens of 4 groups: 8 tiles of 128 by 4 blocks of 256 outputs are 32 programs; of 65536, 2048 programs.
    assert small == pick_product(2, 1024, 4, 1024)
    assert large == pick_product(2, 65536, 4, 1024)


@pytest.mark.parametrize("itemsize", [2, 4])
def test_blocks_are_found_for_any_mean(itemsize: int) -> None:
    for tokens in (0, 1, 100, 10**6):
        assert itemsize == pick(CUDA_BLOCKS.product, itemsize, tokens, 4).itemsize
        assert itemsize == pick(CUDA_BLOCKS.outer, itemsize, tokens, 4).itemsize
