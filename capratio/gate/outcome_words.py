"""A comparison in words, the same in a terminal, a comment and a page: verdict, sides, rows, caveats."""

from collections import Counter
from collections.abc import Mapping
from math import inf, isfinite, log

from capratio.gate.comparison import Comparison, Rise
from capratio.gate.decision import Decision
from capratio.gate.policy import Policy
from capratio.gate.rank_inference import fewest_a_side
from capratio.gate.sides import GATE, Side
from capratio.names import fits
from capratio.units import counted, significant, whole

# Decisions in the order in which people ask for them.
STATUSES = ("regressed", "improved", "undecided", "unchanged")
VERDICTS: Mapping[str, str] = {
    "passed": "Passed: nothing is slower than its budget.",
    "regressed": "Regressed.",
    "undecided": "Undecided: nothing regressed, and not every case can be told.",
    "void": "Void: the machine moved, so that nothing is said.",
    "nothing": "Nothing was compared: no case was measured on both sides.",
    "failed": "Failed: a case that base measured has no latency at head.",
}
# Where counts alone are compared.
EXACT_VERDICTS: Mapping[str, str] = {
    **VERDICTS,
    "passed": "Passed: no count rose beyond its budget.",
    "failed": "Failed: a case that base has does not run at head.",
}
# Of a case, as ``cells`` gives them.
HEADINGS = ("decision", "case", "head / base", "interval", "budget", "detectable")


def totals(comparison: Comparison) -> str:
    """How many cases were decided in which way, and the exact rises: ``2 regressed, 17 unchanged, 1 exact rise.``"""
    counts = Counter(decision.status for decision in comparison.decisions)
    told = [f"{counts[status]} {status}" for status in STATUSES if counts[status]]
    if comparison.rises:
        told.append(counted(len(comparison.rises), "exact rise"))
    return f"{', '.join(told)}." if told else ""


def headline(comparison: Comparison) -> str:
    """The verdict with its totals."""
    words = EXACT_VERDICTS if comparison.exact_only else VERDICTS
    return f"{words[comparison.verdict]} {totals(comparison)}".rstrip()


def named(side: Side) -> str:
    """A side by its commit and its name."""
    return f"{side.commit[:12]} ({side.name})" if side.commit else side.name


def ordered(comparison: Comparison) -> list[Decision]:
    """The decisions, regressions first, and among those of one kind the largest change first."""
    return sorted(comparison.decisions, key=lambda each: (STATUSES.index(each.status), -_change(each.ratio)))


def cells(decision: Decision) -> list[str]:
    """A row under ``HEADINGS``; ``-`` where there is no number."""
    return [
        decision.status,
        decision.case,
        "-" if decision.ratio is None else ratio_text(decision.ratio),
        interval_text(decision),
        f"{decision.budget:.3g}",
        "-" if decision.detectable is None or not isfinite(decision.detectable) else f"+{decision.detectable:.1%}",
    ]


def ratio_text(ratio: float) -> str:
    """A ratio, near 1 to a tenth of a percent: ``1.034``, ``0.987``, ``12.35``."""
    return f"{ratio:.3f}" if 0.1 <= ratio < 9.9995 else significant(ratio, 4)


def interval_text(decision: Decision) -> str:
    """The interval of a ratio: ``1.021 to 1.047``; without one of its bounds, as few processes are, ``above 1.021``."""
    if decision.low is None or decision.high is None:
        return "-"
    bounded_below, bounded_above = decision.low > 0, isfinite(decision.high)
    if bounded_below and bounded_above:
        return f"{ratio_text(decision.low)} to {ratio_text(decision.high)}"
    if bounded_below:
        return f"above {ratio_text(decision.low)}"
    return f"below {ratio_text(decision.high)}" if bounded_above else "unbounded"


def rise_sentence(rise: Rise) -> str:
    """An exact quantity that rose beyond its budget."""
    return (
        f"{rise.quantity} of {rise.case} rose from {whole(rise.base)} to {whole(rise.head)}, beyond its budget of "
        f"{rise.budget:.3g}."
    )


def sentences(comparison: Comparison, policy: Policy, independent: bool) -> list[str]:
    """What has to be known to read the decisions: who cannot be decided, what was assumed, how often it errs.

    Args: independent: whether samples were taken as independent, as their owner declares.
    """
    told = list(comparison.notes)
    without = Counter(each.sentence for each in comparison.decisions if each.sentence and each.ratio is None)
    told += [f"{counted(times, 'case')} undecided: {sentence}." for sentence, times in without.items()]
    blind = sum(each.detectable is not None and not isfinite(each.detectable) for each in comparison.decisions)
    if blind:
        asked = sum(each.ratio is not None for each in comparison.decisions)
        fewest = f"; {asked} together need at least {fewest_a_side(policy.alpha / asked)} a side"
        told.append(
            f"{counted(blind, 'case')} with so few processes that no slowdown can be found"
            f"{'' if comparison.base.kind == GATE else fewest}."
        )
    told += [
        f"The budget of {budget.cases!r} for {budget.quantity} fits no case."
        for budget in policy.budgets
        if not any(fits(budget.cases, case) for case in (*comparison.base.series, *comparison.head.series))
    ]
    if independent:
        told.append("Samples are taken as independent, as declared; samples of one process are not.")
    if comparison.void:
        told.append(f"{comparison.void[0].upper()}{comparison.void[1:]}.")
    exact = f"{counted(comparison.compared_exactly, 'exact integer')} compared."
    if comparison.exact_only:
        return [*told, exact]
    told.append(
        f"The chance of a false regression in this comparison is at most {policy.alpha:.3g}; each bound of an interval "
        f"fails with the same chance, in each case by itself. {exact}"
    )
    return told


def _change(ratio: float | None) -> float:
    """How far a ratio is from 1, either way; last, in a sort, where there is none."""
    if ratio is None:
        return -1.0
    return abs(log(ratio)) if ratio > 0 else inf
