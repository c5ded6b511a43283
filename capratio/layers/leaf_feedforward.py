"""The fast feedforward layer with leaf networks: a descent finds the one small network that a token is given to."""

import torch
from torch import nn
from torch.nn.functional import relu

from capratio.cost.spec import HIDDEN, LayerSpec
from capratio.errors import InputError
from capratio.kernels.backends import AUTO
from capratio.kernels.leaf_feedforward import leaf_feedforward
from capratio.kernels.leaf_linear import leaf_linear
from capratio.kernels.routing import leaf_bits
from capratio.layers.descent_gate import DescentGate
from capratio.layers.fast_feedforward import FastFeedforward
from capratio.layers.initialization import draw_linear, new_table
from capratio.layers.picked_rows import picked_rows


class LeafFeedforward(FastFeedforward):
    """y = weight_out[leaf] relu(weight_in[leaf] x + bias_in[leaf]) + bias_out[leaf], the leaf found by the gate.

    ``weight_in``: (2^k, h, p). ``bias_in``: (2^k, h). ``weight_out``: (2^k, q, h). ``bias_out``: (2^k, q). A node's
    hyperplane, of ``gate``, sends a token to the right child where weight . x + bias > 0. Gradients reach the visited
    leaves and the input; decisions are constants. The authors train a soft mixture of all leaves instead, and their
    evaluation leaves out ``bias_out``: the backend ``fastfeedforward``, which runs it, takes layers without bias.

    Args: in_features p, out_features q, depth k, hidden h: counts. bias: whether there is a ``bias_out``. init,
    backend: as FastFeedforward.

    Raises InputError for sizes under 1, a negative depth, tables beyond any memory, an unknown init or backend.

    Source: Belcak & Wattenhofer 2023, arXiv 2308.14711, read in the authors' code; hard decisions in training are our
    reading.
    """

    operation = "leaf_linear"
    whole = "leaf_feedforward"
    peer = "fastfeedforward"
    bias_out: nn.Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        depth: int,
        *,
        hidden: int = HIDDEN,
        bias: bool = True,
        init: str = "random",
        backend: str = AUTO,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        spec = LayerSpec(
            "fast-feedforward", in_features, out_features, depth, "leaf", bias, DescentGate.kind, hidden=hidden
        )
        super().__init__(spec, init, backend)
        leaves = spec.nodes
        self.gate = DescentGate(in_features, depth, device=device, dtype=dtype)
        self.weight_in = new_table((leaves, hidden, in_features), device, dtype)
        self.bias_in = new_table((leaves, hidden), device, dtype)
        self.weight_out = new_table((leaves, out_features, hidden), device, dtype)
        if bias:
            self.bias_out = new_table((leaves, out_features), device, dtype)
        else:
            self.register_parameter("bias_out", None)
        self.reset_parameters()

    def _draw(self) -> None:
        for table in (self.weight_in, self.bias_in):
            draw_linear(table, self.in_features)
        draw_linear(self.weight_out, self.spec.hidden)
        if self.bias_out is not None:
            draw_linear(self.bias_out, self.spec.hidden)

    def _row_bits(self, x: torch.Tensor) -> torch.Tensor:
        return leaf_bits(self.gate.leaf(x, self.backend), self.depth)

    def _rows(self, x: torch.Tensor) -> torch.Tensor:
        if self.backend == self.peer:
            return self._by_peer(x)
        leaf = self.gate.leaf(x, self.backend)
        # One row a token needs no operation of its own, as in the collapsed tree bias.
        units = relu(leaf_linear(x, self.weight_in, leaf, self.backend) + picked_rows(self.bias_in, leaf))
        out = leaf_linear(units, self.weight_out, leaf, self.backend)
        return out if self.bias_out is None else out + picked_rows(self.bias_out, leaf)

    def _by_peer(self, x: torch.Tensor) -> torch.Tensor:
        if self.bias_out is not None:
            raise InputError(
                f"backend={self.backend!r} was given to a layer with bias; its evaluation leaves out the second bias "
                "and would give another answer, use bias=False."
            )
        gate = self.gate.weight, self.gate.bias
        return leaf_feedforward(x, *gate, self.weight_in, self.bias_in, self.weight_out, self.backend)

    def extra_repr(self) -> str:
        """The sizes and the backend, as they were given."""
        return f"{super().extra_repr()}, hidden={self.spec.hidden}"
