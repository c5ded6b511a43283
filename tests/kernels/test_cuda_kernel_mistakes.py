"""Mistakes that the laws of test_cuda_kernels.py must see: on a GPU, or interpreted where TRITON_INTERPRET=1.

test_cuda_kernels_interpreted.py runs this file in the second way.
"""

from dataclasses import replace
from typing import Any

import pytest
import torch

from capratio.kernels.cuda import token_tiles
from tests.kernels.cuda_cases import NAMES, cases, close
from tests.kernels.cuda_device import marks, need_device

need_device()
pytestmark = marks


@pytest.mark.parametrize("tokens", [1, 12, 40])
def test_a_wrong_node_is_seen(tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from capratio.kernels.cuda.grouped_triton import multiply

    # A planted error: each token goes to the leaf beside its own.
    wrong = "capratio.kernels.leaf_linear.cuda.multiply"
    monkeypatch.setattr(wrong, lambda x, weight, key: multiply(x, weight, key ^ 1))

    assert not close(*cases(tokens, 3, 9, 7, torch.float32)["leaf_linear"])


@pytest.mark.parametrize("name", ["path_linear[nodes]", "path_linear[leaves]", "path_linear_weight_gradient[leaves]"])
def test_a_wrong_node_of_a_path_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from capratio.kernels.cuda import leaf_triton
    from capratio.kernels.path_linear import cuda

    monkeypatch.setattr(cuda, "leaves", lambda bits: leaf_triton.leaves(bits) ^ 1)

    assert not close(*cases(12, 3, 9, 7, torch.float32)[name])


@pytest.mark.parametrize(
    "name", ["leaf_linear_weight_gradient", "path_bias_table_gradient", "unit_lookup_weight_gradient"]
)
def test_a_group_that_begins_a_token_late_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = token_tiles.TokenOrder.offsets
    monkeypatch.setattr(token_tiles.TokenOrder, "offsets", lambda tokens, rows: (right(tokens, rows) + 1).clamp(max=40))

    assert not close(*cases(40, 2, 5, 7, torch.float32)[name])


@pytest.mark.parametrize("name", [name for name in NAMES if "touched" in name])
def test_a_key_in_the_place_of_another_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = token_tiles.TokenOrder.compacted

    def shifted(tokens: token_tiles.TokenOrder, rows: int) -> tuple[torch.Tensor, token_tiles.TokenOrder]:
        indices, places = right(tokens, rows)
        return indices.roll(1), replace(places, keys=places.keys + 1)

    monkeypatch.setattr(token_tiles.TokenOrder, "compacted", shifted)

    assert not close(*cases(40, 2, 5, 7, torch.float32)[name])


def test_a_tile_that_begins_a_token_late_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from capratio.kernels.cuda.tiles_triton import tile_tokens

    def late(*given: Any) -> Any:
        tiles = tile_tokens(*given)
        return tiles._replace(begins=tiles.begins + 1)

    monkeypatch.setattr("capratio.kernels.cuda.grouped_triton.tile_tokens", late)

    assert not close(*cases(40, 2, 9, 7, torch.float32)["leaf_linear"])
