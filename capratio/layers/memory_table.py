"""The external memory table: entries that a token looks up are added to it, put behind it, or run on it."""

import torch

from capratio.cost.spec import DENSE_GRADIENT
from capratio.cost.systems.contract import Visits
from capratio.cost.systems.memory_table import MemoryTableSpec
from capratio.errors import InputError
from capratio.kernels.backends import AUTO
from capratio.layers.conditional_layer import ConditionalLayer, Decisions, Outcome
from capratio.layers.router_losses import balance_loss
from capratio.layers.table_consumptions import CONSUMPTION_CLASSES
from capratio.layers.table_lookups import LOOKUP_CLASSES


class MemoryTable(ConditionalLayer):
    """A token passes through, and with it what it finds in ``tables`` independent tables of ``entries`` entries.

    lookup finds entries e of each table, with shares s (1 but for softmax):
    - ``ids``: e is the token's id, ``layer(x, ids=...)``; x is not read.
    - ``sign-lsh``: e is the number that the signs of log2(entries) fixed projections make.
    - ``euclidean-lsh``: e is floor((a . x + b) / width) mod entries of a fixed projection, or of several, combined.
    - ``softmax``: the ``top_k`` highest of p = softmax(x . router), s = p_e.

    consumption, of the sum over all tables:
    - ``add``: y = x + sum of s entry_e; q = p.
    - ``concat``: y = [x, sum of s entry_e], entries of q - p elements.
    - ``expert``: y = x + sum of s V_e relu(U_e^T x), U_e and V_e of ``rank`` columns; q = p. An expert of rank 0 is
      the ``add`` form (our reading), which has its own name: ranks begin at 1.

    ``lookup`` and ``consumption`` are two modules, which hold what is fixed and learned. Hashes are buffers: they get
    no gradient, and a hash passes none to x. Decisions: ``rows``, int64 (N, m), of the tables laid behind one another,
    and ``ids``, where they are looked up. Kept: ``logits`` of softmax, (N, tables, entries).

    Compiles and exports in one graph; ids are not held against ``entries`` there, nor on a GPU, whose host would wait.

    Args: seed: of what is fixed. weight_gradient: of the table of ``add`` and ``concat``, ``dense``, or ``touched``: a
    sparse tensor of the rows that were read, eager and of first order. backend: of the operations.

    Raises InputError for sizes under 1, sizes that do not fit the look-up or the consumption, an option that another
    one has, words that are not known.

    Source: Baykal et al. 2023, arXiv 2302.00003; hashes of arXiv 2208.04461; that x passes through is our reading.
    """

    spec: MemoryTableSpec

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        lookup: str = "sign-lsh",
        consumption: str = "add",
        entries: int = 1024,
        tables: int = 1,
        top_k: int = 2,
        rank: int = 4,
        width: float = 1.0,
        projections: int = 1,
        seed: int = 0,
        weight_gradient: str = DENSE_GRADIENT,
        backend: str = AUTO,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        spec = MemoryTableSpec(
            in_features,
            out_features,
            lookup,
            consumption,
            entries,
            tables,
            top_k,
            rank,
            width,
            projections,
            seed,
            weight_gradient,
        )
        super().__init__(spec, backend)
        self.lookup = LOOKUP_CLASSES[lookup](spec, device, dtype)
        self.consumption = CONSUMPTION_CLASSES[consumption](spec, device, dtype)
        self.operation = self.consumption.operation
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw entries and router anew; what is fixed is the same again."""
        self.lookup.reset_parameters()
        self.consumption.reset_parameters()

    @property
    def takes_ids(self) -> bool:
        """Whether ids are looked up."""
        return self.spec.lookup == "ids"

    @property
    def entries(self) -> int:
        """Of one table, where ids are looked up."""
        return self.spec.entries if self.takes_ids else 0

    @property
    def choices(self) -> int:
        """Entries of one table that a token looks up."""
        return self.spec.lookups // self.spec.tables

    def routing_directions(self) -> torch.Tensor | None:
        """Of a single table: the router's rows, or the sum of the hyperplanes with each entry's signs."""
        return self.lookup.directions()

    def outcome(
        self, x: torch.Tensor, *, generator: torch.Generator | None = None, ids: torch.Tensor | None = None
    ) -> Outcome:
        """As ConditionalLayer's."""
        self._check_ids(x, ids)
        return super().outcome(x, generator=generator, ids=ids)

    def losses(self, outcome: Outcome) -> dict[str, torch.Tensor]:
        """``balance`` of softmax, E Σ_e f_e P_e of each table's E entries, summed over tables; unweighted.

        f_e is the share of tokens whose highest entry is e, P_e its mean probability. Switch's weight is 1e-2.

        Source: Fedus, Zoph & Shazeer 2021, arXiv 2101.03961; its use for tables is our reading.
        """
        logits = outcome.kept.get("logits")
        if logits is None:
            return {}
        highest = outcome.decisions["rows"][:, :: self.spec.top_k] % self.spec.entries
        losses = [balance_loss(logits[:, table], highest[:, table]) for table in range(self.spec.tables)]
        return {"balance": torch.stack(losses).sum()}

    def visits(self, decisions: Decisions) -> Visits:
        """Distinct entries."""
        rows = decisions["rows"]
        return Visits(len(rows), {"entries": torch.unique(rows).numel()})

    def _compute(self, x: torch.Tensor, generator: torch.Generator | None, ids: torch.Tensor | None) -> Outcome:
        found = self.lookup(x, ids, self.backend)
        out = self.consumption(x, found, self.backend)
        decisions = {"rows": found.rows} if ids is None else {"rows": found.rows, "ids": ids}
        return Outcome(out, decisions, {} if found.logits is None else {"logits": found.logits})

    def _check_ids(self, x: torch.Tensor, ids: torch.Tensor | None) -> None:
        if not self.takes_ids:
            if ids is not None:
                raise InputError(
                    f"ids were given to a memory table with lookup={self.spec.lookup!r}, which finds entries from x; "
                    "leave them out, or use lookup='ids'."
                )
        elif ids is None:
            raise InputError(
                "no ids were given to a memory table with lookup='ids'; call layer(x, ids=...) with one for each "
                f"token, from 0 to {self.spec.entries - 1}."
            )
        elif ids.dtype != torch.int64 or ids.shape != x.shape[:-1]:
            raise InputError(
                f"ids of {ids.dtype} and shape {tuple(ids.shape)} were given for x of shape {tuple(x.shape)}; give "
                f"torch.int64 and shape {tuple(x.shape[:-1])}, one for each token."
            )
