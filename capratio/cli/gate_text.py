"""What a comparison says to people: lines for a terminal, and the same for a comment in Markdown."""

from collections import Counter
from math import isfinite

from capratio.cli.gate_forest import forest_line
from capratio.display import markdown_table, markdown_text, text_table
from capratio.gate.comparison import Comparison, Rise
from capratio.gate.decision import Decision
from capratio.gate.policy import Policy
from capratio.gate.rank_inference import fewest_a_side
from capratio.gate.sides import Side
from capratio.units import counted, significant, whole

HEADERS = ["decision", "case", "head / base", "interval", "budget", "detectable"]
FOREST = "slower to the right, budgets dotted"
STATUSES = ("regressed", "improved", "undecided", "unchanged")
HEADLINES = {
    "passed": "Passed: nothing is slower than its budget.",
    "regressed": "Regressed.",
    "undecided": "Undecided: nothing regressed, and not every case can be told.",
    "void": "Void: the machine moved, so that nothing is said.",
    "nothing": "Nothing was compared: no case was measured on both sides.",
    "failed": "Failed: a case that base measured has no latency at head.",
}


def lines(comparison: Comparison, policy: Policy, independent: bool) -> list[str]:
    """For a terminal: a table of cases, regressions first, what else differs, and the verdict last."""
    told = [f"base {_named(comparison.base)}", f"head {_named(comparison.head)}"]
    if comparison.decisions:
        rows = [[*row, forest_line(each)] for row, each in zip(_rows(comparison), _ordered(comparison), strict=True)]
        told += ["", text_table([*HEADERS, FOREST], rows, left=["decision", "case", "interval", FOREST])]
    told += ["", *_notes(comparison, policy, independent), _headline(comparison)]
    return told


def markdown_lines(comparison: Comparison, policy: Policy, independent: bool) -> list[str]:
    """The same for a comment, verdict first; names from files stay text."""
    told = [f"**{markdown_text(_headline(comparison))}**", ""]
    told += [f"base {markdown_text(_named(comparison.base))}, head {markdown_text(_named(comparison.head))}", ""]
    if comparison.decisions:
        told += [markdown_table(HEADERS, _rows(comparison)), "", f"{FOREST}:", ""]
        # Indented, a block of characters of one width, in which names are text.
        told += [f"    {forest_line(each)}  {each.case!r}" for each in _ordered(comparison)]
        told.append("")
    return [*told, *(f"- {markdown_text(note)}" for note in _notes(comparison, policy, independent))]


def _named(side: Side) -> str:
    return f"{side.commit[:12]} ({side.name})" if side.commit else side.name


def _ordered(comparison: Comparison) -> list[Decision]:
    return sorted(comparison.decisions, key=lambda decision: STATUSES.index(decision.status))


def _rows(comparison: Comparison) -> list[list[str]]:
    return [
        [
            decision.status,
            decision.case,
            "-" if decision.ratio is None else significant(decision.ratio),
            _interval(decision),
            f"{decision.budget:.3g}",
            "-" if decision.detectable is None or not isfinite(decision.detectable) else f"+{decision.detectable:.1%}",
        ]
        for decision in _ordered(comparison)
    ]


def _interval(decision: Decision) -> str:
    if decision.low is None or decision.high is None:
        return "-"
    low = significant(decision.low) if decision.low > 0 else "none"
    high = significant(decision.high) if isfinite(decision.high) else "none"
    return f"{low} to {high}"


def _notes(comparison: Comparison, policy: Policy, independent: bool) -> list[str]:
    notes = [_rise(rise) for rise in comparison.rises]
    notes += [f"{case} failed at head: {why}." for case, why in comparison.failed.items()]
    notes += _names("only at base", comparison.only_base) + _names("only at head", comparison.only_head)
    for sentence, times in Counter(d.sentence for d in comparison.decisions if d.sentence and d.ratio is None).items():
        notes.append(f"{counted(times, 'case')} undecided: {sentence}.")
    blind = sum(d.detectable is not None and not isfinite(d.detectable) for d in comparison.decisions)
    if blind:
        asked = sum(decision.ratio is not None for decision in comparison.decisions)
        notes.append(
            f"{counted(blind, 'case')} with so few processes that no slowdown can be found; {asked} together need at "
            f"least {fewest_a_side(policy.alpha / asked)} a side."
        )
    if independent:
        notes.append("Samples are taken as independent, as declared; samples of one process are not.")
    if comparison.void:
        notes.append(f"{comparison.void}.")
    notes.append(
        f"The chance of a false regression in this comparison is at most {policy.alpha:.3g}; each bound of an interval "
        f"fails with the same chance. {counted(comparison.compared_exactly, 'exact integer')} compared."
    )
    return notes


def _rise(rise: Rise) -> str:
    return (
        f"{rise.quantity} of {rise.case} rose from {whole(rise.base)} to {whole(rise.head)}, beyond its budget of "
        f"{rise.budget:.3g}."
    )


def _names(where: str, cases: tuple[str, ...]) -> list[str]:
    if not cases:
        return []
    shown = ", ".join(cases[:3]) + (" and others" if len(cases) > 3 else "")
    return [f"{counted(len(cases), 'case')} {where}: {shown}."]


def _headline(comparison: Comparison) -> str:
    counts = Counter(decision.status for decision in comparison.decisions)
    told = ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status])
    rises = counted(len(comparison.rises), "exact rise") if comparison.rises else ""
    tail = ", ".join(part for part in (told, rises) if part)
    return f"{HEADLINES[comparison.verdict]} {tail}{'.' if tail else ''}".rstrip()
