"""Two sides compared: a decision for each latency, every exact rise, and what is on one side only."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from statistics import median

from capratio.gate.decision import Decision, Question, decide
from capratio.gate.policy import EXACT, LATENCY, Policy
from capratio.gate.rank_inference import ratio_of, unpaired
from capratio.gate.sides import GATE, Series, Side, check_comparable


@dataclass(frozen=True, slots=True)
class Rise:
    """An exact quantity of a case that rose beyond its budget, a share of base's."""

    case: str
    quantity: str
    base: int
    head: int
    budget: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two sides say together.

    decisions: of the cases on both sides, in base's order. rises: exact ones beyond their budgets. compared_exactly:
    how many exact quantities were compared. only_base, only_head: cases of one side. failed: case → why it has no
    latency at head, though base has one. void: why the run says nothing, or None. notes: sentences that the run says of
    itself: blocks, spread, power; none where files were compared. exact_only: whether no latency was to be compared.
    """

    base: Side
    head: Side
    decisions: tuple[Decision, ...]
    rises: tuple[Rise, ...]
    compared_exactly: int
    only_base: tuple[str, ...]
    only_head: tuple[str, ...]
    failed: Mapping[str, str]
    void: str | None
    notes: tuple[str, ...] = ()
    exact_only: bool = False

    @property
    def verdict(self) -> str:
        """Of the whole run: ``void``, ``regressed``, ``failed``, ``nothing``, ``undecided`` or ``passed``."""
        statuses = {decision.status for decision in self.decisions}
        if self.rises:
            return "regressed"
        if self.void:
            # A crash is no matter of the clock.
            return "failed" if self.failed else "void"
        if "regressed" in statuses:
            return "regressed"
        if self.failed:
            return "failed"
        # Of commits that are built and measured, so that nothing in common is nothing to look at.
        if self.base.kind == GATE and not (self.compared_exactly or any(self.series_of_both())):
            return "nothing"
        if not self.decisions:
            return "passed" if self.exact_only and self.compared_exactly else "nothing"
        return "undecided" if "undecided" in statuses or self.only_base else "passed"

    def series_of_both(self) -> list[str]:
        """The cases that are measured on both sides."""
        return [case for case in self.base.series if case in self.head.series]


def compare(base: Side, head: Side, policy: Policy, *, independent: bool = False) -> Comparison:
    """Compare head with base under a policy.

    Args: independent: whether samples without a process stand for independent ones, as their owner declares.

    Raises InputError for sides of two kinds or machines.
    """
    check_comparable(base, head)
    both = [case for case in base.series if case in head.series]
    failed = {
        case: head.series[case].failed or "no latency"
        for case in both
        if base.series[case].latencies_s and not head.series[case].latencies_s
    }
    questions = [
        _question(case, base.series[case], head.series[case], policy, independent)
        for case in both
        if base.series[case].latencies_s and head.series[case].latencies_s
    ]
    rises, compared = exact_rises(base, head, both, policy)
    return Comparison(
        base,
        head,
        tuple(decide(questions, policy.alpha)),
        rises,
        compared,
        tuple(case for case in base.series if case not in head.series),
        tuple(case for case in head.series if case not in base.series),
        failed,
        _moved(base, head, policy.anchor),
    )


def _question(case: str, base: Series, head: Series, policy: Policy, independent: bool) -> Question:
    budget = policy.budget(case, LATENCY)
    if not independent and not (base.processes and head.processes):
        why = (
            "the file does not say which process a sample is of; --independent-samples declares that each is of its own"
        )
        return Question(case, budget, None, why)
    logs = ([log(latency_s) for latency_s in side.latencies_s] for side in (base, head))
    return Question(case, budget, unpaired(*logs))


def exact_rises(base: Side, head: Side, both: list[str], policy: Policy) -> tuple[tuple[Rise, ...], int]:
    """The exact quantities of the cases on both sides that rose beyond their budgets, and how many were compared."""
    rises, compared = [], 0
    for case in both:
        before, after = base.series[case].exact, head.series[case].exact
        for quantity in EXACT:
            if quantity in before and quantity in after:
                compared += 1
                budget = policy.budget(case, quantity)
                if after[quantity] > before[quantity] * (1 + budget):
                    rises.append(Rise(case, quantity, before[quantity], after[quantity], budget))
    return tuple(rises), compared


def _moved(base: Side, head: Side, anchor: float) -> str | None:
    """Why the machine itself differed between the sides, by the ceilings of the cases that both measured."""
    both = [case for case in base.ceilings if case in head.ceilings]
    for place, what in enumerate(("bandwidth", "arithmetic rate")):
        logs = [log(head.ceilings[case][place] / base.ceilings[case][place]) for case in both]
        if logs and abs(median(logs)) > log(1 + anchor):
            return (
                f"the machine's own {what} differed by a factor of {ratio_of(median(logs)):.2f} between the sides, "
                "which no commit can change; measure both again, in one job"
            )
    return None
