"""What a gate is worth on a machine: how often it cries without a reason, and what it finds.

Whole runs hold a commit against itself, some with a slowdown put into the timed calls of every other case on head's
side. The blocks of the runs without one are then dealt out again as gates that might have been (``rerandomise``).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from capratio.gate.block_plan import BASE, HEAD
from capratio.gate.blocks_run import BlocksRun
from capratio.gate.comparison import exact_rises
from capratio.gate.policy import EXACT, Policy
from capratio.gate.power import process_spread
from capratio.gate.process_result import ProcessResult
from capratio.gate.proportion import Proportion
from capratio.gate.rerandomise import Rerandomised, medians_only, rerandomise
from capratio.gate.sides import Series, Side
from capratio.gate.validity import Block

# Slowdowns that whole runs are made with, shares; and those of the curve.
SLOWDOWNS = (0.10, 0.05, 0.02)
CURVE = (0.01, 0.02, 0.03, 0.04, 0.05, 0.07, 0.10, 0.15)
GATES = 1000


@dataclass(frozen=True, slots=True)
class SelftestRun:
    """A run as it was made; slowdowns: case → the share that head's calls were slowed down by."""

    run: BlocksRun
    slowdowns: Mapping[str, float]

    @property
    def slowdown(self) -> float:
        """The share, 0 without one."""
        return max(self.slowdowns.values(), default=0.0)


@dataclass(frozen=True, slots=True)
class WholeRun:
    """One whole run of the selftest.

    slowdown: a share, 0 without one. started_at: ISO time, UTC. seed: of its orders. cases, slowed: how many. decided:
    of the cases. found, false: cases called regressed that were slowed down, and that were not; improved: cases called
    so. void: why it said nothing. blocks, took_s: what it took, seconds of all processes. spread: between processes of
    one commit, the median of the cases, a share.
    """

    name: str
    slowdown: float
    started_at: str
    seed: int
    cases: int
    slowed: int
    decided: int
    found: int
    false: int
    improved: int
    void: str | None
    blocks: int
    took_s: float
    spread: float


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Gates that might have been with a slowdown of one case: how many found it, and the median of their blocks."""

    slowdown: float
    found: Proportion
    blocks: float


@dataclass(frozen=True, slots=True)
class Selftest:
    """runs: whole ones. alarms: gates that might have been, without a slowdown, and those of them with a regression.
    void: the share of those that said nothing. curve: what is found. exact: integers raised by one, and those found.
    spreads: case → spread between processes of one commit, a share, the median of the whole runs without a slowdown.
    """

    runs: tuple[WholeRun, ...]
    alarms: Proportion
    void: Proportion
    curve: tuple[CurvePoint, ...]
    exact: Proportion
    spreads: dict[str, float]

    @property
    def whole_alarms(self) -> Proportion:
        """Whole runs without a slowdown that were not void, and those of them with a false regression."""
        clean = [run for run in self.runs if not run.slowdown and run.void is None]
        return Proportion(sum(run.false > 0 for run in clean), len(clean))

    def whole_found(self, slowdown: float) -> Proportion:
        """Cases that were slowed down in whole runs, and those of them that were found."""
        runs = [run for run in self.runs if run.slowdown == slowdown and run.void is None]
        return Proportion(sum(run.found for run in runs), sum(run.slowed for run in runs))


def slowed_cases(cases: Sequence[str]) -> list[str]:
    """Every other case."""
    return list(cases[::2])


def whole_run(name: str, made: SelftestRun) -> WholeRun:
    """What a run of the selftest says."""
    run = made.run
    slowed = [case for case in run.cases if made.slowdowns.get(case)]
    statuses = {case: decision.status for case, decision in run.decisions.items()}
    regressed = [case for case, status in statuses.items() if status == "regressed"]
    spreads = case_spreads(run)
    return WholeRun(
        name=name,
        slowdown=made.slowdown,
        started_at=run.trial[BASE].started_at,
        seed=run.seed,
        cases=len(run.cases),
        slowed=len(slowed),
        decided=sum(status != "undecided" for status in statuses.values()),
        found=sum(case in slowed for case in regressed),
        false=sum(case not in slowed for case in regressed),
        improved=list(statuses.values()).count("improved"),
        void=run.void,
        blocks=len(run.blocks),
        took_s=run.took_s,
        spread=median(spreads.values()) if spreads else 0.0,
    )


def case_spreads(run: BlocksRun) -> dict[str, float]:
    """Case → the spread between processes of one commit, a share, where two blocks or more have the case."""
    ratios = {case: run.log_ratios(case) for case in run.cases}
    return {case: process_spread(values) for case, values in ratios.items() if len(values) > 1}


def selftest(
    runs: Mapping[str, SelftestRun], policy: Policy, progress: Callable[[str], None], gates: int = GATES
) -> Selftest:
    """What whole runs say together; runs: by their names. gates: how many are dealt out for each slowdown.

    Blocks of void runs take part in nothing: a gate would have said nothing from them.
    """
    clean = [made.run for made in runs.values() if not made.slowdown and made.run.void is None]
    blocks = medians_only(full_blocks(clean))
    alarms: list[Rerandomised] = []
    curve = []
    # A gate and its confirmation may take all blocks of the last look, and none of them twice.
    if len(blocks) >= 2 * policy.blocks[-1]:
        progress(f"{gates} gates without a slowdown, dealt out of {len(blocks)} blocks")
        alarms = [rerandomise(blocks, policy, seed) for seed in range(gates)]
        for slowdown in CURVE:
            progress(f"{gates} gates with a slowdown of {slowdown:.0%}")
            dealt = [rerandomise(blocks, policy, seed, slowdown) for seed in range(gates)]
            told = [gate for gate in dealt if not gate.void]
            taken = float(median(gate.blocks for gate in told)) if told else 0.0
            curve.append(CurvePoint(slowdown, Proportion(sum(gate.found for gate in told), len(told)), taken))
    told = [gate for gate in alarms if not gate.void]
    return Selftest(
        tuple(whole_run(name, made) for name, made in runs.items()),
        Proportion(sum(bool(gate.regressed) for gate in told), len(told)),
        Proportion(len(alarms) - len(told), len(alarms)),
        tuple(curve),
        raised_by_one([made.run for made in runs.values()], policy),
        _median_spreads(clean),
    )


def full_blocks(runs: Sequence[BlocksRun]) -> list[Block]:
    """The blocks that have every case on both sides, in time order: those before the first case was closed.

    Cases that a run lost are left out of all.
    """
    common = [case for case in (runs[0].cases if runs else []) if all(_kept(run, case) for run in runs)]
    return [
        {side: _only(block[side], common) for side in (BASE, HEAD)}
        for run in runs
        for block in run.blocks
        if common and all(case in block[side].samples_s for case in common for side in (BASE, HEAD))
    ]


def raised_by_one(runs: Sequence[BlocksRun], policy: Policy) -> Proportion:
    """Every exact integer that was counted, raised by one on head's side, and those of which it alone was found."""
    found = tries = 0
    for run in runs[:1]:
        counts = run.trial[BASE].counts
        for case, before in counts.items():
            for quantity in EXACT:
                if quantity in before:
                    after = counts | {case: before | {quantity: before[quantity] + 1}}
                    rises, _ = exact_rises(_counted(counts), _counted(after), list(counts), policy)
                    tries += 1
                    found += [(rise.case, rise.quantity) for rise in rises] == [(case, quantity)]
    return Proportion(found, tries)


def _kept(run: BlocksRun, case: str) -> bool:
    return case in run.cases and case not in run.lost


def _only(result: ProcessResult, cases: Sequence[str]) -> ProcessResult:
    return replace(result, samples_s={case: result.samples_s[case] for case in cases})


def _median_spreads(runs: Sequence[BlocksRun]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for run in runs:
        for case, spread in case_spreads(run).items():
            found.setdefault(case, []).append(spread)
    return {case: float(median(spreads)) for case, spreads in found.items()}


def _counted(counts: Mapping[str, Mapping[str, int]]) -> Side:
    series = {case: Series((), processes=True, exact=exact) for case, exact in counts.items()}
    return Side("counts", "gate", {}, None, series)
