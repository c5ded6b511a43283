"""Adaptive computation time: a state is updated until its halting units add up to one."""

from dataclasses import dataclass, replace
from math import ceil, exp, factorial
from typing import ClassVar, Self

from capratio.cost.closed_forms.contract import ANY_ITEMSIZE
from capratio.cost.flop import Flop
from capratio.cost.op_formulas import router_logits
from capratio.cost.operation import OperationCost
from capratio.cost.systems.compulsory import plain_compulsory_bytes
from capratio.cost.systems.contract import SystemSpec, Visits, check_sizes
from capratio.cost.systems.dense_steps import linear, linear_gradients, sum_of
from capratio.errors import InputError

# With which the halting unit begins (Graves 2016).
HALTING_BIAS = 1.0

# 1 / 170! is as good as zero, and the last that a float holds: no token takes more steps.
MOST_STEPS = 170


@dataclass(frozen=True, slots=True)
class ActSpec(SystemSpec):
    """p -> a state of ``hidden`` units, updated 1 to ``max_steps`` times -> q.

    A token halts at the first step at which its halting probabilities add up to 1 - ``epsilon``, or at the last.

    Counts: ``steps``, the updates of all tokens; ``rounds``, the most that a token takes; ``last_round``, tokens that
    take as many. The last two decide how often gradients of several rounds are added.

    Raises InputError for sizes under 1, or an epsilon that is not in 0..1, 1 left out.

    Source: Graves 2016, arXiv 1603.08983.
    """

    layer: ClassVar[str] = "act"
    counts: ClassVar[tuple[str, ...]] = ("steps", "rounds", "last_round")

    hidden: int = 1024
    max_steps: int = 8
    epsilon: float = 0.01

    def __post_init__(self) -> None:
        check_sizes(self, hidden=self.hidden, max_steps=self.max_steps)
        if not 0 <= self.epsilon < 1:
            raise InputError(f"{self.layer} was given epsilon={self.epsilon}; give a number from 0 to under 1.")

    @property
    def weight_parameters(self) -> int:
        """h p + h h + q h."""
        return self.hidden * (self.in_features + self.hidden + self.out_features)

    @property
    def parameters(self) -> int:
        """Those, the biases h + q, and the halting unit, h + 1."""
        return self.weight_parameters + self.hidden + self.out_features + self.hidden + 1

    def touched_parameters(self, visits: Visits) -> int:
        """All of them; without the h h of the state's matrix where every token halts at its first step, from zero."""
        if visits.tokens == 0:
            return 0
        return self.parameters - (self.hidden**2 if visits["rounds"] == 1 else 0)

    def one_token(self) -> Visits:
        """As many steps as a token takes while the halting unit is at its beginning, σ(1) = 0.73 a step."""
        steps = ceil((1 - self.epsilon) * (1 + exp(-HALTING_BIAS)))
        taken = max(min(steps, self.max_steps), 1)
        return Visits(1, {"steps": taken, "rounds": taken, "last_round": 1})

    def expected_counts(self, tokens: int) -> dict[str, float]:
        """Where halting probabilities are uniform on [0, 1] and independent.

        The sum of n of them is under 1 - ε with probability (1 - ε)^n / n!, which is that of more than n steps.
        """
        more = [(1 - self.epsilon) ** n / factorial(n) for n in range(min(self.max_steps, MOST_STEPS))] + [0.0]
        most = [tokens * (more[n - 1] - more[n]) * (1 - more[n]) ** max(tokens - 1, 0) for n in range(1, len(more))]
        return {
            "steps": tokens * sum(more),
            "rounds": sum(1 - (1 - chance) ** tokens for chance in more),
            "last_round": sum(most),
        }

    def expected_touched_parameters(self, tokens: int) -> float:
        """All of them, the state's matrix with the probability that a token takes a second step."""
        second = (1 - self.epsilon) if self.max_steps > 1 else 0.0
        return min(tokens, 1) * (self.parameters - self.hidden**2) + self.hidden**2 * (1 - (1 - second) ** tokens)

    def twin(self) -> Self:
        """At most 16 features and units; as many steps."""
        p, q, hidden = (min(size, 16) for size in (self.in_features, self.out_features, self.hidden))
        return replace(self, in_features=p, out_features=q, hidden=hidden)

    def executed(self, visits: Visits, pass_: str) -> OperationCost:
        """With S steps of N tokens: 2 (N h p + (S - N) h h + N q h) product FLOP, 2Sh gating; biases N (h + q) + S.

        The first step begins at a zero state, which takes no product. Overhead, of each unit at each step: tanh, to
        scale the state by its share, to add it to the mean: 3, and from the second step on 1 to add what x drives; of
        each step: a sigmoid, and to take it from what is left: 2. Routing of each step: whether enough is left, the
        share that follows, its negation, and the search for those that go on: 4.
        """
        tokens, steps, hidden = visits.tokens, visits["steps"], self.hidden
        further = steps - tokens
        total = linear(tokens, self.in_features, hidden) + linear(further, hidden, hidden, bias=False)
        total += linear(tokens, hidden, self.out_features)
        total += self._halting_products(steps)
        total += OperationCost(Flop(overhead=(3 * steps + further) * hidden + 2 * steps, bias=steps), 4 * steps)
        return total + self._gradients(visits) if pass_ == "train" else total

    def compulsory_bytes(self, visits: Visits, pass_: str, itemsize: int) -> int:
        """As the contract says."""
        return plain_compulsory_bytes(self, visits, pass_, itemsize)

    def _gradients(self, visits: Visits) -> OperationCost:
        """Two products for each product, and a sum for each bias: of the halting unit's one a round.

        S steps, of which N are first ones and L, those of the last round, go no further; F = S - N, C = S - L.

        Overhead, h times. Of each step: the state and its share, each by the gradient of the mean, and to sum the
        share's over the units (3, less one add a step), tanh (3), and to join the ways to a state by the mean and by
        the halting unit (1). Of C: to join those by the next step, of the state and of what x drives (2). Of F: to put
        both back where those that went on stand (2). Overhead, once: the sigmoid (3 S); what is left, joined (C to the
        probability, C for its sign; S - N - L to what was left, in rounds between the first and the last), put back
        (F). Matrices and biases that several rounds use: an add for each element and further round.

        Routing: the share's choice, S to the probability and F to what is left.
        """
        tokens, steps, rounds, hidden = visits.tokens, visits["steps"], visits["rounds"], self.hidden
        further, going_on = steps - tokens, steps - visits["last_round"]
        total = linear_gradients(tokens, self.in_features, hidden)
        total += linear_gradients(further, hidden, hidden, bias=False)
        total += linear_gradients(tokens, hidden, self.out_features)
        total += self._halting_products(steps) + self._halting_products(steps)
        units = (7 * steps + 2 * going_on + 2 * further) * hidden - steps
        left = 3 * steps + 2 * going_on + (further - visits["last_round"] if rounds > 1 else 0) + further
        repeated = max(rounds - 1, 0) * (hidden + 1) + max(rounds - 2, 0) * hidden**2
        halting_bias = sum_of(steps, rounds)
        return total + OperationCost(Flop(overhead=units + left + repeated, bias=halting_bias), steps + further)

    def _halting_products(self, steps: int) -> OperationCost:
        return router_logits(steps, self.hidden, 1, itemsize=ANY_ITEMSIZE)
