"""A dense layer with a memory of rows that winner-take-all hashes of the token find."""

from math import inf

import torch
from torch.nn.functional import linear

from capratio.cost.systems.contract import Visits
from capratio.cost.systems.winner_take_all import WinnerTakeAllSpec
from capratio.kernels.backends import AUTO
from capratio.kernels.precision import sum_dtype
from capratio.kernels.row_lookup import row_lookup
from capratio.layers.conditional_layer import ConditionalLayer, Decisions, Outcome
from capratio.layers.initialization import draw_linear, new_table
from capratio.layers.input_check import as_autocast
from capratio.layers.seeds import chosen_features


class WinnerTakeAllMemory(ConditionalLayer):
    """y = W x + b + Σ over tables l and probes j of table[l m^K + bucket_lj].

    A hash looks at m features of its own, the first of a random permutation, and gives the place of the highest (the
    first of equals); K such places, the first hash's the most significant, are the digits of a bucket's number. It
    depends on the order of features alone, so that rising transforms of x change nothing. Probe 0 is the bucket, and
    probe j flips the hash of the j-th smallest margin between winner and runner-up to that runner-up. Margins are those
    of float32 for half types.

    ``weight`` W: (q, p). ``bias`` b: (q,). ``table``: (L m^K, q). Drawn as nn.Linear draws; the rows of a token
    together have the variance of a bias. ``windows``: int64 (L, K, m), a buffer, fixed by the seed. Hashes have no
    gradient.

    Decisions: ``row``, int64 (N, L P), the probes of one table behind one another. Compiles and exports in one graph.

    Args: window m, hashes K, tables L, probes P: counts. seed: of the windows. backend: of the look-up.

    Raises InputError for sizes under 1, a window wider than p, more probes than K + 1 (1 where m = 1), a seed that is
    no integer, a table beyond any memory, or an unknown backend.

    Source: hashes and probes as of TENNOR 2026 and SLIDE; a bucket that holds one row, added to a dense layer, is our
    reading.
    """

    operation = "row_lookup"
    spec: WinnerTakeAllSpec
    windows: torch.Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        window: int = 8,
        hashes: int = 4,
        tables: int = 2,
        probes: int = 2,
        seed: int = 0,
        backend: str = AUTO,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        spec = WinnerTakeAllSpec(in_features, out_features, window, hashes, tables, probes, seed)
        super().__init__(spec, backend)
        self.weight = new_table((out_features, in_features), device, dtype)
        self.bias = new_table((out_features,), device, dtype)
        self.table = new_table((tables * spec.buckets, out_features), device, dtype)
        self.register_buffer("windows", torch.empty(tables, hashes, window, dtype=torch.int64, device=device))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters, and the windows again, which gives the same ones."""
        for table in (self.weight, self.bias):
            draw_linear(table, self.in_features)
        draw_linear(self.table, self.in_features * self.spec.lookups)
        spec = self.spec
        chosen = chosen_features(spec.tables * spec.hashes, spec.in_features, spec.window, spec.seed)
        self.windows.copy_(chosen.view(spec.tables, spec.hashes, spec.window))

    def rows(self, x: torch.Tensor) -> torch.Tensor:
        """The rows that the probes of each token find: (N, p) -> int64 (N, L P)."""
        spec = self.spec
        digits = self._digits(x.detach())
        bucket = digits[..., 0]
        for place in range(1, spec.hashes):
            bucket = bucket * spec.window + digits[..., place]
        first = torch.arange(0, spec.tables * spec.buckets, spec.buckets, device=x.device)
        return (bucket + first.unsqueeze(1)).flatten(1)

    def visits(self, decisions: Decisions) -> Visits:
        """Distinct rows, and all look-ups."""
        row = decisions["row"]
        return Visits(len(row), {"rows": torch.unique(row).numel(), "lookups": row.numel()})

    def _compute(self, x: torch.Tensor, generator: torch.Generator | None, ids: torch.Tensor | None) -> Outcome:
        row = self.rows(x)
        out = linear(x, self.weight, self.bias) + row_lookup(self.table, row, None, self.backend)
        return Outcome(as_autocast(out), {"row": row})

    def _digits(self, x: torch.Tensor) -> torch.Tensor:
        """The place of the feature that each hash takes, for each probe: (N, p) -> int64 (N, L, P, K)."""
        features = x.index_select(1, self.windows.flatten()).view(x.shape[0], *self.windows.shape)
        best, winner = features.to(sum_dtype(x.dtype)).max(-1)
        plain = winner.unsqueeze(2)
        if self.spec.probes == 1:
            return plain
        second, runner_up = features.scatter(-1, winner.unsqueeze(-1), -inf).max(-1)
        _, by_margin = torch.sort(best - second, dim=-1, stable=True)
        flipped = by_margin[..., : self.spec.probes - 1, None] == torch.arange(self.spec.hashes, device=x.device)
        return torch.cat([plain, torch.where(flipped, runner_up.unsqueeze(2), plain)], 2)
