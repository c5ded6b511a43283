"""A gate's run: blocks of processes until every case is decided, then a confirmation of what regressed.

The run is a function of what its processes give, so that an interrupted one is continued by running it again: what a
process gave before is not measured again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import log
from typing import Protocol

from capratio.gate.block_plan import AGAIN, BASE, HEAD, BlockPlan, plan_block, plan_confirmation, plan_trial
from capratio.gate.decision import Decision, Question, decide
from capratio.gate.looks import Look, plan_looks
from capratio.gate.policy import LATENCY, Policy
from capratio.gate.process_result import ProcessResult
from capratio.gate.rank_inference import paired
from capratio.gate.validity import Block, machine_differs, most_aside, moved

Measure = Callable[[BlockPlan], Block]


class Watcher(Protocol):
    """Who is told how a run goes on."""

    def began(self, stage: str, block: int, of: int) -> None:
        """A block of a stage begins; of: blocks until the next look."""

    def block_done(self, run: "BlocksRun") -> None:
        """A block was measured."""


@dataclass
class BlocksRun:
    """What a run has seen so far.

    seed: of every order. trial: the process of each side that showed which cases run and counted. cases: those that
    run on both sides. lost: case → (side, why) of those that do not, or no longer. blocks: those that count. aside:
    why each other one was set aside. decisions: of the cases that are closed or were looked at.
    confirmations: the blocks that measured again what regressed. took_s: seconds of all processes. looked: the last
    look. void: why the run says nothing. short: whether the time limit ended it before its last look.
    """

    policy: Policy
    seed: int
    trial: dict[str, ProcessResult] = field(default_factory=dict)
    cases: list[str] = field(default_factory=list)
    lost: dict[str, tuple[str, str]] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)
    decisions: dict[str, Decision] = field(default_factory=dict)
    confirmations: list[Block] = field(default_factory=list)
    took_s: float = 0.0
    looked: Look | None = None
    void: str | None = None
    short: bool = False

    @property
    def broken(self) -> str | None:
        """Why a side could not be measured at all."""
        told = [f"{side} cannot be measured: {self.trial[side].broken}" for side in (BASE, HEAD) if self._broken(side)]
        return " ".join(told) or None

    def _broken(self, side: str) -> bool:
        return side in self.trial and self.trial[side].broken is not None

    def log_ratios(self, case: str, blocks: Sequence[Block] | None = None) -> list[float]:
        """Of head over base, one a block that has the case on both sides."""
        return [
            log(block[HEAD].latency_s(case) / block[BASE].latency_s(case))
            for block in (self.blocks if blocks is None else blocks)
            if case in block[BASE].samples_s and case in block[HEAD].samples_s
        ]


def run_blocks(
    cases: Sequence[str],
    policy: Policy,
    seed: int,
    measure: Measure,
    watcher: Watcher,
    time_limit_s: float | None = None,
) -> BlocksRun:
    """Measure until every case is decided, the last look is taken, the time is over, or the machine makes it void.

    Args: cases: ids. measure: gives what a planned block measured. time_limit_s: seconds of all processes together,
    after which no further block begins; a confirmation is made all the same.
    """
    run = BlocksRun(policy, seed)
    _try_sides(run, cases, measure, watcher)
    open_cases = list(run.cases)
    for look in plan_looks(policy.blocks, policy.alpha):
        if not open_cases:
            break
        _measure_until(run, look, open_cases, measure, watcher, time_limit_s)
        open_cases = [case for case in open_cases if case not in run.lost]
        if run.blocks:
            _look(run, look, open_cases)
            open_cases = [case for case in open_cases if run.decisions[case].status == "undecided"]
        if run.void or run.short:
            break
    run.void = run.void or machine_differs(run.blocks, policy.latency)
    if not run.void:
        _confirm(run, measure, watcher)
    _close(run)
    return run


def _try_sides(run: BlocksRun, cases: Sequence[str], measure: Measure, watcher: Watcher) -> None:
    watcher.began("trying both sides", 0, 1)
    run.trial.update(_measured(run, plan_trial(cases, run.seed), measure))
    if run.broken is None:
        _lose(run, run.trial)
        run.cases = [case for case in cases if case not in run.lost]
    watcher.block_done(run)


def _measured(run: BlocksRun, plan: BlockPlan, measure: Measure) -> Block:
    block = measure(plan)
    run.took_s += sum(result.took_s for result in block.values())
    return block


def _lose(run: BlocksRun, block: Block) -> None:
    """Leave out what failed on a side; on both, base is named."""
    for side in (AGAIN, HEAD, BASE):
        if side in block:
            named = BASE if side == AGAIN else side
            run.lost |= {case: (named, why) for case, why in block[side].failed.items()}


def _measure_until(
    run: BlocksRun, look: Look, cases: list[str], measure: Measure, watcher: Watcher, time_limit_s: float | None
) -> None:
    while len(run.blocks) < look.blocks:
        if time_limit_s is not None and run.took_s >= time_limit_s:
            run.short = True
            return
        watcher.began("comparing", len(run.blocks), look.blocks)
        going = [case for case in cases if case not in run.lost]
        if not going:
            return
        block = _measured(run, plan_block(len(run.blocks) + len(run.aside), going, run.seed), measure)
        _lose(run, block)
        why_not = _unusable(block, run.policy.anchor)
        if why_not is None:
            run.blocks.append(block)
        else:
            run.aside.append(why_not)
            if len(run.aside) > most_aside(look.blocks):
                run.void = _restless(run.aside, len(run.blocks))
                return
        watcher.block_done(run)


def _close(run: BlocksRun) -> None:
    """Leave no case without a decision, and no accusation in a run that says nothing."""
    for case, (side, why) in run.lost.items():
        # What base had and lost, or what neither side has; a failure of head alone is the comparison's to tell.
        if side == BASE and (case in run.trial[BASE].samples_s or case in run.trial[HEAD].failed):
            where = "base and head" if case in run.trial[HEAD].failed else "base"
            run.decisions[case] = _undecided(run, case, f"it failed at {where}: {why.rstrip('.')}")
    for case in run.cases:
        if run.policy.blocks and case not in run.decisions and case not in run.lost:
            run.decisions[case] = _undecided(run, case, "the run ended before its first look")
    if run.void:
        for case, decision in run.decisions.items():
            if decision.status == "regressed":
                run.decisions[case] = replace(decision, status="undecided", sentence="the run is void")


def _undecided(run: BlocksRun, case: str, why: str) -> Decision:
    return Decision(case, "undecided", run.policy.budget(case, LATENCY), sentence=why)


def _unusable(block: Block, anchor: float) -> str | None:
    """Why a block does not count, or None."""
    ended = [f"a process of {side} ended ({result.broken})" for side, result in block.items() if result.broken]
    if ended:
        return ended[0]
    name = moved(block, anchor)
    return name and f"{name.removesuffix('_s')} moved by more than {anchor:.0%}"


def _restless(reasons: Sequence[str], blocks: int) -> str:
    return (
        f"{len(reasons)} of {len(reasons) + blocks} blocks had to be set aside ({'; '.join(sorted(set(reasons)))}), by "
        "work that no commit changes; measure on a quiet machine, unless a commit keeps it busy"
    )


def _look(run: BlocksRun, look: Look, cases: list[str]) -> None:
    questions = [
        Question(case, run.policy.budget(case, LATENCY), paired(ratios) if (ratios := run.log_ratios(case)) else None)
        for case in cases
    ]
    for decision in decide(questions, look.alpha, others=len(run.cases) - len(questions)):
        run.decisions[decision.case] = decision
    run.looked = Look(len(run.blocks), look.alpha)


def _confirm(run: BlocksRun, measure: Measure, watcher: Watcher) -> None:
    """Measure again what regressed, in as many blocks as were measured, and keep it where it regresses again."""
    slower = [case for case, decision in run.decisions.items() if decision.status == "regressed"]
    if not slower:
        return
    needed, aside = len(run.blocks), list[str]()
    while len(run.confirmations) < needed:
        watcher.began("confirming", len(run.confirmations), needed)
        plan = plan_confirmation(len(run.confirmations) + len(aside), slower, run.seed)
        block = _measured(run, plan, measure)
        _lose(run, block)
        why_not = _unusable(block, run.policy.anchor)
        if why_not is None:
            run.confirmations.append(block)
        else:
            aside.append(why_not)
            if len(aside) > most_aside(needed):
                run.void = _restless(aside, len(run.confirmations))
                return
        watcher.block_done(run)
    run.void = machine_differs(run.confirmations, run.policy.latency)
    questions = [
        Question(case, run.policy.budget(case, LATENCY), paired(ratios))
        for case in slower
        if (ratios := run.log_ratios(case, run.confirmations))
    ]
    again = {decision.case: decision for decision in decide(questions, run.policy.alpha)}
    for case in slower:
        run.decisions[case] = confirmed(run.decisions[case], again.get(case))


def confirmed(first: Decision, again: Decision | None) -> Decision:
    """A regression that was seen twice, or else ``undecided``."""
    if again is None or again.ratio is None:
        return replace(first, status="undecided", sentence="a regression was seen, and it could not be measured again")
    told = f"{again.ratio:.3f} when measured again in reverse order"
    if again.status != "regressed":
        return replace(first, status="undecided", sentence=f"a regression was seen once, and {told}")
    return replace(first, sentence=told)
