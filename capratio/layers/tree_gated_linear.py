"""The tree-gated layer: one bit pattern a token chooses a path of matrices whose sum multiplies it."""

import torch
from torch.nn.functional import linear

from capratio.cost.spec import DENSE_GRADIENT
from capratio.kernels.backends import AUTO
from capratio.kernels.path_linear import forms_in_tiles, known_order, path_linear, resolve_order
from capratio.layers.collapsed_tree_linear import CollapsedTreeLinear
from capratio.layers.collapsing import leaf_sums
from capratio.layers.gate import Gate
from capratio.layers.gated_layer import GatedLayer
from capratio.layers.initialization import draw_linear, draw_path, new_table


class TreeGatedLinear(GatedLayer):
    """y = sum over l = 0..k of weight[node_l] x + bias, where node_l is the prefix b_1..b_l of the token's bits.

    ``weight``: (2^(k+1) - 1, q, p) in level order, node of b_1..b_l at (2^l - 1) + int(b_1..b_l), b_1 the most
    significant bit. ``bias``: (q,). The gate gets no gradient: gradients reach the visited nodes, the input and the
    bias.

    Args: in_features p, out_features q, depth k: counts. gate: ``signs`` of k input features, ``hyperplanes`` that are
    learned, or a gate module (which may read another tensor: ``layer(x, gate_input=h)``). gate_seed: of the choice of
    features. init: ``dense`` draws the root like nn.Linear and starts deeper nodes at zero, ``random`` draws every
    node, ``empty`` leaves memory as it is. order: one of ``capratio.cost.spec.ORDERS``, or ``auto``: the one of least
    roofline time for the number of tokens and the backend. backend: one of ``capratio.kernels.backends.NAMES``.
    weight_gradient: ``dense``, or ``touched``: a coalesced sparse tensor of the visited nodes, eager, of first order;
    dense at depth 0.

    Raises InputError for sizes under 1, a depth that is negative or more than the features that give bits, an unknown
    gate, init, order, backend or weight_gradient.

    Source: Cho & Bengio 2014, arXiv 1406.7362, our reading.
    """

    layer = "tree-shared"
    form = "path"
    operation = "path_linear"

    def __init__(
        self,
        in_features: int,
        out_features: int,
        depth: int,
        *,
        bias: bool = True,
        gate: str | Gate = "signs",
        gate_seed: int = 0,
        init: str = "dense",
        order: str = AUTO,
        backend: str = AUTO,
        weight_gradient: str = DENSE_GRADIENT,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.order = known_order(order)
        super().__init__(
            in_features,
            out_features,
            depth,
            bias=bias,
            gate=gate,
            gate_seed=gate_seed,
            init=init,
            backend=backend,
            weight_gradient=weight_gradient,
            device=device,
            dtype=dtype,
        )

    def order_for(self, tokens: int) -> str:
        """The order in which N tokens run; at depth 0 there is but one node, and any order is the same."""
        weight, tiled = self.weight, forms_in_tiles(self.backend, self.weight)
        return resolve_order(
            self.order, tokens, self.in_features, self.out_features, self.depth, weight.itemsize, tiled=tiled
        )

    def collapse(self) -> CollapsedTreeLinear:
        """The inference form: the path sums of all leaves, stored; equal within rounding, with a copy of the gate."""
        collapsed = self._inference_form(CollapsedTreeLinear)
        with torch.no_grad():
            collapsed.weight.copy_(leaf_sums(self.weight, self.depth))
        return collapsed

    def extra_repr(self) -> str:
        """The sizes and the order, as they were given."""
        return f"{super().extra_repr()}, order={self.order}"

    def _create(self, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        self.weight = new_table((self.spec.nodes, self.out_features, self.in_features), device, dtype)

    def _draw(self) -> None:
        with torch.no_grad():
            if self.init == "random":
                draw_path(self.weight, self.in_features, self.depth)
            else:
                draw_linear(self.weight[0], self.in_features)
                self.weight[1:].zero_()

    def _copy_linear(self, weight: torch.Tensor) -> None:
        self.weight[0].copy_(weight)
        self.weight[1:].zero_()

    def _dense(self, x: torch.Tensor) -> torch.Tensor:
        return linear(x, self.weight[0], self.bias)

    def _rows(self, x: torch.Tensor, read: torch.Tensor) -> torch.Tensor:
        bits = self.gate.decide(read)
        return self._add_bias(path_linear(x, self.weight, bits, self.order, self.backend, self.weight_gradient))
