"""A run of blocks as a comparison: its decisions, its exact rises, and what it says of itself."""

from collections.abc import Mapping
from math import log
from statistics import median

from capratio.gate.block_plan import AGAIN, BASE, HEAD
from capratio.gate.blocks_run import BlocksRun
from capratio.gate.comparison import Comparison, exact_rises
from capratio.gate.decision import Decision
from capratio.gate.looks import plan_looks
from capratio.gate.policy import EXACT, LATENCY
from capratio.gate.power import power, process_spread, ratio_spread, wide_spread
from capratio.gate.sides import GATE, Series, Side
from capratio.gate.validity import against_itself
from capratio.units import counted, seconds, whole

SLOWDOWNS = (0.05, 0.10)
# Cases that a sentence names; the table has all.
MOST_NAMED = 3
EXACT_ALONE = "Exact quantities alone were compared, and no latency."


def comparison_of(
    run: BlocksRun, names: Mapping[str, str], commits: Mapping[str, str], machine: Mapping[str, object]
) -> Comparison:
    """What a run says.

    Args: names, commits: of ``base`` and ``head``. machine: that measured both.
    """
    base, head = (_side(run, side, names[side], commits[side], machine) for side in (BASE, HEAD))
    both = [case for case in base.series if case in head.series]
    rises, compared = exact_rises(base, head, both, run.policy)
    failed_at_head = {case: why for case, (side, why) in run.lost.items() if side == HEAD}
    return Comparison(
        base,
        head,
        tuple(decision for case, decision in run.decisions.items() if run.lost.get(case, (BASE,))[0] != HEAD),
        rises,
        compared,
        (),
        tuple(case for case, (side, _) in run.lost.items() if side == BASE and case not in run.decisions),
        failed_at_head,
        run.void,
        (*(_notes(run) if run.policy.blocks else (EXACT_ALONE,)), *_failed_at_base(run)),
        exact_only=not run.policy.blocks,
    )


def _side(run: BlocksRun, side: str, name: str, commit: str, machine: Mapping[str, object]) -> Side:
    trial = run.trial[side]
    series = {
        case: Series(
            tuple(block[side].latency_s(case) for block in run.blocks if case in block[side].samples_s),
            processes=True,
            exact=trial.counts.get(case, {}),
        )
        for case in trial.samples_s
    }
    return Side(name, GATE, machine, commit, series)


def _notes(run: BlocksRun) -> list[str]:
    notes = [*_explanations(run), _blocks_note(run)]
    ratios = {case: run.log_ratios(case) for case in run.cases}
    ratios = {case: values for case, values in ratios.items() if len(values) > 1}
    if ratios and run.looked is not None:
        notes += [_spread_note(run, ratios), *_power_notes(run, ratios)]
    shifts = against_itself(run.blocks)
    if shifts:
        told = ", ".join(f"{shift:+.1%}" for shift in shifts)
        notes.append(
            f"Base measured against itself differed by {told} (median of the cases in each block that has both)."
        )
    if run.confirmations:
        notes.append(
            f"What regressed was measured again in {counted(len(run.confirmations), 'block')}, sides in reverse order."
        )
    if run.short:
        notes.append("The time limit ended the run before its last look.")
    return notes


def _failed_at_base(run: BlocksRun) -> list[str]:
    return [
        f"{case} failed at base: {why.rstrip('.')}."
        for case, (side, why) in run.lost.items()
        if side == BASE and case not in run.decisions
    ]


def _explanations(run: BlocksRun) -> list[str]:
    """Of the regressions: which do the same work in more time, and of which there is more to do."""
    slower = {c: d for c, d in run.decisions.items() if d.status == "regressed" and c not in run.lost}
    more = {case: changed for case in slower if (changed := _changed_counts(run, case))}
    told = [f"{_slower(slower[case])}, and what it counts changed: {', '.join(more[case])}." for case in more]
    same = sorted((d for case, d in slower.items() if case not in more), key=lambda d: -(d.ratio or 0.0))
    if same:
        others = f", and {len(same) - MOST_NAMED} others" if len(same) > MOST_NAMED else ""
        named = "; ".join(map(_slower, same[:MOST_NAMED]))
        told.append(f"The same work, counted exactly, runs slower: {named}{others}.")
    return told


def _slower(decision: Decision) -> str:
    return f"{decision.case} takes {decision.ratio:.3f} times as long at head ({decision.sentence})"


def _changed_counts(run: BlocksRun, case: str) -> list[str]:
    before, after = (run.trial[side].counts.get(case, {}) for side in (BASE, HEAD))
    return [
        f"{name} from {whole(before[name])} to {whole(after[name])}"
        for name in EXACT
        if name in before and name in after and before[name] != after[name]
    ]


def _blocks_note(run: BlocksRun) -> str:
    twice = sum(AGAIN in block for block in run.blocks)
    aside = f", {len(run.aside)} more set aside since the machine moved within them" if run.aside else ""
    looks = ", ".join(str(count) for count in run.policy.blocks)
    shared = f" Looks at {looks} blocks share alpha by halves, so that looking often costs nothing."
    return (
        f"{counted(len(run.blocks), 'block')} of one fresh process a side, which take turns in random order (seed "
        f"{run.seed}), base twice in {twice} of them{aside}; {seconds(run.took_s)} of measuring."
        f"{shared if len(run.policy.blocks) > 1 else ''}"
    )


def _spread_note(run: BlocksRun, ratios: Mapping[str, list[float]]) -> str:
    spreads = {case: process_spread(values) for case, values in ratios.items()}
    worst = max(spreads, key=spreads.__getitem__)
    alone = [
        ratio_spread([log(block[BASE].latency_s(case)) for block in run.blocks if case in block[BASE].samples_s])
        for case in ratios
    ]
    return (
        f"Processes of one commit that take turns spread by {median(spreads.values()):.1%} (median of the cases; most: "
        f"{spreads[worst]:.1%}, {worst}), and base's from block to block by {median(alone):.1%}."
    )


def _power_notes(run: BlocksRun, ratios: Mapping[str, list[float]]) -> list[str]:
    assert run.looked is not None
    # A run that was cut short has no more blocks than it has; any other would have gone on to its last look.
    last = run.looked if run.short else plan_looks(run.policy.blocks, run.policy.alpha)[-1]
    alpha = last.alpha / len(run.cases)
    notes = []
    for slowdown in SLOWDOWNS:
        chances = [
            power(wide_spread(values), last.blocks, run.policy.budget(case, LATENCY), slowdown, alpha)
            for case, values in ratios.items()
        ]
        notes.append(
            f"A slowdown of {slowdown:.0%} of one case is found within {last.blocks} blocks with a chance of "
            f"{median(chances):.0%} (median of the cases; least: {min(chances):.0%})."
        )
    return notes
