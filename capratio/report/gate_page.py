"""A gate's comparison as one offline page: the verdict first, then every case, then what it rests on."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

import capratio
from capratio.display import printable, short_ids
from capratio.gate.outcome_json import outcome_json
from capratio.gate.outcome_words import HEADINGS, VERDICTS, cells, named, ordered, sentences, totals
from capratio.report.gate_plot import MOST_ROWS, forest_plot
from capratio.report.page_assets import environment, small_enough, style
from capratio.report.tables import machine_table
from capratio.units import counted, whole

if TYPE_CHECKING:
    from capratio.gate.comparison import Comparison
    from capratio.gate.decision import Decision
    from capratio.gate.policy import Policy
    from capratio.gate.sides import Side

# Verdict or decision → (icon, tone): never by colour alone.
LOOKS = {
    "passed": ("✓", "holds"),
    "regressed": ("✗", "broken"),
    "failed": ("✗", "broken"),
    "undecided": ("?", "undecided"),
    "void": ("⊘", "undecided"),
    "nothing": ("⊘", "undecided"),
    "improved": ("↓", "holds"),
    "unchanged": ("=", "muted"),
}


def gate_page(comparison: "Comparison", policy: "Policy", made_by: str, *, independent: bool = False) -> str:
    """The page as HTML; everything that came from outside is escaped by the template.

    Args: made_by: the command line that makes it again. independent: whether samples were taken as independent, as
    their owner declares.

    Raises InputError for a page over 1.5 MB.
    """
    decisions = ordered(comparison)
    names, common = _short_names(decisions)
    reasons = any(each.sentence for each in decisions)
    template = environment().get_template("gate.html.j2")
    page = template.render(
        verdict=comparison.verdict,
        headline=VERDICTS[comparison.verdict],
        totals=totals(comparison),
        void=printable(comparison.void or ""),
        sides=[_side("base", comparison.base), _side("head", comparison.head)],
        title=printable(f"{comparison.verdict}: {named(comparison.head)} against {named(comparison.base)}"),
        looks=LOOKS,
        headings=[*HEADINGS, "why"] if reasons else HEADINGS,
        has_reasons=reasons,
        rows=[[*_cells(each, name), each.sentence] for each, name in zip(decisions, names, strict=True)],
        common=common,
        plot=forest_plot(decisions, names),
        not_drawn=_not_drawn(decisions),
        rises=[
            (printable(each.case), each.quantity, whole(each.base), whole(each.head), _share(each.budget))
            for each in comparison.rises
        ],
        failed=[(printable(case), printable(why)) for case, why in comparison.failed.items()],
        one_sided=[
            (f"{counted(len(cases), 'case')} only at {side}", [printable(case) for case in cases])
            for side, cases in (("base", comparison.only_base), ("head", comparison.only_head))
            if cases
        ],
        sentences=[printable(each) for each in sentences(comparison, policy, independent)],
        machine=[(printable(name), printable(value)) for name, value in machine_table(comparison.base.machine)],
        made_by=printable(made_by),
        outcome=json.loads(outcome_json(comparison, policy)),
        version=capratio.__version__,
        style=Markup(style()),
    )
    return small_enough(page, "the gate's", f"{len(decisions)} cases", "compare fewer cases, or write --json")


def _cells(decision: "Decision", name: str) -> list[str]:
    """A row of the table of cases; a budget in percent, as the detectable slowdown is."""
    status, _, ratio, interval, _, detectable = cells(decision)
    return [status, name, ratio, interval, _share(decision.budget), detectable]


def _share(budget: float) -> str:
    return f"{100.0 * budget:.3g} %"


def _not_drawn(decisions: "Sequence[Decision]") -> str:
    """Which cases the forest plot leaves to the table, or nothing."""
    without = sum(each.ratio is None for each in decisions)
    beyond = len(decisions) - without - MOST_ROWS
    told = [f"{counted(without, 'case')} without an estimate"] if without else []
    told += [f"{counted(beyond, 'case')} after the first {MOST_ROWS}"] if beyond > 0 else []
    return f"In the table alone: {' and '.join(told)}." if told else ""


def _short_names(decisions: "Sequence[Decision]") -> tuple[list[str], list[str]]:
    """The cases' names without the parts that all share, and those parts; in full where they would not differ."""
    short, common = short_ids([each.case for each in decisions])
    return [printable(name) for name in short], [printable(part) for part in common]


def _side(role: str, side: "Side") -> list[str]:
    return [role, printable(side.name), side.kind, printable(side.commit or "-"), str(len(side.series))]
