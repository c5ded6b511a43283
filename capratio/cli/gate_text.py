"""What a comparison says to people: lines for a terminal, and the same for a comment in Markdown."""

from dataclasses import replace

from capratio.cli.gate_forest import forest_line
from capratio.display import markdown_table, markdown_text, printable, short_ids, text_table
from capratio.gate.comparison import Comparison
from capratio.gate.decision import Decision
from capratio.gate.outcome_words import HEADINGS, cells, headline, named, ordered, rise_sentence, sentences
from capratio.gate.policy import Policy
from capratio.units import counted

FOREST = "slower to the right, budgets dotted"


def lines(comparison: Comparison, policy: Policy, independent: bool) -> list[str]:
    """For a terminal: a table of cases, regressions first, what else differs, and the verdict last."""
    told = [f"base {printable(named(comparison.base))}", f"head {printable(named(comparison.head))}"]
    if comparison.decisions:
        decisions, shared = _shortened(comparison)
        rows = [[*cells(each), forest_line(each)] for each in decisions]
        table = text_table([*HEADINGS, FOREST], rows, left=["decision", "case", "interval", FOREST])
        told += ["", *map(printable, shared), table]
    return [*told, "", *map(printable, _notes(comparison, policy, independent)), headline(comparison)]


def markdown_lines(comparison: Comparison, policy: Policy, independent: bool) -> list[str]:
    """The same for a comment, verdict first; names from files stay text."""
    told = [f"**{markdown_text(headline(comparison))}**", ""]
    told += [f"base {markdown_text(named(comparison.base))}, head {markdown_text(named(comparison.head))}", ""]
    if comparison.decisions:
        decisions, shared = _shortened(comparison)
        told += [*map(markdown_text, shared), "", markdown_table(HEADINGS, map(cells, decisions)), "", f"{FOREST}:", ""]
        # Indented, a block of characters of one width, in which names are text.
        told += [f"    {forest_line(each)}  {printable(each.case)}" for each in decisions]
        told.append("")
    return [*told, *(f"- {markdown_text(note)}" for note in _notes(comparison, policy, independent))]


def _shortened(comparison: Comparison) -> tuple[list[Decision], list[str]]:
    """The decisions in order, by names without what all share, and a line that says it."""
    decisions = ordered(comparison)
    names, shared = short_ids([each.case for each in decisions])
    told = [f"All cases: {', '.join(shared)}."] if shared else []
    return [replace(each, case=name) for each, name in zip(decisions, names, strict=True)], told


def _notes(comparison: Comparison, policy: Policy, independent: bool) -> list[str]:
    notes = [rise_sentence(rise) for rise in comparison.rises]
    notes += [f"{case} failed at head: {why.rstrip('.')}." for case, why in comparison.failed.items()]
    notes += _names("only at base", comparison.only_base) + _names("only at head", comparison.only_head)
    return notes + sentences(comparison, policy, independent)


def _names(where: str, cases: tuple[str, ...]) -> list[str]:
    if not cases:
        return []
    shown = ", ".join(cases[:3]) + (" and others" if len(cases) > 3 else "")
    return [f"{counted(len(cases), 'case')} {where}: {shown}."]
