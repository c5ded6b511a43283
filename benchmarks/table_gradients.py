"""The gradient of a table alone, a memory table's and an embedding bag's, as layers of a case file.

A call is one backward pass through a look-up whose graph was recorded before; the input stands for the gradient that
comes in. Rows are those of ``EmbeddingBagTable``.
"""

import torch
from torch import nn
from torch.nn.functional import embedding_bag

from benchmarks.checked_layer import check_rows
from benchmarks.peer_layers import draw_rows
from capratio.errors import InputError
from capratio.kernels.row_lookup import row_lookup

GRADIENTS = ("dense", "touched", "unsummed")


class TableGradient(nn.Module):
    """(N, d) of an output's gradient -> N rows of the table's, by ``row_lookup`` or by torch's embedding bag.

    Args: features d. rows: of the table. lookups: of a token. gradient: ``dense``, ``touched`` (sparse, each row once),
    or, of torch's bag alone, ``unsummed``: its sparse gradient as it leaves it, a row as often as it was looked up.
    backend: of the operation.

    Raises InputError for another gradient.
    """

    def __init__(self, features: int, rows: int, lookups: int, gradient: str, backend: str) -> None:
        super().__init__()
        if gradient not in GRADIENTS or (gradient == "unsummed" and backend != "embedding-bag"):
            raise InputError(
                f"gradient={gradient!r} was given for backend={backend!r}; use dense or touched, or unsummed of "
                "embedding-bag."
            )
        self.weight = nn.Parameter(torch.randn(rows, features))
        self.lookups, self.gradient, self.backend = lookups, gradient, backend
        self._recorded: dict[int, torch.Tensor] = {}

    def forward(self, grad: torch.Tensor) -> torch.Tensor:
        """Raises WrongAnswerError where a first gradient is another one than a loop's in float64."""
        first = len(grad) not in self._recorded
        if first:
            self._recorded[len(grad)] = self._record(len(grad))
        (found,) = torch.autograd.grad(self._recorded[len(grad)], self.weight, grad, retain_graph=True)
        if first:
            check_rows(found.to_dense(), self.expected(grad.double()), f"{self.backend}'s {self.gradient} gradient")
        values = found._values() if found.is_sparse else found
        return values[: len(grad)]

    def expected(self, grad: torch.Tensor) -> torch.Tensor:
        """The whole gradient of the table, (N, d) float64 -> (rows, d)."""
        rows = draw_rows(len(self.weight), len(grad), self.lookups, grad.device)
        found = grad.new_zeros(self.weight.shape)
        for looked_up in rows.unbind(1):
            found.index_add_(0, looked_up, grad)
        return found

    @torch.inference_mode(False)
    @torch.enable_grad()
    def _record(self, tokens: int) -> torch.Tensor:
        rows = draw_rows(len(self.weight), tokens, self.lookups, self.weight.device)
        if self.gradient == "unsummed":
            out: torch.Tensor = embedding_bag(rows, self.weight, mode="sum", sparse=True)
            return out
        return row_lookup(self.weight, rows, None, self.backend, self.gradient)
