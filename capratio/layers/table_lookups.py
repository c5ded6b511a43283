"""Ways from a token to rows of memory tables: by its id, by two kinds of fixed hashes, and by a learned router."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import nn

from capratio.cost.systems.memory_table import MemoryTableSpec
from capratio.errors import InputError
from capratio.kernels.hyperplane_bits import hyperplane_bits
from capratio.kernels.leaf_index import leaf_index
from capratio.kernels.router_logits import router_logits
from capratio.layers.initialization import draw_linear, new_table


class Found(NamedTuple):
    """The rows that a look-up finds for N tokens.

    rows: (N, m) int64, of the tables laid behind one another: table · entries + entry. share: (N, m), by which the rows
    are scaled, or None for 1. logits: (N, tables, entries) of a router, which its loss is made of.
    """

    rows: torch.Tensor
    share: torch.Tensor | None = None
    logits: torch.Tensor | None = None


class TableLookup(nn.Module, ABC):
    """Finds rows of ``tables`` tables of ``entries`` entries for each token. Args: spec: sizes and options."""

    def __init__(self, spec: MemoryTableSpec, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        super().__init__()
        self.tables = spec.tables
        self.entries = spec.entries
        self._create(spec, device, dtype)

    @abstractmethod
    def _create(self, spec: MemoryTableSpec, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        """Create what is learned or fixed, not yet drawn."""

    @abstractmethod
    def forward(self, x: torch.Tensor, ids: torch.Tensor | None, backend: str) -> Found:
        """The rows of (N, p) tokens. Args: ids: int64 (N,), of a look-up by id. backend: of the operations."""

    @abstractmethod
    def reset_parameters(self) -> None:
        """Draw what is learned, and what is fixed by its seed."""

    def directions(self) -> torch.Tensor | None:
        """As ``ConditionalLayer.routing_directions``."""
        return None

    def _rows(self, chosen: torch.Tensor) -> torch.Tensor:
        """Rows of the tables laid behind one another, from entries of each table: (N, T, k) -> (N, T k)."""
        if self.tables == 1:
            return chosen.flatten(1)
        starts = torch.arange(0, self.tables * self.entries, self.entries, device=chosen.device)
        return (chosen + starts.unsqueeze(1)).flatten(1)


class TokenIds(TableLookup):
    """A token's id is its entry in each table; x is not read.

    Raises InputError for an id that is none of 0 .. entries - 1, where ids lie on a CPU and nothing is compiled.
    """

    def _create(self, spec: MemoryTableSpec, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        pass

    def forward(self, x: torch.Tensor, ids: torch.Tensor | None, backend: str) -> Found:
        """As TableLookup's."""
        assert ids is not None
        self._check(ids)
        return Found(self._rows(ids.view(-1, 1, 1).expand(-1, self.tables, 1)))

    def reset_parameters(self) -> None:
        """There is nothing to draw."""

    def _check(self, ids: torch.Tensor) -> None:
        # Elsewhere the host would wait for the device; and what numpy compares is no operation of the layer.
        if ids.device.type != "cpu" or torch.compiler.is_compiling() or ids.numel() == 0:
            return
        array = ids.numpy()
        for found in (array.min(), array.max()):
            if not 0 <= found < self.entries:
                raise InputError(
                    f"the id {found} was given to a memory table of {self.entries} entries; give ids from 0 to "
                    f"{self.entries - 1}."
                )


class SignHash(TableLookup):
    """entry = int(b_1..b_m), b_l = [planes[t, l] . x > 0], of m = log2(entries) fixed hyperplanes for each table t.

    ``planes``: (tables, m, p), a buffer, N(0, 1) drawn with the seed; it gets no gradient and gives none to x.

    Source: arXiv 2208.04461; b_1 as the most significant bit is our reading.
    """

    planes: torch.Tensor

    def _create(self, spec: MemoryTableSpec, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        self.seed = spec.seed
        shape = spec.tables, spec.bits, spec.in_features
        self.register_buffer("planes", torch.empty(shape, device=device, dtype=dtype))

    def forward(self, x: torch.Tensor, ids: torch.Tensor | None, backend: str) -> Found:
        """As TableLookup's."""
        tables, bits, _ = self.planes.shape
        signs = hyperplane_bits(x, self.planes.flatten(0, 1)).view(x.shape[0], tables, bits)
        return Found(self._rows(leaf_index(signs, backend).unsqueeze(2)))

    def reset_parameters(self) -> None:
        """Draw the planes, the same ones on every device."""
        generator = torch.Generator().manual_seed(self.seed)
        self.planes.copy_(torch.randn(self.planes.shape, generator=generator, dtype=torch.float64))

    def directions(self) -> torch.Tensor | None:
        """Of one table: sum over l of ±planes[l] by the entry's bits, whose product with x is highest for x's entry."""
        bits = self.planes.shape[1]
        if self.tables > 1 or bits == 0:
            return None
        entry = torch.arange(self.entries, device=self.planes.device).unsqueeze(1)
        ones = (entry >> torch.arange(bits - 1, -1, -1, device=entry.device)) % 2
        return (2 * ones - 1).to(self.planes.dtype) @ self.planes[0]


class EuclideanHash(TableLookup):
    """entry = (sum over j of multipliers[j] floor((slopes[t, j] . x + offsets[t, j]) / width)) mod entries.

    ``slopes``: (tables, projections, p), N(0, 1). ``offsets``: (tables, projections), U[0, width]. ``multipliers``:
    (projections,) int64: 1, then odd numbers under ``entries``. All are buffers drawn with the seed; they get no
    gradient and give none to x. Half precision is projected in float32.

    Source: arXiv 2208.04461 (the floor); how several projections become one of ``entries`` is our reading.
    """

    slopes: torch.Tensor
    offsets: torch.Tensor
    multipliers: torch.Tensor

    def _create(self, spec: MemoryTableSpec, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        self.seed = spec.seed
        self.width = spec.width
        shape = spec.tables, spec.projections
        self.register_buffer("slopes", torch.empty(*shape, spec.in_features, device=device, dtype=dtype))
        self.register_buffer("offsets", torch.empty(shape, device=device, dtype=dtype))
        self.register_buffer("multipliers", torch.empty(spec.projections, device=device, dtype=torch.int64))

    def forward(self, x: torch.Tensor, ids: torch.Tensor | None, backend: str) -> Found:
        """As TableLookup's."""
        scores = router_logits(x.detach(), self.slopes.flatten(0, 1), backend).view(x.shape[0], *self.offsets.shape)
        steps = ((scores + self.offsets) / self.width).floor().to(torch.int64)
        entry = (steps * self.multipliers).sum(2, keepdim=True) % self.entries
        return Found(self._rows(entry))

    def reset_parameters(self) -> None:
        """Draw slopes, offsets and multipliers, the same ones on every device."""
        generator = torch.Generator().manual_seed(self.seed)
        self.slopes.copy_(torch.randn(self.slopes.shape, generator=generator, dtype=torch.float64))
        self.offsets.copy_(self.width * torch.rand(self.offsets.shape, generator=generator, dtype=torch.float64))
        odd = 2 * torch.randint(max(self.entries // 2, 1), self.multipliers.shape, generator=generator) + 1
        odd[0] = 1
        self.multipliers.copy_(odd)


class SoftmaxRouter(TableLookup):
    """The ``top_k`` entries of each table with the highest x . router, with their shares of the softmax over them all.

    ``router``: (tables · entries, p), drawn as nn.Linear's; it gets gradients through the shares. Scores and softmax of
    half precision are float32.

    Source: Baykal et al. 2023, arXiv 2302.00003, abstract; the softmax over all entries is our reading.
    """

    def _create(self, spec: MemoryTableSpec, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        self.top_k = spec.top_k
        self.router = new_table((spec.tables * spec.entries, spec.in_features), device, dtype)

    def forward(self, x: torch.Tensor, ids: torch.Tensor | None, backend: str) -> Found:
        """As TableLookup's; of each table the highest entry first, of equal ones any."""
        logits = router_logits(x, self.router, backend).view(x.shape[0], self.tables, self.entries)
        chosen = logits.topk(self.top_k, 2).indices
        share = logits.softmax(2).gather(2, chosen).flatten(1)
        return Found(self._rows(chosen), share.to(x.dtype), logits)

    def reset_parameters(self) -> None:
        """Draw the router."""
        draw_linear(self.router, self.router.shape[1])

    def directions(self) -> torch.Tensor | None:
        """Of one table: the router's rows."""
        return self.router.detach() if self.tables == 1 else None


LOOKUP_CLASSES: dict[str, type[TableLookup]] = {
    "ids": TokenIds,
    "sign-lsh": SignHash,
    "euclidean-lsh": EuclideanHash,
    "softmax": SoftmaxRouter,
}
