"""The inference form of the unit-tree layer: the path sums are stored, one vector for each unit and leaf."""

import torch
from torch.nn.functional import linear

from capratio.kernels.unit_lookup import unit_lookup
from capratio.layers.gated_layer import GatedLayer
from capratio.layers.initialization import draw_linear
from capratio.layers.unit_table import new_unit_table


class CollapsedUnitTreeLinear(GatedLayer):
    """y = sum over j of x_j weight[j, leaf^j] + bias, where leaf^j = int(b^j_1..b^j_k) of unit j's own bits.

    ``weight``: (p, 2^k, q). ``bias``: (q,). Made by ``UnitTreeLinear.collapse()``, or directly. The gate gets no
    gradient: gradients reach the visited leaves, the input and the bias.

    Args: as UnitTreeLinear. init: ``dense`` gives every leaf of a unit the same vector, drawn like nn.Linear;
    ``random`` draws each leaf like nn.Linear; ``empty`` leaves memory as it is.

    Raises InputError as UnitTreeLinear does.

    Source: Cho & Bengio 2014, arXiv 1406.7362, our reading.
    """

    layer = "tree-unit"
    form = "collapsed"
    operation = "unit_lookup"
    own_bits = True

    def _create(self, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        self.weight = new_unit_table(self.in_features, self.spec.nodes, self.out_features, device, dtype)

    def _draw(self) -> None:
        with torch.no_grad():
            if self.init == "random":
                draw_linear(self.weight, self.in_features)
            else:
                draw_linear(self.weight[:, 0].t(), self.in_features)
                self.weight[:, 1:].copy_(self.weight[:, :1])

    def _copy_linear(self, weight: torch.Tensor) -> None:
        self.weight.copy_(weight.t().unsqueeze(1))

    def _dense(self, x: torch.Tensor) -> torch.Tensor:
        return linear(x, self.weight[:, 0].t(), self.bias)

    def _rows(self, x: torch.Tensor, read: torch.Tensor) -> torch.Tensor:
        leaves = self.spec.nodes
        trees = torch.arange(0, self.in_features * leaves, leaves, device=x.device)
        node = (self.gate.leaf(read, self.backend) + trees).unsqueeze(-1)
        return self._add_bias(unit_lookup(x, self.weight, node, self.backend, self.weight_gradient))
