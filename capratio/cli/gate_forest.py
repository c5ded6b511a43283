"""A forest plot in characters: where the interval of head / base lies beside 1 and the budget, a line for each case."""

from math import isfinite, log, log1p

from capratio.gate.decision import Decision

# Characters of a line; 1 stands in the middle.
WIDTH = 33
# Budgets that half of a line holds; what lies beyond ends in an arrow.
BUDGETS = 4
# The half of a line of a case without a budget, in logarithms.
NARROWEST = 0.01


def forest_line(decision: Decision) -> str:
    """``│`` at 1, ``┊`` at the budgets, ``─`` over the interval and ``●`` at the estimate; blank without one."""
    if decision.ratio is None or decision.low is None or decision.high is None:
        return ""
    line = ["·"] * WIDTH
    reach = BUDGETS * log1p(decision.budget) or NARROWEST
    low, high = _place(decision.low, reach), _place(decision.high, reach)
    # An interval that lies beyond the line covers none of it.
    for place in range(max(low, 0), min(high, WIDTH - 1) + 1):
        line[place] = "─"
    for ratio, mark in ((1 / (1 + decision.budget), "┊"), (1 + decision.budget, "┊"), (1.0, "│")):
        line[_place(ratio, reach)] = mark
    line[min(max(_place(decision.ratio, reach), 0), WIDTH - 1)] = "●"
    if low < 0:
        line[0] = "◀"
    if high >= WIDTH:
        line[-1] = "▶"
    return "".join(line)


def _place(ratio: float, reach: float) -> int:
    """The character at which a ratio stands; beyond the line where it lies outside, so far for one without bounds."""
    share = log(ratio) / reach if ratio > 0 and isfinite(ratio) else (2.0 if ratio > 1 else -2.0)
    return round((WIDTH - 1) / 2 * (1 + min(max(share, -2.0), 2.0)))
