"""What a measurement needs of a case, and nothing of its layer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from capratio.cost.spec import VisitedNodes
from capratio.cost.systems.contract import Visits


@dataclass(frozen=True, slots=True)
class Trial:
    """A case made ready to run.

    call: runs one sample on what ``prepare`` gave. prepare: makes sample i ready, untimed. check: holds sample i
    against the verified output, untimed. visited: what the first sample visits, the nodes of a tree or the visits of
    another system; None for a user's layer. sampled: of a tree, the nodes of the first so many samples together, else
    None. order: the order that runs, where there is one. backend: the one that runs.
    """

    call: Callable[[Any], torch.Tensor]
    prepare: Callable[[int], Any]
    check: Callable[[int, torch.Tensor], None]
    visited: VisitedNodes | Visits | None
    sampled: Callable[[int], VisitedNodes | None]
    order: str | None
    backend: str
