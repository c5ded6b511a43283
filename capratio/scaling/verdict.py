"""What a claim ends in: holds, broken or undecided, with the numbers and words that say why."""

from dataclasses import dataclass, field
from typing import Literal

from capratio.errors import InputError

Kind = Literal["exact", "fitted"]
Status = Literal["holds", "broken", "undecided"]


@dataclass(frozen=True, slots=True)
class FitPoint:
    """One point of a claim.

    x: the size. y: the value there, over processes. low, high: its interval. processes: how many. resolved: False for a
    difference under its resolution. replicates: the value of each process.
    """

    x: float
    y: float
    low: float
    high: float
    processes: int = 1
    resolved: bool = True
    replicates: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Break:
    """Where a line leaves its law.

    at: the size, on the claim's abscissa. name: what happens there (``L2``, ``fewer than one token a leaf``), or
    ``unexplained``. explained: whether a cause was found. footprint_bytes: what is touched there, where known.
    """

    at: float
    name: str
    explained: bool = True
    footprint_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one claim ends in one group of cases.

    claim: its id. group: the layer and the sizes that are held. title: the law in a line. text: the law in full. kind:
    ``exact`` (integers, point by point) or ``fitted`` (an interval against a margin). status: ``holds``, ``broken`` or
    ``undecided``. quantity: what ``expected`` and ``estimate`` are. low, high: the interval of the estimate. margin:
    how far from ``expected`` the whole interval may lie. regime: in words, where it was judged. points: what was
    judged. breaks: where the line bends. advice: what would decide an undecided one, else empty. sentence: why it ends
    so.

    Raises InputError for another kind or status.
    """

    claim: str
    group: str
    title: str
    text: str
    kind: Kind
    status: Status
    quantity: str
    expected: float | None
    estimate: float | None
    low: float | None
    high: float | None
    margin: float | None
    regime: str
    points: tuple[FitPoint, ...] = field(repr=False)
    breaks: tuple[Break, ...]
    advice: str
    sentence: str

    def __post_init__(self) -> None:
        if self.kind not in ("exact", "fitted"):
            raise InputError(f"a verdict was given the kind {self.kind!r}; it must be exact or fitted.")
        if self.status not in ("holds", "broken", "undecided"):
            raise InputError(f"a verdict was given the status {self.status!r}; it must be holds, broken or undecided.")
