"""One operation as torch ran it: its arguments by the names of its schema, and the bytes that it reads and writes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import torch

from capratio.cost.flop import Flop
from capratio.cost.operation import OperationCost


@dataclass(frozen=True, slots=True)
class OpCall:
    """An operation that ran.

    arguments: by name, defaults filled in. out: what it returned.
    """

    arguments: dict[str, Any]
    out: Any

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    def get(self, name: str, default: Any = None) -> Any:
        """An argument that not every overload has."""
        return self.arguments.get(name, default)

    @property
    def result(self) -> torch.Tensor:
        """The first tensor that it returned."""
        return next(tensors(self.out))

    @property
    def floating(self) -> bool:
        """Whether the result is of real or complex numbers, so that arithmetic is FLOP."""
        return self.result.is_floating_point() or self.result.is_complex()

    def cost(self, flop: Flop | None = None, routing: int = 0, rows: int = 0) -> OperationCost:
        """The cost of a call that reads all it is given and writes all it returns."""
        # An ``out=`` argument is written and not read.
        given = [value for name, value in self.arguments.items() if name != "out"]
        read = sum(map(held_bytes, tensors(given)))
        return OperationCost(flop or Flop(), routing, read, self.written_bytes, rows)

    @property
    def written_bytes(self) -> int:
        """Bytes of what it returned."""
        return sum(map(held_bytes, tensors(self.out)))

    def arithmetic(self, count: int, rows: int = 0) -> OperationCost:
        """The cost of ``count`` multiplies and adds: overhead of numbers, routing of integers and booleans."""
        return self.cost(Flop(overhead=count), rows=rows) if self.floating else self.cost(routing=count, rows=rows)


Rule = Callable[[OpCall], OperationCost]


def op_call(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> OpCall:
    """The call of an overload: positional and named arguments, and the schema's defaults for the rest."""
    arguments = {
        argument.name: args[place] if place < len(args) else kwargs.get(argument.name, argument.default_value)
        for place, argument in enumerate(func._schema.arguments)
    }
    return OpCall(arguments, out)


def tensors(value: Any) -> Iterator[torch.Tensor]:
    """The tensors in nested lists and tuples."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from tensors(part)


def held_bytes(tensor: torch.Tensor) -> int:
    """Bytes of the elements that a tensor shows; a dimension that repeats one element counts once, zeros of a sparse
    one not at all."""
    if tensor.layout == torch.sparse_coo:
        return held_bytes(tensor._indices()) + held_bytes(tensor._values())
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return sum(map(held_bytes, (tensor.crow_indices(), tensor.col_indices(), tensor.values())))
    if tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        return sum(map(held_bytes, (tensor.ccol_indices(), tensor.row_indices(), tensor.values())))
    if tensor.numel() == 0 or tensor.layout != torch.strided:
        return tensor.numel() * tensor.element_size()
    shown = prod(size for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride != 0)
    return shown * tensor.element_size()


def stored_elements(tensor: torch.Tensor) -> int:
    """Elements that a product multiplies with: all of a dense tensor, the stored ones of a sparse one."""
    if tensor.layout == torch.strided:
        return tensor.numel()
    return int(tensor._values().numel() if tensor.layout == torch.sparse_coo else tensor.values().numel())


def is_row(tensor: torch.Tensor, out: torch.Tensor) -> bool:
    """Whether a tensor is one vector over the last dimension of a result of rows, as a bias is."""
    return tensor.dim() == 1 and out.dim() > 1 and tensor.numel() == out.shape[-1]
