"""The inference form of the tree-gated layer: the path sums are stored, one matrix a leaf."""

import torch
from torch.nn.functional import linear

from capratio.kernels.leaf_linear import leaf_linear
from capratio.layers.gated_layer import GatedLayer
from capratio.layers.initialization import draw_linear, new_table


class CollapsedTreeLinear(GatedLayer):
    """y = weight[leaf] x + bias, where leaf = int(b_1..b_k) of the token's bits, b_1 the most significant.

    ``weight``: (2^k, q, p). ``bias``: (q,). Made by ``TreeGatedLinear.collapse()``, or directly, so that the path table
    does not limit the depth. The gate gets no gradient: gradients reach the visited leaves, the input and the bias.

    Args: as TreeGatedLinear. init: ``dense`` gives every leaf the same matrix, drawn like nn.Linear; ``random`` draws
    each leaf like nn.Linear; ``empty`` leaves memory as it is.

    Raises InputError as TreeGatedLinear does.

    Source: Cho & Bengio 2014, arXiv 1406.7362, our reading.
    """

    layer = "tree-shared"
    form = "collapsed"
    operation = "leaf_linear"

    def _create(self, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        self.weight = new_table((self.spec.nodes, self.out_features, self.in_features), device, dtype)

    def _draw(self) -> None:
        with torch.no_grad():
            if self.init == "random":
                draw_linear(self.weight, self.in_features)
            else:
                draw_linear(self.weight[0], self.in_features)
                self.weight[1:].copy_(self.weight[:1])

    def _copy_linear(self, weight: torch.Tensor) -> None:
        self.weight.copy_(weight)

    def _dense(self, x: torch.Tensor) -> torch.Tensor:
        return linear(x, self.weight[0], self.bias)

    def _rows(self, x: torch.Tensor, read: torch.Tensor) -> torch.Tensor:
        leaf = self.gate.leaf(read, self.backend)
        return leaf_linear(x, self.weight, leaf, self.backend, self.weight_gradient, self.bias)
