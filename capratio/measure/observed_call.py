"""One operation as torch ran it: its arguments by the names of its schema, its output, and the bytes of both."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from capratio.cost.flop import Flop
from capratio.cost.operation import OperationCost


@dataclass(frozen=True, slots=True)
class ObservedCall:
    """An operation that ran.

    arguments: by their name in the operation's schema, defaults filled in. out: what it returned.
    """

    arguments: dict[str, Any]
    out: Any

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    @property
    def result(self) -> torch.Tensor:
        """The first tensor that it returned."""
        return next(tensors(self.out))

    @property
    def floating(self) -> bool:
        """Whether the arithmetic was done in floating point, as the result is."""
        return self.result.is_floating_point()

    @property
    def read_bytes(self) -> int:
        """Bytes of the tensors that were given, ``out=`` ones left out; what an expanded one repeats counts once."""
        given = (value for name, value in self.arguments.items() if name not in _OUT_NAMES)
        return sum(held_bytes(tensor) for tensor in tensors(list(given)))

    @property
    def written_bytes(self) -> int:
        """Bytes of the tensors that were returned."""
        return sum(held_bytes(tensor) for tensor in tensors(self.out))

    def cost(self, flop: Flop | None = None, routing: int = 0, rows: int = 0) -> OperationCost:
        """The cost of this call, which reads all that it was given and writes all that it returned."""
        return OperationCost(flop or Flop(), routing, self.read_bytes, self.written_bytes, rows)

    def arithmetic(self, count: int) -> OperationCost:
        """The cost of ``count`` multiplies and adds: overhead in floating point, routing on integers and booleans."""
        return self.cost(Flop(overhead=count)) if self.floating else self.cost(routing=count)


Rule = Callable[[ObservedCall], OperationCost]

_OUT_NAMES = frozenset({"out", "values_out"})
_BY_ROWS = (torch.sparse_csr, torch.sparse_bsr)
_BY_COLUMNS = (torch.sparse_csc, torch.sparse_bsc)


def observe(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> ObservedCall:
    """The call of an overload with its arguments by name, missing ones at the schema's default."""
    arguments: dict[str, Any] = {}
    for position, argument in enumerate(func._schema.arguments):
        if position < len(args):
            arguments[argument.name] = args[position]
        elif argument.name in kwargs:
            arguments[argument.name] = kwargs[argument.name]
        else:
            arguments[argument.name] = argument.default_value
    return ObservedCall(arguments, out)


def tensors(value: Any) -> Iterator[torch.Tensor]:
    """The tensors in nested lists and tuples."""
    return (leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor))


def is_sparse(tensor: torch.Tensor) -> bool:
    """Whether a tensor stores some of its elements or blocks, by coordinates, rows or columns: less than its size."""
    return tensor.layout in (torch.sparse_coo, *_BY_ROWS, *_BY_COLUMNS)


def held_bytes(tensor: torch.Tensor) -> int:
    """Bytes of the distinct elements that a tensor shows: a dimension of stride 0 is one element long."""
    if tensor.layout != torch.strided:
        return sum(held_bytes(part) for part in _parts(tensor))
    if tensor.numel() == 0:
        return 0
    sizes = zip(tensor.shape, tensor.stride(), strict=True)
    return prod(size for size, stride in sizes if stride != 0) * tensor.element_size()


def _parts(tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
    if tensor.layout == torch.sparse_coo:
        return tensor._indices(), tensor._values()
    if tensor.layout in _BY_ROWS:
        return tensor.crow_indices(), tensor.col_indices(), tensor.values()
    if tensor.layout in _BY_COLUMNS:
        return tensor.ccol_indices(), tensor.row_indices(), tensor.values()
    return ()
