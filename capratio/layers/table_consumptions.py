"""What is done with the rows of memory tables: added to a token, put behind it, or run as small experts."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import nn

from capratio.cost.systems.memory_table import MemoryTableSpec
from capratio.kernels.expert_feedforward import expert_feedforward
from capratio.kernels.row_lookup import row_lookup
from capratio.layers.initialization import draw_linear, new_table
from capratio.layers.table_lookups import Found


class TableConsumption(nn.Module, ABC):
    """Holds the entries, and takes those that are found into a token.

    A subclass names the folder of its ``operation``. Args: spec: sizes and options.
    """

    operation: ClassVar[str]

    def __init__(self, spec: MemoryTableSpec, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        super().__init__()
        self._create(spec, device, dtype)

    @abstractmethod
    def _create(self, spec: MemoryTableSpec, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        """Create the entries, not yet drawn."""

    @abstractmethod
    def forward(self, x: torch.Tensor, found: Found, backend: str) -> torch.Tensor:
        """The outputs, (N, p) -> (N, q). Args: found: rows and shares. backend: of the operation."""

    @abstractmethod
    def reset_parameters(self) -> None:
        """Draw the entries."""


class AddedRows(TableConsumption):
    """y = x + sum over i of share_i table[row_i].

    ``table``: (tables · entries, q), drawn as the weights of nn.Linear.

    Source: Baykal et al. 2023, arXiv 2302.00003, abstract.
    """

    operation = "row_lookup"

    def _create(self, spec: MemoryTableSpec, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        self.weight_gradient = spec.weight_gradient
        self.in_features = spec.in_features
        self.table = new_table((spec.tables * spec.entries, spec.entry_features), device, dtype)

    def forward(self, x: torch.Tensor, found: Found, backend: str) -> torch.Tensor:
        """As TableConsumption's."""
        return x + self._sum(found, backend)

    def reset_parameters(self) -> None:
        """Draw the table."""
        draw_linear(self.table, self.in_features)

    def _sum(self, found: Found, backend: str) -> torch.Tensor:
        return row_lookup(self.table, found.rows, found.share, backend, self.weight_gradient)


class ConcatenatedRows(AddedRows):
    """y = [x, sum over i of share_i table[row_i]], entries of q - p elements.

    ``table`` and source: as AddedRows.
    """

    def forward(self, x: torch.Tensor, found: Found, backend: str) -> torch.Tensor:
        """As TableConsumption's."""
        return torch.cat([x, self._sum(found, backend)], 1)


class SmallExperts(TableConsumption):
    """y = x + sum over i of share_i V relu(U^T x), with U^T = weight_in[row_i] and V = weight_out[row_i].

    ``weight_in``: (tables · entries, rank, p). ``weight_out``: (tables · entries, q, rank). Both are drawn as
    nn.Linear's.

    Source: Baykal et al. 2023, arXiv 2302.00003, abstract; the network and that it is added to x are our reading.
    """

    operation = "expert_feedforward"

    def _create(self, spec: MemoryTableSpec, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        rows = spec.tables * spec.entries
        self.weight_in = new_table((rows, spec.rank, spec.in_features), device, dtype)
        self.weight_out = new_table((rows, spec.out_features, spec.rank), device, dtype)

    def forward(self, x: torch.Tensor, found: Found, backend: str) -> torch.Tensor:
        """As TableConsumption's."""
        share = x.new_ones(found.rows.shape) if found.share is None else found.share
        return x + expert_feedforward(x, self.weight_in, self.weight_out, found.rows, share, "relu", backend)

    def reset_parameters(self) -> None:
        """Draw both matrices of every expert."""
        draw_linear(self.weight_in, self.weight_in.shape[2])
        draw_linear(self.weight_out, self.weight_out.shape[2])


CONSUMPTION_CLASSES: dict[str, type[TableConsumption]] = {
    "add": AddedRows,
    "concat": ConcatenatedRows,
    "expert": SmallExperts,
}
