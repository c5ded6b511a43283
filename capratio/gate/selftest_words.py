"""A selftest in sentences: which goals are reached, what was done, and how processes spread."""

from capratio.gate.block_plan import AGAIN_EVERY
from capratio.gate.policy import Policy
from capratio.gate.selftest import CURVE, Selftest
from capratio.gate.selftest_table import Row, percent, selftest_rows
from capratio.units import counted, whole


def outcome(result: Selftest) -> bool | None:
    """Whether every goal is reached; None where none fails, and one or more cannot be told."""
    reached = [row.reached for row in _goals(result)]
    return False if False in reached else None if None in reached else True


def headline(result: Selftest) -> str:
    """The verdict in one sentence."""
    goals = _goals(result)
    reached = sum(row.reached is True for row in goals)
    if outcome(result) is True:
        return f"The gate reaches all of its {len(goals)} goals."
    if not any(row.reached is not None for row in goals):
        return "Nothing can be said of the gate: too little was measured."
    return f"The gate reaches {reached} of its {len(goals)} goals."


def standing(result: Selftest) -> list[str]:
    """Which goals are reached, which are not, and which cannot be told, a sentence each."""
    goals = _goals(result)
    named = (("Reached", True), ("Not reached", False), ("Not told, too little was measured", None))
    told = ((title, [row.name for row in goals if row.reached is kind and row.name]) for title, kind in named)
    return [f"{title}: {'; '.join(names)}." for title, names in told if names]


def method(result: Selftest, policy: Policy) -> list[str]:
    """What was done, a sentence or two each."""
    looks = ", ".join(map(str, policy.blocks))
    return [
        "A whole run holds a commit against itself, in two environments that were built apart, as any gate: blocks of "
        "one fresh process a side, which take turns at all cases, in an order drawn by the run's seed, base "
        f"twice in every {_ordinal(AGAIN_EVERY)} block. Looks at {looks} blocks share alpha = {policy.alpha:g}; Holm's "
        "correction is for the number of cases; what regressed is measured again in reverse order before it counts.",
        f"The budget of a latency is {percent(policy.latency)}{_budgets(policy)}.",
        "In some whole runs every other case of head is slowed down inside the timed call, which spins for a share of "
        "the time that it took. All that the gate does is then as with a slower commit; a call of some microseconds is "
        "slower by a little more than that, since what makes it spin takes some tenths of one.",
        *_dealt(result),
        "Every exact integer of the first run's trial, raised by one on head's side alone, has to be found, and "
        "nothing else beside it.",
        "Intervals are exact 95 % intervals of a share (Clopper and Pearson). Cases of one run are no independent "
        "tries, so that the interval over cases of whole runs is too narrow.",
    ]


def spread_words(result: Selftest) -> str:
    """How processes of one commit spread."""
    if not result.spreads:
        return "No run without a slowdown has two blocks, so that no spread is known."
    spreads = sorted(result.spreads.values())
    middle = spreads[len(spreads) // 2]
    return (
        f"Processes of one commit spread by {percent(middle, 2)} (the middle case; {percent(spreads[0], 2)} to "
        f"{percent(spreads[-1], 2)}): standard deviation by the median absolute deviation, in the middle whole run "
        "without a slowdown."
    )


def _goals(result: Selftest) -> list[Row]:
    return [row for row in selftest_rows(result) if row.name]


def _dealt(result: Selftest) -> list[str]:
    gates = result.void.tries
    if not gates:
        return []
    *smaller, largest = (f"{100 * slowdown:g}" for slowdown in CURVE)
    return [
        f"{whole(gates)} gates that might have been are dealt out of the blocks of the "
        "whole runs without a slowdown: from a random block on, in the order in which they were measured, with the "
        f"labels of the sides of every block drawn anew (seeds 0 to {gates - 1}). Drift and order stay, so that what "
        "comes out is conditional on these blocks: it bounds no more than what the machine did in those hours.",
        "The same gates are dealt again with one case, drawn by the seed, slower by "
        f"{', '.join(smaller)} or {largest} %: there the recorded samples of head are scaled, and nothing is "
        "measured again.",
    ]


def _budgets(policy: Policy) -> str:
    return f", with {counted(len(policy.budgets), 'exception')} by case and quantity" if policy.budgets else ""


def _ordinal(number: int) -> str:
    return {2: "second", 3: "third", 4: "fourth"}.get(number, f"{number}th")
