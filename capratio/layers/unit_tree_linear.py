"""The unit-tree layer: every input unit has bits of its own, which choose a path of vectors that it scales."""

from typing import Any

import torch
from torch.nn.functional import linear

from capratio.kernels.unit_lookup import unit_lookup
from capratio.layers.collapsed_unit_tree_linear import CollapsedUnitTreeLinear
from capratio.layers.collapsing import leaf_sums
from capratio.layers.gated_layer import GatedLayer
from capratio.layers.initialization import draw_linear, draw_path
from capratio.layers.unit_table import new_unit_table


class UnitTreeLinear(GatedLayer):
    """y = sum over j of x_j (sum over l = 0..k of weight[j, node^j_l]) + bias, node^j_l a prefix of unit j's bits.

    ``weight``: (p, 2^(k+1) - 1, q), a tree in level order for each input unit j. ``bias``: (q,). The gate gets no
    gradient: gradients reach the visited nodes, the input and the bias.

    Args: in_features p, out_features q, depth k: counts. gate: ``signs`` of k features for each unit, ``thresholds``
    that are learned on them, or a gate module with p units (which may read another tensor: ``layer(x, gate_input=h)``).
    gate_seed: of the choice of features. init: ``dense`` draws the roots like nn.Linear and starts deeper nodes at
    zero, ``random`` draws every node, ``empty`` leaves memory as it is. weight_gradient: as TreeGatedLinear's.

    Raises InputError for sizes under 1, a depth that is negative or more than the features that give bits, an unknown
    gate, init or weight_gradient.

    Source: Cho & Bengio 2014, arXiv 1406.7362, our reading.
    """

    layer = "tree-unit"
    form = "path"
    operation = "unit_lookup"
    own_bits = True
    offsets: torch.Tensor

    def reset_parameters(self) -> None:
        """Draw the layer's own parameters as ``init`` says; the gate has a reset of its own."""
        self._fill_offsets()
        super().reset_parameters()

    def collapse(self) -> CollapsedUnitTreeLinear:
        """The inference form: the path sums of all leaves, stored; equal within rounding, with a copy of the gate."""
        collapsed = self._inference_form(CollapsedUnitTreeLinear)
        with torch.no_grad():
            collapsed.weight.copy_(leaf_sums(self.weight.transpose(0, 1), self.depth).transpose(0, 1))
        return collapsed

    def _create(self, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        self.weight = new_unit_table(self.in_features, self.spec.nodes, self.out_features, device, dtype)
        # Where each level of each unit's tree begins in the table of all rows: sizes alone give it, so it is no state.
        offsets = torch.empty(self.in_features, self.depth + 1, dtype=torch.int64, device=device)
        self.register_buffer("offsets", offsets, persistent=False)

    def _load_from_state_dict(self, *args: Any) -> None:
        # A layer moved off the meta device has new memory, of which a loaded state fills all but the offsets.
        super()._load_from_state_dict(*args)
        self._fill_offsets()

    def _fill_offsets(self) -> None:
        device, nodes = self.offsets.device, self.spec.nodes
        starts = torch.tensor([2**level - 1 for level in range(self.depth + 1)], device=device)
        trees = torch.arange(0, self.in_features * nodes, nodes, device=device)
        self.offsets.copy_(trees.unsqueeze(1) + starts)

    def _draw(self) -> None:
        with torch.no_grad():
            if self.init == "random":
                draw_path(self.weight, self.in_features, self.depth)
            else:
                draw_linear(self.weight[:, 0].t(), self.in_features)
                self.weight[:, 1:].zero_()

    def _copy_linear(self, weight: torch.Tensor) -> None:
        self.weight[:, 0].copy_(weight.t())
        self.weight[:, 1:].zero_()

    def _dense(self, x: torch.Tensor) -> torch.Tensor:
        return linear(x, self.weight[:, 0].t(), self.bias)

    def _rows(self, x: torch.Tensor, read: torch.Tensor) -> torch.Tensor:
        shifts = torch.arange(self.depth, -1, -1, device=x.device)
        node = (self.gate.leaf(read, self.backend).unsqueeze(-1) >> shifts) + self.offsets
        return self._add_bias(unit_lookup(x, self.weight, node, self.backend, self.weight_gradient))
