"""What a closed form answers about a layer; bias and gate are the same for all layers and counted elsewhere."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeVar

from capratio.cost.flop import Flop
from capratio.cost.op_formulas import sparse_table_operations
from capratio.cost.operation import OperationCost
from capratio.cost.spec import LayerSpec, VisitedNodes

# Exact for counted nodes, a float for expected ones.
Number = TypeVar("Number", int, float)

# The operations' formulas need the bytes of an element; FLOP and routing, which are all that is taken here, do not.
ANY_ITEMSIZE = 1


class ClosedForm(ABC):
    """The cost of one layer as formulas of its sizes.

    Symbols: p in_features, q out_features, k depth, N tokens, V visited leaves, V_n visited nodes without the root.
    """

    @abstractmethod
    def weight_parameters(self, spec: LayerSpec) -> int:
        """Elements of the weight tables, without bias and gate parameters."""

    @abstractmethod
    def touched_weight_parameters(self, spec: LayerSpec, levels: Sequence[Number]) -> Number:
        """Elements of the weight tables that visited nodes hold.

        Args: levels: distinct nodes visited at level 0..k, counted or expected; all 0 for no tokens.
        """

    @abstractmethod
    def law(self, spec: LayerSpec, order: str) -> Flop:
        """Product and overhead FLOP of one token in the paper's accounting.

        Args: order: one of ``ORDERS``; a layer without orders ignores it.
        """

    @abstractmethod
    def overhead_flop_per_unit(self, spec: LayerSpec, order: str) -> int:
        """Overhead FLOP of one input unit (of one token, where the tree belongs to no unit)."""

    @abstractmethod
    def executed(self, spec: LayerSpec, visited: VisitedNodes, pass_: str, order: str) -> OperationCost:
        """FLOP and routing of a batch without bias and gate; bytes are not meaningful here.

        Args: visited: checked. pass_: one of ``PASSES``. order: as in ``law``.
        """


def products(pass_: str) -> int:
    """Products of a pass: one forward, and in training one more for each of the gradients to input and weights."""
    return 3 if pass_ == "train" else 1


def sparse_table(spec: LayerSpec, entries: int, pass_: str) -> OperationCost:
    """The steps of making touched rows a sparse gradient, where the layer has one.

    Args: entries: look-ups of the batch, whose distinct rows are touched.
    """
    if pass_ != "train" or not spec.touched_gradient:
        return OperationCost()
    return OperationCost(
        routing_operations=sparse_table_operations(
            entries, spec.trees * spec.nodes, own_trees=spec.layer == "tree-unit"
        )
    )
