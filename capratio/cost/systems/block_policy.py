"""A network whose hidden units live and die in blocks, as a policy decides for each token."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar, Self

from capratio.cost.closed_forms.contract import ANY_ITEMSIZE
from capratio.cost.flop import Flop
from capratio.cost.op_formulas import router_logits
from capratio.cost.op_formulas.block_linear import (
    LiveBlocks,
    block_linear,
    block_linear_bias,
    block_linear_bias_gradient,
    block_linear_input_gradient,
    block_linear_weight_gradient,
)
from capratio.cost.operation import OperationCost
from capratio.cost.systems.contract import SystemSpec, Visits, check_sizes, check_words
from capratio.errors import InputError

ACTIVATIONS = ("relu", "tanh")
# A choice of ours, far beyond the paper's two: costs are counted layer by layer.
MOST_LAYERS = 1024
# Of tanh's derivative, g (1 − y²).
TANH_GRADIENT_FLOP = 3


@dataclass(frozen=True, slots=True)
class BlockPolicySpec(SystemSpec):
    """h_l = f(W_l h_{l−1} + b_l) ⊙ u_l in L hidden layers, then V h_L + c, of which a token computes live blocks alone.

    Symbols beside the contract's: h hidden units in B blocks of s = h / B, L hidden_layers, τ rate. The policy of layer
    l, σ_l = sigmoid(Z_l h_{l−1} + d_l), u_l ~ Bernoulli(σ_l) once for each block, is read in full by every token.

    Counts of visits: ``first_pairs``, ``middle_pairs``, ``last_pairs``: the sum over tokens of live input blocks times
    live output blocks, of the first product (whose input is one block), of the L − 1 between hidden layers together,
    and of the last (whose output is one block). ``live_blocks``: the sum over tokens and hidden layers of live blocks.
    ``distinct_first``, ``distinct_middle``, ``distinct_last``: weight blocks that any token has in a pair.
    ``distinct_blocks``: the sum over hidden layers of blocks that any token has live.

    Raises InputError for sizes under 1, blocks that do not divide the hidden units, a rate that is not between 0 and 1,
    or another activation.

    Source: Bengio, Bacon, Pineau & Precup 2015, arXiv 1511.06297; exact counts are derived.
    """

    layer: ClassVar[str] = "block-policy"
    counts: ClassVar[tuple[str, ...]] = (
        "first_pairs",
        "middle_pairs",
        "last_pairs",
        "live_blocks",
        "distinct_first",
        "distinct_middle",
        "distinct_last",
        "distinct_blocks",
    )
    words: ClassVar[Mapping[str, tuple[str, ...]]] = {"activation": ACTIVATIONS}

    hidden: int = 1024
    blocks: int = 16
    hidden_layers: int = 1
    rate: float = 1 / 16
    activation: str = "relu"

    def __post_init__(self) -> None:
        check_sizes(self, hidden=self.hidden, blocks=self.blocks, hidden_layers=self.hidden_layers)
        check_words(self)
        if self.hidden_layers > MOST_LAYERS:
            raise InputError(
                f"{self.layer} was given hidden_layers={self.hidden_layers}; give at most {MOST_LAYERS} of them."
            )
        if self.hidden % self.blocks:
            raise InputError(
                f"{self.layer} was given blocks={self.blocks} for hidden={self.hidden}; give a number of blocks that "
                "divides the hidden units."
            )
        if not 0 < self.rate < 1:
            raise InputError(f"{self.layer} was given rate={self.rate!r}; give a number between 0 and 1, such as 0.1.")

    @property
    def block_size(self) -> int:
        """s, units of a block."""
        return self.hidden // self.blocks

    @property
    def widths(self) -> tuple[tuple[int, int], ...]:
        """Inputs and outputs of each of the L + 1 products."""
        sizes = (self.in_features, *[self.hidden] * self.hidden_layers, self.out_features)
        return tuple(pairwise(sizes))

    @property
    def weight_parameters(self) -> int:
        """p h + (L − 1) h² + h q."""
        return sum(p * q for p, q in self.widths)

    @property
    def parameters(self) -> int:
        """The weights, biases of L h + q, and policies of B (p + (L − 1) h) + L B."""
        return self.weight_parameters + self._bias_parameters + self._policy_parameters

    def touched_parameters(self, visits: Visits) -> int:
        """Weights of pairs that any token has, biases of blocks that any token has live, and all of the policies."""
        if not visits.tokens:
            return 0
        weights = sum(s * t * visits[f"distinct_{part}"] for part, (s, t) in self._pair_sizes.items())
        return weights + self.block_size * visits["distinct_blocks"] + self.out_features + self._policy_parameters

    def one_token(self) -> Visits:
        """τB live blocks in each hidden layer, rounded, and at least one."""
        live, layers = max(round(self.rate * self.blocks), 1), self.hidden_layers
        ends, middle, total = live, (layers - 1) * live * live, layers * live
        return Visits(1, dict(zip(self.counts, 2 * (ends, middle, ends, total), strict=True)))

    def expected_counts(self, tokens: int) -> dict[str, float]:
        """Coins of probability c = τ, of a pair of coins τ²: N c tokens have it, and any has it with 1 − (1 − c)^N."""
        ends, middle, total = self.blocks, (self.hidden_layers - 1) * self.blocks**2, self.hidden_layers * self.blocks
        chances = (self.rate, self.rate**2, self.rate, self.rate)
        sizes = (ends, middle, ends, total)
        live = [size * tokens * chance for size, chance in zip(sizes, chances, strict=True)]
        distinct = [size * (1 - (1 - chance) ** tokens) for size, chance in zip(sizes, chances, strict=True)]
        return dict(zip(self.counts, live + distinct, strict=True))

    def expected_touched_parameters(self, tokens: int) -> float:
        """``touched_parameters`` is linear in its counts, so it is theirs."""
        if not tokens:
            return 0.0
        counts = self.expected_counts(tokens)
        weights = sum(s * t * counts[f"distinct_{part}"] for part, (s, t) in self._pair_sizes.items())
        return weights + self.block_size * counts["distinct_blocks"] + self.out_features + self._policy_parameters

    def executed(self, visits: Visits, pass_: str) -> OperationCost:
        """The policies' decisions, the products of live pairs with their biases, and f on every hidden unit.

        A policy's product is gating, 2NBp or 2NBh; adding its offset counts as bias, its sigmoid and the sum of the
        offset, logit(τ) and what is learned, as overhead, and the compare with a draw as routing. f takes a compare, or
        1 overhead FLOP, of each of the N L h hidden units, dead ones too. Training adds the gradients of products,
        biases and f; the output's gradient does not reach the policies.
        """
        total = self._decisions(visits.tokens) + self._activation(visits, pass_)
        for live, p, q in self._products(visits):
            total += block_linear(live, p, q, itemsize=ANY_ITEMSIZE)
            if pass_ == "train":
                total += block_linear_input_gradient(live, p, q, itemsize=ANY_ITEMSIZE)
                total += block_linear_weight_gradient(live, p, q, itemsize=ANY_ITEMSIZE)
        return total + self._biases(visits, pass_)

    def compulsory_bytes(self, visits: Visits, pass_: str, itemsize: int) -> int:
        """As the contract, but for gradients of the policies, which the output's gradient does not reach."""
        tokens, p, q = visits.tokens, self.in_features, self.out_features
        elements = tokens * (p + q) + self.touched_parameters(visits)
        if pass_ == "train":
            elements += tokens * (q + p) + self.weight_parameters + self._bias_parameters
        return elements * itemsize

    def twin(self) -> Self:
        """At most 8 features, 4 blocks of 2 units and 2 hidden layers."""
        blocks = min(self.blocks, 4)
        return replace(
            self,
            in_features=min(self.in_features, 8),
            out_features=min(self.out_features, 8),
            hidden=blocks * min(self.block_size, 2),
            blocks=blocks,
            hidden_layers=min(self.hidden_layers, 2),
        )

    @property
    def _bias_parameters(self) -> int:
        return self.hidden_layers * self.hidden + self.out_features

    @property
    def _policy_parameters(self) -> int:
        return sum(self.blocks * (p + 1) for p, _ in self.widths[:-1])

    @property
    def _pair_sizes(self) -> dict[str, tuple[int, int]]:
        """Inputs and outputs of a weight block, of each part of the network."""
        size = self.block_size
        return {"first": (self.in_features, size), "middle": (size, size), "last": (size, self.out_features)}

    def _products(self, visits: Visits) -> list[tuple[LiveBlocks, int, int]]:
        """Each product's live blocks and sizes; those between hidden layers as one of (L − 1) N tokens."""
        tokens, blocks, hidden = visits.tokens, self.blocks, self.hidden
        parts = {
            "first": (tokens, 1, blocks, self.in_features, hidden),
            "middle": ((self.hidden_layers - 1) * tokens, blocks, blocks, hidden, hidden),
            "last": (tokens, blocks, 1, hidden, self.out_features),
        }
        return [
            (LiveBlocks(rows, inputs, outputs, visits[f"{part}_pairs"], visits[f"distinct_{part}"]), p, q)
            for part, (rows, inputs, outputs, p, q) in parts.items()
        ]

    def _decisions(self, tokens: int) -> OperationCost:
        """The offsets are summed for no tokens too."""
        total = OperationCost()
        for p, _ in self.widths[:-1]:
            coins = tokens * self.blocks
            total += router_logits(tokens, p, self.blocks, itemsize=ANY_ITEMSIZE)
            total += OperationCost(Flop(bias=coins, overhead=coins + self.blocks), routing_operations=coins)
        return total

    def activation_compares(self, visits: Visits, pass_: str) -> int:
        """One of each hidden unit, dead ones too, and one more in its gradient."""
        passes = 2 if pass_ == "train" else 1
        return passes * self._units(visits.tokens) if self.activation == "relu" else 0

    def _activation(self, visits: Visits, pass_: str) -> OperationCost:
        if self.activation == "relu":
            return OperationCost(routing_operations=self.activation_compares(visits, pass_))
        gradient = TANH_GRADIENT_FLOP if pass_ == "train" else 0
        return OperationCost(Flop(overhead=(1 + gradient) * self._units(visits.tokens)))

    def _units(self, tokens: int) -> int:
        return tokens * self.hidden_layers * self.hidden

    def _biases(self, visits: Visits, pass_: str) -> OperationCost:
        """Of all hidden layers as one of L N tokens, and of the output."""
        tokens, rows = visits.tokens, self.hidden_layers * visits.tokens
        layers = (
            (rows, self.hidden, self.blocks, visits["live_blocks"], visits["distinct_blocks"]),
            (tokens, self.out_features, 1, tokens, min(tokens, 1)),
        )
        total = OperationCost()
        for count, q, blocks, live, distinct in layers:
            total += block_linear_bias(count, q, blocks, live=live, itemsize=ANY_ITEMSIZE)
            if pass_ == "train":
                total += block_linear_bias_gradient(
                    count, q, blocks, live=live, visited=distinct, itemsize=ANY_ITEMSIZE
                )
        return total
