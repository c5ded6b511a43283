"""The fast feedforward layer of neurons: every node is one, and those on a token's way down are added up."""

import torch
from torch import nn
from torch.nn.functional import gelu

from capratio.cost.spec import LayerSpec
from capratio.kernels.backends import AUTO
from capratio.kernels.path_feedforward import path_feedforward
from capratio.kernels.routing import leaf_bits
from capratio.kernels.tree_descent import neuron_path
from capratio.kernels.unit_lookup import unit_lookup
from capratio.layers.fast_feedforward import FastFeedforward
from capratio.layers.initialization import draw_linear, new_table


class PathFeedforward(FastFeedforward):
    """y = sum over l = 0..k of gelu(v_l) weight_out[node_l] + bias, v_l = weight_in[node_l] . x, whose sign leads on.

    ``weight_in``: (2^(k+1) - 1, p). ``weight_out``: (2^(k+1) - 1, q). ``bias``: (q,), which the published layer has
    not. From node n a token goes to 2n + 1 + [v > 0]. Gradients reach the visited neurons, the input and the bias;
    decisions are constants.

    Args: in_features p, out_features q, depth k: counts. bias: whether a bias is added. init, backend: as
    FastFeedforward.

    Raises InputError for sizes under 1, a negative depth, tables beyond any memory, an unknown init or backend.

    Source: Belcak & Wattenhofer 2023, arXiv 2311.10770 (UltraFastBERT, one tree), read in the authors' code.
    """

    operation = "unit_lookup"
    whole = "path_feedforward"
    peer = "ultrafastbert"
    bias: nn.Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        depth: int,
        *,
        bias: bool = True,
        init: str = "random",
        backend: str = AUTO,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        spec = LayerSpec("fast-feedforward", in_features, out_features, depth, "path", bias, "descent")
        super().__init__(spec, init, backend)
        self.weight_in = new_table((spec.nodes, in_features), device, dtype)
        self.weight_out = new_table((spec.nodes, out_features), device, dtype)
        if bias:
            self.bias = nn.Parameter(torch.empty(out_features, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def _draw(self) -> None:
        draw_linear(self.weight_in, self.in_features)
        draw_linear(self.weight_out, self.depth + 1)
        if self.bias is not None:
            draw_linear(self.bias, self.depth + 1)

    def _row_bits(self, x: torch.Tensor) -> torch.Tensor:
        node, _ = neuron_path(x, self.weight_in.detach(), self.depth, self.backend)
        return leaf_bits(node[:, -1] - (2**self.depth - 1), self.depth)

    def _rows(self, x: torch.Tensor) -> torch.Tensor:
        if self.backend == self.peer:
            out = path_feedforward(x, self.weight_in, self.weight_out, self.backend)
        else:
            node, value = neuron_path(x, self.weight_in, self.depth, self.backend)
            out = unit_lookup(gelu(value), self.weight_out, node.unsqueeze(2), self.backend)
        return out if self.bias is None else out + self.bias
