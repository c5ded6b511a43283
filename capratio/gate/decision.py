"""What is decided about each case, so that a whole run has no more than a known chance of a false regression.

``regressed``: above the budget even after Holm's correction for the number of cases. ``unchanged``: the interval lies
inside the budget on both sides. ``improved``: it lies below them. Else ``undecided``, with the slowdown that so many
processes, spread as these are, would find in four runs of five.

Source: Holm 1979; two one-sided tests for equivalence, Schuirmann 1987, our reading.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, log1p

import numpy as np
from scipy import stats

from capratio.gate.rank_inference import RankInference, ratio_of

# The power at which the detectable slowdown is stated.
POWER = 0.8
# One standard error on each side of a normal estimate.
_ONE_SIGMA = 0.1587


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a case: whether the log ratio of head over base lies above the budget, a share.

    inference: None where the data cannot carry a verdict, for the reason ``why_not``.
    """

    case: str
    budget: float
    inference: RankInference | None
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is decided about a case.

    status: ``regressed``, ``improved``, ``unchanged`` or ``undecided``. ratio, low, high: of head over base, with the
    interval whose two bounds fail with the chance alpha each; None without inference. p: of a regression, corrected
    for the number of cases. detectable: the slowdown, a share, that would be found in four runs of five; inf where so
    few processes can find none. sentence: why it is undecided.
    """

    case: str
    status: str
    budget: float
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    detectable: float | None = None
    sentence: str = ""


def decide(questions: Sequence[Question], alpha: float, others: int = 0) -> list[Decision]:
    """One decision a question, in their order.

    Args: alpha: the chance of one false regression or more among all questions, and of each bound of an interval.
    others: questions of the same family that are not asked now, since an earlier look answered them.
    """
    asked = [question for question in questions if question.inference is not None]
    corrected = holm({q.case: q.inference.p_above(log1p(q.budget)) for q in asked if q.inference is not None}, others)
    return [_decide(question, corrected.get(question.case), alpha, len(asked) + others) for question in questions]


def holm(p_values: Mapping[str, float], others: int = 0) -> dict[str, float]:
    """Each p-value corrected for their number, so that alpha bounds the chance of any false one among them.

    Args: others: hypotheses of the family that are not rejected here; they count as if their p-values were 1.
    """
    corrected: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) + others - rank) * p_values[name]))
        corrected[name] = largest
    return corrected


def detectable(inference: RankInference, budget: float, alpha: float) -> float:
    """The slowdown, a share, whose p-value falls under alpha with the chance ``POWER``; inf where none can.

    The estimate is taken as Student's, with the standard error that the ranks show.
    """
    low, high = inference.low(_ONE_SIGMA), inference.high(_ONE_SIGMA)
    if inference.least_p > alpha or not np.isfinite(high - low):
        return inf
    error = (high - low) / 2.0
    steps = float(stats.t.isf(alpha, inference.degrees) + stats.t.ppf(POWER, inference.degrees))
    return ratio_of(log1p(budget) + steps * error) - 1.0


def _decide(question: Question, p: float | None, alpha: float, cases: int) -> Decision:
    inference, budget = question.inference, question.budget
    if inference is None or p is None:
        return Decision(question.case, "undecided", budget, sentence=question.why_not)
    low, high = inference.low(alpha), inference.high(alpha)
    if p <= alpha:
        status = "regressed"
    elif high < -log1p(budget):
        status = "improved"
    elif -log1p(budget) <= low and high <= log1p(budget):
        status = "unchanged"
    else:
        status = "undecided"
    # The first of Holm's steps: what a single slow case among the others has to pass.
    found = detectable(inference, budget, alpha / cases)
    sentence = ""
    if status == "undecided":
        sentence = (
            f"so few processes find no slowdown among {cases} cases"
            if found == inf
            else f"a slowdown of {found:.1%} would be found in four runs of five"
        )
    return Decision(
        question.case, status, budget, ratio_of(inference.estimate), ratio_of(low), ratio_of(high), p, found, sentence
    )
