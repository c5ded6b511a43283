"""Oracles of the hot products, loops written from the definitions, and a count of what torch executes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode


def rows_of_path(bits: list[bool]) -> list[int]:
    """Level order: the prefix b_1..b_l stands at (2^l - 1) + int(prefix)."""
    return [2**level - 1 + int("0" + "".join(str(int(b)) for b in bits[:level]), 2) for level in range(len(bits) + 1)]


class AtenCount(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what runs: products, other float arithmetic, integer arithmetic, and the largest tensor that is made."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.product = 0
        self.other = 0
        self.integer = 0
        self.largest = 0
        self.matrices = 0
        self.own: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func._schema.name.removeprefix("aten::").rstrip("_")
        for made in out if isinstance(out, tuple | list) else (out,):
            if isinstance(made, torch.Tensor):
                self.largest = max(self.largest, made.numel())
        if name in ("empty_like", "_to_copy") and out.dim() == 2 and out.is_floating_point():
            self.matrices += 1
        if name.startswith("capratio::"):
            self.own.add(name)
        elif name == "mm":
            self.product += 2 * args[0].shape[0] * args[0].shape[1] * args[1].shape[1]
        elif name == "bmm":
            self.product += 2 * args[0].numel() * args[1].shape[2]
        elif name in ("_embedding_bag", "_embedding_bag_forward_only"):
            table, index, offsets = args[:3]
            self.other += (index.numel() - offsets.numel()) * table.shape[1]
        elif name == "index_add":
            self.other += args[3].numel()
        elif name in ("add", "mul", "__rshift", "__lshift", "sub", "rsub", "pow"):
            self._add(out, out.numel())
        elif name == "gt":
            self.integer += out.numel()
        elif name == "sum":
            self._add(out, args[0].numel() - out.numel())
        else:
            assert name in _FREE.split(), name
        return out

    def _add(self, out: torch.Tensor, count: int) -> None:
        if out.is_floating_point():
            self.other += count
        else:
            self.integer += count


# Views, copies, factories and sorts have no arithmetic that counts here.
_FREE = (
    "alias t transpose slice select index_select new_empty new_zeros empty_like empty zeros copy _to_copy unsqueeze "
    "squeeze view _unsafe_view expand arange sort unique_consecutive index_put clone unbind zero "
    "_local_scalar_dense lift_fresh detach as_strided permute fill flatten ones_like _unique2 constant_pad_nd stack "
    "aminmax "
)


@pytest.fixture
def aten_count() -> type[AtenCount]:
    return AtenCount


@pytest.fixture
def naive_path_linear() -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]:
    def naive(x: torch.Tensor, weight: torch.Tensor, bits: torch.Tensor) -> torch.Tensor:
        out = torch.zeros(len(x), weight.shape[1], dtype=torch.float64)
        for n in range(len(x)):
            for row in rows_of_path(bits[n].tolist()):
                out[n] += weight[row].double() @ x[n].double()
        return out

    return naive


@pytest.fixture
def naive_leaf_linear() -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]:
    def naive(x: torch.Tensor, weight: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
        out = torch.zeros(len(x), weight.shape[1], dtype=torch.float64)
        for n in range(len(x)):
            out[n] = weight[node[n]].double() @ x[n].double()
        return out

    return naive


@pytest.fixture
def naive_unit_lookup() -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]:
    def naive(x: torch.Tensor, table: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
        out = torch.zeros(len(x), table.shape[1], dtype=torch.float64)
        for n, j, m in torch.cartesian_prod(*(torch.arange(size) for size in node.shape)).tolist():
            out[n] += x[n, j].double() * table[node[n, j, m]].double()
        return out

    return naive


@pytest.fixture
def naive_path_bias() -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor, int], torch.Tensor]:
    def naive(base: torch.Tensor, table: torch.Tensor, leaf: torch.Tensor, depth: int) -> torch.Tensor:
        out = base.double().clone()
        for n in range(len(base)):
            bits = [bool(int(leaf[n]) >> (depth - 1 - i) & 1) for i in range(depth)]
            for row in rows_of_path(bits):
                out[n] += table[row].double()
        return out

    return naive
