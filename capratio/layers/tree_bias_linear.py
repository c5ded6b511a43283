"""The tree-bias layer: a dense product, and a path of vectors added to it."""

import torch
from torch.nn.functional import linear

from capratio.kernels.backends import REFERENCE
from capratio.kernels.path_bias import add_path_bias, path_bias
from capratio.layers.collapsed_tree_bias_linear import CollapsedTreeBiasLinear
from capratio.layers.collapsing import leaf_sums
from capratio.layers.gated_layer import GatedLayer
from capratio.layers.initialization import draw_linear, draw_path, new_table
from capratio.layers.input_check import as_autocast


class TreeBiasLinear(GatedLayer):
    """y = weight x + sum over l = 0..k of table[node_l] + bias, node_l the prefix b_1..b_l of the token's bits.

    ``weight``: (q, p). ``table``: (2^(k+1) - 1, q) in level order. ``bias``: (q,). The gate gets no gradient: gradients
    reach the weight, the visited nodes, the input and the bias.

    Args: in_features p, out_features q, depth k: counts. gate, gate_seed: as TreeGatedLinear's. init: ``dense`` draws
    the weight like nn.Linear and starts the table at zero, ``random`` draws every node too, ``empty`` leaves memory as
    it is. weight_gradient: of the table, as TreeGatedLinear's; the weight's is dense.

    Raises InputError for sizes under 1, a depth that is negative or more than the features that give bits, an unknown
    gate, init or weight_gradient.

    Source: Cho & Bengio 2014, arXiv 1406.7362, our reading of its O(k q) as a bias.
    """

    layer = "tree-bias"
    form = "path"
    operation = "path_bias"

    def collapse(self) -> CollapsedTreeBiasLinear:
        """The inference form: the path sums of all leaves, stored; equal within rounding, with a copy of the gate."""
        collapsed = self._inference_form(CollapsedTreeBiasLinear)
        with torch.no_grad():
            collapsed.weight.copy_(self.weight)
            collapsed.table.copy_(leaf_sums(self.table, self.depth))
        return collapsed

    def _create(self, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        self.weight = new_table((self.out_features, self.in_features), device, dtype)
        self.table = new_table((self.spec.nodes, self.out_features), device, dtype)

    def _draw(self) -> None:
        with torch.no_grad():
            draw_linear(self.weight, self.in_features)
            if self.init == "random":
                draw_path(self.table, self.in_features, self.depth)
            else:
                self.table.zero_()

    def _copy_linear(self, weight: torch.Tensor) -> None:
        self.weight.copy_(weight)
        self.table.zero_()

    def _dense(self, x: torch.Tensor) -> torch.Tensor:
        out = linear(x, self.weight, self.bias)
        rows = out.reshape(-1, self.out_features)
        leaf = torch.zeros(rows.shape[0], dtype=torch.int64, device=x.device)
        return as_autocast(path_bias(rows, self.table, leaf, 0, REFERENCE).view(out.shape))

    def _rows(self, x: torch.Tensor, read: torch.Tensor) -> torch.Tensor:
        base, leaf = linear(x, self.weight, self.bias), self.gate.leaf(read, self.backend)
        if not torch.is_grad_enabled():
            return add_path_bias(base, self.table, leaf, self.depth, self.backend)
        return path_bias(base, self.table, leaf, self.depth, self.backend, self.weight_gradient)
