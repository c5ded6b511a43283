"""What figures are drawn from, and what drawing one gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from capratio.report.palette import Look, looks_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from capratio.scaling.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Evidence:
    """One run as figures see it: a row a case, the verdicts, the measured ceilings."""

    frame: "pd.DataFrame"
    verdicts: "tuple[Verdict, ...]" = ()
    ceilings: tuple[Mapping[str, Any], ...] = ()

    def looks(self, rows: "pd.DataFrame") -> dict[str, Look]:
        """The looks of the series in ``rows``, chosen over the whole run: a layer looks alike in every figure."""
        present = set(rows["series"])
        pairs = sorted(set(zip(self.frame["layer"], self.frame["form"], strict=True)))
        return {name: look for name, look in looks_of(pairs).items() if name in present}


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawn figure and the words under it (what is fixed, how it reads)."""

    figure: "Figure"
    caption: str


@dataclass(frozen=True, slots=True)
class FigurePlan:
    """One figure of the page.

    name: its id. title: its heading. question: the sentence above it. needs: which cases would give it, said when there
    is nothing to draw. draw: the drawing, or None without data.
    """

    name: str
    title: str
    question: str
    needs: str
    draw: Callable[[Evidence], Drawing | None]
