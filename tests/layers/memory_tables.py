"""Memory tables that several files of tests look at: all twelve combinations, with tokens and ids for them."""

from itertools import product
from typing import Any

import torch

from capratio.cost.systems.memory_table import CONSUMPTIONS, LOOKUPS
from capratio.layers.memory_table import MemoryTable

P, E = 9, 8
KINDS = list(product(LOOKUPS, CONSUMPTIONS))


def drawn(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def built(lookup: str, consumption: str, dtype: torch.dtype = torch.float64, p: int = P, **options: Any) -> MemoryTable:
    """A table of p features and E entries, or as the options say; 4 features are concatenated."""
    torch.manual_seed(11)
    q = p + 4 if consumption == "concat" else p
    return MemoryTable(p, q, lookup=lookup, consumption=consumption, dtype=dtype, **{"entries": E, **options})


def ids_for(layer: MemoryTable, tokens: int, seed: int = 0) -> torch.Tensor | None:
    """Ids for a layer that takes them."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(layer.entries, (tokens,), generator=generator) if layer.takes_ids else None
