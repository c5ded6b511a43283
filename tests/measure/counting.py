"""Small tensors and one count, for the tests of the counter and of its rules."""

from collections.abc import Callable
from typing import Any

import torch

from capratio.cost.operation import OperationCost
from capratio.measure.flop_counter import count_operations

# m, k, n of the products below, all different and no power of 2, so that an exchanged pair is seen.
M, K, N = 3, 5, 7


def f(*shape: int) -> torch.Tensor:
    return torch.ones(*shape)


def i(*values: int) -> torch.Tensor:
    return torch.tensor(values)


def count(operation: Callable[..., object], *arguments: Any, **named: Any) -> OperationCost:
    return count_operations(lambda: operation(*arguments, **named), strict=True).cost


def differentiate(out: torch.Tensor, grad: torch.Tensor | None = None) -> None:
    torch.autograd.backward(out, grad)
