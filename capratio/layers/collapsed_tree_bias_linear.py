"""The inference form of the tree-bias layer: the path sums are stored, one vector a leaf."""

import torch
from torch.nn.functional import linear

from capratio.kernels.touched_gradient import wants_touched, with_touched_gradient
from capratio.kernels.touched_rows import touched_rows
from capratio.layers.gated_layer import GatedLayer
from capratio.layers.initialization import draw_linear, new_table
from capratio.layers.input_check import as_autocast
from capratio.layers.picked_rows import picked_rows, picked_rows_gradient


class CollapsedTreeBiasLinear(GatedLayer):
    """y = weight x + table[leaf] + bias, where leaf = int(b_1..b_k) of the token's bits, b_1 the most significant.

    ``weight``: (q, p). ``table``: (2^k, q). ``bias``: (q,). Made by ``TreeBiasLinear.collapse()``, or directly. The
    gate gets no gradient: gradients reach the weight, the visited leaves, the input and the bias.

    Args: as TreeBiasLinear. init: ``dense`` starts the table at zero; ``random`` draws each leaf like nn.Linear's bias;
    ``empty`` leaves memory as it is.

    Raises InputError as TreeBiasLinear does.

    Source: Cho & Bengio 2014, arXiv 1406.7362, our reading of its O(k q) as a bias.
    """

    layer = "tree-bias"
    form = "collapsed"
    operation = "sign_leaf"

    def _create(self, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        self.weight = new_table((self.out_features, self.in_features), device, dtype)
        self.table = new_table((self.spec.nodes, self.out_features), device, dtype)

    def _draw(self) -> None:
        with torch.no_grad():
            draw_linear(self.weight, self.in_features)
            if self.init == "random":
                draw_linear(self.table, self.in_features)
            else:
                self.table.zero_()

    def _copy_linear(self, weight: torch.Tensor) -> None:
        self.weight.copy_(weight)
        self.table.zero_()

    def _dense(self, x: torch.Tensor) -> torch.Tensor:
        leaf = torch.zeros(x.shape[:-1], dtype=torch.int64, device=x.device)
        return as_autocast(linear(x, self.weight, self.bias) + picked_rows(self.table, leaf))

    def _rows(self, x: torch.Tensor, read: torch.Tensor) -> torch.Tensor:
        leaf = self.gate.leaf(read, self.backend)
        return linear(x, self.weight, self.bias) + self._added(leaf)

    def _added(self, leaf: torch.Tensor) -> torch.Tensor:
        """The row of each token's leaf."""
        # One row a token needs no operation of its own.
        if not wants_touched(self.weight_gradient, self.table):
            return picked_rows(self.table, leaf)
        rows = picked_rows(self.table.detach(), leaf)
        return with_touched_gradient(rows, self.table, _touched_gradient, (leaf,), (len(self.table),))


def _touched_gradient(grad: torch.Tensor, leaf: torch.Tensor, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The visited leaves and their gradients, padded: (N, q), (N,) -> (M,), (M, q), M = min(N, rows).

    torch's own sparse gradient of an embedding has a row a token, and adds none up.
    """
    indices, place = touched_rows(leaf, rows)
    return indices, picked_rows_gradient(grad, place, len(indices))
