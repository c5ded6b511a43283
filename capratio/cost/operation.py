"""What one operation executes and moves, and the formula object that kernels register with torch."""

from collections.abc import Callable
from dataclasses import dataclass, field

from capratio.cost.flop import Flop


@dataclass(frozen=True, slots=True)
class OperationCost:
    """The executed cost of one operation.

    flop: multiplies and adds by class.
    routing_operations: compares, sort steps and index arithmetic; these are not FLOP.
    read_bytes, written_bytes: what the operation reads and writes, temporaries included.
    rows_gathered: rows fetched by an index.
    """

    flop: Flop = field(default_factory=Flop)
    routing_operations: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    rows_gathered: int = 0

    def __add__(self, other: "OperationCost") -> "OperationCost":
        return OperationCost(
            self.flop + other.flop,
            self.routing_operations + other.routing_operations,
            self.read_bytes + other.read_bytes,
            self.written_bytes + other.written_bytes,
            self.rows_gathered + other.rows_gathered,
        )


@dataclass(frozen=True, slots=True)
class OperationFormula:
    """A formula that torch's own FLOP counter can call for a total, and ours for the whole cost.

    cost: takes the operation's arguments and ``out_val`` and returns its :class:`OperationCost`.
    """

    cost: Callable[..., OperationCost]

    def __call__(self, *args: object, out_val: object = None, **kwargs: object) -> int:
        return self.cost(*args, out_val=out_val, **kwargs).flop.total
