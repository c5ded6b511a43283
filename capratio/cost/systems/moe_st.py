"""ST-MoE: a router sends each token to one or two expert networks, each of which takes so many tokens and no more."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import exp, isfinite, lgamma, log
from typing import ClassVar, Self

from capratio.cost.closed_forms.contract import ANY_ITEMSIZE
from capratio.cost.closed_forms.fast_feedforward import GELU_GRADIENT_FLOP
from capratio.cost.flop import Flop
from capratio.cost.op_formulas.expert_feedforward import expert_feedforward, expert_feedforward_gradients
from capratio.cost.op_formulas.feedforward import GELU_FLOP
from capratio.cost.op_formulas.router_logits import router_logits
from capratio.cost.op_formulas.routing import sort_operations
from capratio.cost.operation import OperationCost
from capratio.cost.systems.compulsory import plain_compulsory_bytes
from capratio.cost.systems.contract import SystemSpec, Visits, check_sizes, check_words
from capratio.errors import InputError

# What becomes of a token's second expert: it is drawn whether it is asked, it is asked where its share is large enough,
# or always.
SECOND = ("random", "threshold", "always")
ACTIVATION = "geglu"


@dataclass(frozen=True, slots=True)
class MoeStSpec(SystemSpec):
    """E expert networks of h hidden features, of which a token asks its best k for a slot.

    The logits are W_r x, E of them. k = 1: the share of the best expert is its softmax probability. k = 2: the shares
    of the two best are g_1 and g_2, their probabilities divided by their sum. An expert takes ceil(CF N / E) of N
    tokens, whatever k is; who comes later is dropped, and adds nothing. All first choices come before all second ones.

    Args: in_features p, out_features q. experts E. top_k k: 1 or 2. hidden h. capacity_train, capacity_eval: the
    factor CF in training and outside of it. second, of k = 2 alone: ``random``, the second expert is asked with
    probability min(1, g_2 / 0.2); ``threshold``, where g_2 > 0.2; ``always``. prioritised: whether tokens come in the
    order of the probability of their first choice and not in their own. dense_beside: whether a dense network of the
    same h stands beside the experts, and its output is added. multiplicative_bias: whether each expert's hidden
    features are scaled by learned factors.

    Counts of a batch: ``experts`` V, the distinct ones that got a token; ``assignments`` A, the slots that were taken;
    ``dropped``, the choices that asked for a slot and got none.

    Executed, as the layer runs it, capacity apart: 2NpE gating for the logits; the two products of A assignments, 2A h
    (2p + q), with the overhead of their activations and sums; overhead of the softmax and of g_2 / 0.2; where a
    multiplicative bias is, E q h to fold it into the second matrices of all experts, which the layer does once a call.

    Raises InputError for sizes under 1, another k, fewer experts than k, a factor that is not finite and above 0, or
    another word for second.

    Source: Zoph et al. 2022, arXiv 2202.08906: capacity, order of choices, batch-prioritised routing. The rules of the
    second expert are those of the authors' code, which draws in evaluation too. Our reading: a dense network beside the
    experts, not before or after them, and factors of each expert's own, right after the gate. Counts are derived.
    """

    layer: ClassVar[str] = "moe-st"
    counts: ClassVar[tuple[str, ...]] = ("experts", "assignments", "dropped")
    words: ClassVar[Mapping[str, tuple[str, ...]]] = {"second": SECOND}

    experts: int = 16
    top_k: int = 2
    hidden: int = 1024
    capacity_train: float = 1.25
    capacity_eval: float = 2.0
    second: str = "random"
    prioritised: bool = False
    dense_beside: bool = False
    multiplicative_bias: bool = False

    def __post_init__(self) -> None:
        check_sizes(self, experts=self.experts, top_k=self.top_k, hidden=self.hidden)
        check_words(self)
        if self.top_k > 2:
            raise InputError(f"{self.layer} was given top_k={self.top_k}; it must be 1 or 2.")
        if self.experts < self.top_k:
            raise InputError(
                f"{self.layer} was given experts={self.experts} and top_k={self.top_k}; give at least as many experts."
            )
        for name in ("capacity_train", "capacity_eval"):
            factor = getattr(self, name)
            if isinstance(factor, bool) or not isinstance(factor, int | float) or not (isfinite(factor) and factor > 0):
                raise InputError(f"{self.layer} was given {name}={factor!r}; it must be a finite number above 0.")

    @property
    def fixed_routing(self) -> str | None:
        """None: the router's products decide."""
        return None

    def slots_per_token(self, training: bool) -> Fraction:
        """CF / E, exactly, of the factor as it is written: 1.1 is 11/10 and no binary number beside it."""
        return Fraction(str(self.capacity_train if training else self.capacity_eval)) / self.experts

    def capacity(self, tokens: int, training: bool) -> int:
        """Slots of each expert, ceil(CF N / E)."""
        share = self.slots_per_token(training)
        return -(-tokens * share.numerator // share.denominator)

    @property
    def weight_parameters(self) -> int:
        """E h (2p + q), and as much as one expert for a dense network."""
        return (self.experts + self.dense_beside) * self._network

    @property
    def parameters(self) -> int:
        """With E p of the router, and E h of multiplicative biases."""
        factors = self.multiplicative_bias * self.experts * self.hidden
        return self.weight_parameters + self.experts * self.in_features + factors

    def touched_parameters(self, visits: Visits) -> int:
        """The router, the visited experts with their factors, and a dense network.

        Folding factors reads the second matrices of the other experts too; the output doesn't depend on them.
        """
        return self._touched_beside + visits["experts"] * self._expert if visits.tokens else 0

    def one_token(self) -> Visits:
        """k experts: a single token is never dropped, and its second expert is asked."""
        return Visits(1, {"experts": self.top_k, "assignments": self.top_k, "dropped": 0})

    def expected_counts(self, tokens: int) -> dict[str, float]:
        """Of tokens that choose k distinct experts uniformly and ask them all, at the capacity of evaluation.

        E (1 - (1 - k/E)^N) experts. An expert is chosen by a binomial number of tokens, X of N with probability k/E,
        and takes min(X, C): E times the expected min(X, C) assignments; the rest of N k is dropped.
        """
        chosen = self.top_k / self.experts
        taken = self.experts * _expected_minimum(tokens, chosen, self.capacity(tokens, training=False))
        return {
            "experts": self.experts * (1 - (1 - chosen) ** tokens),
            "assignments": taken,
            "dropped": tokens * self.top_k - taken,
        }

    def expected_touched_parameters(self, tokens: int) -> float:
        """Linear in the experts, so that of the expected number of experts."""
        return self._touched_beside + self.expected_counts(tokens)["experts"] * self._expert if tokens else 0.0

    def compulsory_bytes(self, visits: Visits, pass_: str, itemsize: int) -> int:
        """As of every system without side inputs."""
        return plain_compulsory_bytes(self, visits, pass_, itemsize)

    def executed(self, visits: Visits, pass_: str) -> OperationCost:
        """Router, choice and slots, experts, and what stands beside them; in training the gradients of all but slots.

        Softmax counts as overhead, since nothing tells a router's from another.
        """
        training = pass_ == "train"
        cost = self._router(visits.tokens, training) + self._slots(visits.tokens, training)
        cost += self._experts(visits, training)
        if self.multiplicative_bias:
            cost += self._folding(training)
        if self.dense_beside:
            cost += self._dense(visits.tokens, training)
        return cost

    def twin(self) -> Self:
        """At most 16 features, hidden features and experts, so that slots are as scarce as they are here."""
        sizes = {name: min(getattr(self, name), 16) for name in ("in_features", "out_features", "hidden", "experts")}
        return replace(self, **sizes)

    @property
    def _network(self) -> int:
        """Weights of one network: 2h rows of p, and q of h."""
        return self.hidden * (2 * self.in_features + self.out_features)

    @property
    def _expert(self) -> int:
        return self._network + self.multiplicative_bias * self.hidden

    @property
    def _touched_beside(self) -> int:
        """What every token reads: the router, and a dense network."""
        return self.experts * self.in_features + self.dense_beside * self._network

    def _router(self, tokens: int, training: bool) -> OperationCost:
        """Logits; a softmax over the k best, or over all where k = 1; the k best by a sort of E; the second's rule.

        In training the gradients of the softmax and of the logits to x and to the router, and the sum of the two
        gradients to x.
        """
        width = self.experts if self.top_k == 1 else self.top_k
        softmax = tokens * (4 * width - 1)
        cost = router_logits(tokens, self.in_features, self.experts, itemsize=ANY_ITEMSIZE)
        cost += OperationCost(
            Flop(overhead=softmax), routing_operations=tokens * (width - 1 + sort_operations(self.experts))
        )
        if self.top_k == 2:
            cost += self._second(tokens)
        if training:
            cost += OperationCost(
                Flop(
                    gating=4 * tokens * self.in_features * self.experts,
                    overhead=softmax + tokens * self.in_features,
                )
            )
        return cost

    def _second(self, tokens: int) -> OperationCost:
        """Of each of 2N shares a compare and a choice, and the division by 0.2 where it is compared to a draw."""
        if self.second == "always":
            return OperationCost()
        shares = 2 * tokens
        return OperationCost(Flop(overhead=shares if self.second == "random" else 0), routing_operations=2 * shares)

    def _slots(self, tokens: int, training: bool) -> OperationCost:
        """Nothing where every expert has a slot for every token; else, of the M = N k choices, all of them routing:

        a sort, a binary search for where each one's expert begins, a subtraction, a compare with the capacity and a
        choice. Prioritised: a sort of N beside, by a softmax's largest where the share is not that already.
        """
        if tokens <= self.capacity(tokens, training):
            return OperationCost()
        choices = tokens * self.top_k
        cost = OperationCost(routing_operations=sort_operations(choices) + choices * (choices.bit_length() + 3))
        if self.prioritised:
            cost += OperationCost(routing_operations=sort_operations(tokens))
        if self.prioritised and self.top_k == 2:
            others = tokens * (self.experts - 1)
            cost += OperationCost(Flop(overhead=tokens * (4 * self.experts - 1)), routing_operations=2 * others)
        return cost

    def _experts(self, visits: Visits, training: bool) -> OperationCost:
        sizes = visits.tokens, self.in_features, self.out_features, self.hidden, ACTIVATION
        slots, assignments, visited = visits.tokens * self.top_k, visits["assignments"], visits["experts"]
        cost = expert_feedforward(*sizes, slots=slots, assignments=assignments, visited=visited, itemsize=ANY_ITEMSIZE)
        if not training:
            return cost
        return cost + expert_feedforward_gradients(
            *sizes,
            slots=slots,
            assignments=assignments,
            visited=visited,
            experts=self.experts,
            itemsize=ANY_ITEMSIZE,
        )

    def _folding(self, training: bool) -> OperationCost:
        """Scale E matrices of q x h; in training their gradients, and those of E h factors as sums of q products."""
        elements = self.experts * self.out_features * self.hidden
        gradients = 3 * elements - self.experts * self.hidden if training else 0
        return OperationCost(Flop(overhead=elements + gradients))

    def _dense(self, tokens: int, training: bool) -> OperationCost:
        """Two products, gelu and a multiply of N h features, N q adds; in training the gradients of all but the adds.

        The gradients of gelu and of both factors, 13 N h, and N p to add the gradient to x.
        """
        units, product = tokens * self.hidden, 2 * tokens * self._network
        forward = Flop(product=product, overhead=(GELU_FLOP + 1) * units + tokens * self.out_features)
        if not training:
            return OperationCost(forward)
        overhead = (GELU_GRADIENT_FLOP + 2) * units + tokens * self.in_features
        return OperationCost(forward + Flop(product=2 * product, overhead=overhead))


def _expected_minimum(tokens: int, probability: float, capacity: int) -> float:
    """E[min(X, C)] of X binomial: C less the sum over x < C of (C - x) P(x)."""
    if capacity >= tokens:
        return tokens * probability
    if probability == 1.0:
        return float(capacity)
    missing = sum((capacity - x) * _binomial(tokens, x, probability) for x in range(capacity))
    return capacity - missing


def _binomial(tokens: int, x: int, probability: float) -> float:
    ways = lgamma(tokens + 1) - lgamma(x + 1) - lgamma(tokens - x + 1)
    return exp(ways + x * log(probability) + (tokens - x) * log(1 - probability))
