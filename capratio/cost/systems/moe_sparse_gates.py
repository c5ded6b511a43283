"""The costs of the gates of a sparsely-gated mixture: noisy top-k, hierarchical, strictly balanced."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from capratio.cost.closed_forms.contract import ANY_ITEMSIZE
from capratio.cost.flop import Flop
from capratio.cost.op_formulas import (
    group_router_logits,
    group_router_logits_weight_gradient,
    router_logits,
    sort_operations,
)
from capratio.cost.operation import OperationCost


@dataclass(frozen=True, slots=True)
class GateCost(ABC):
    """What a gate holds, reads and executes.

    p in_features, E experts, k top_k, N tokens. Products with the gate's matrices are gating FLOP; softmax, softplus
    and the arithmetic of noise, which are torch's own functions, overhead; sorts and compares routing.
    """

    in_features: int
    experts: int
    top_k: int

    @property
    @abstractmethod
    def parameters(self) -> int:
        """All elements of the gate."""

    @abstractmethod
    def always_read(self, training: bool) -> int:
        """Elements that every batch reads."""

    def read_in_group(self, training: bool) -> int:
        """Elements that a batch reads for each distinct group that its tokens keep."""
        return 0

    @property
    @abstractmethod
    def trained(self) -> int:
        """Elements to which the layer's output gives a gradient."""

    @property
    @abstractmethod
    def slots(self) -> int:
        """Places for an expert that evaluation has for each token, those that stay empty included."""

    @abstractmethod
    def forward(self, tokens: int, slots: int, training: bool) -> OperationCost:
        """What it executes to choose experts and shares. Args: slots: places for an expert of all tokens."""

    @abstractmethod
    def backward(self, tokens: int, slots: int) -> OperationCost:
        """What it executes in training, from the gradient of the shares to those of its matrices and of x.

        The gradients of x are added to that of the experts too.
        """


@dataclass(frozen=True, slots=True)
class NoisyGateCost(GateCost):
    """W_g and W_noise, each (E, p): H = x W_g + noise · softplus(x W_noise), the k largest kept; noise in training."""

    @property
    def parameters(self) -> int:
        """2Ep."""
        return 2 * self.experts * self.in_features

    def always_read(self, training: bool) -> int:
        """Ep, and as many of W_noise in training."""
        return self.experts * self.in_features * (2 if training else 1)

    @property
    def trained(self) -> int:
        """All."""
        return self.parameters

    @property
    def slots(self) -> int:
        """k."""
        return self.top_k

    def forward(self, tokens: int, slots: int, training: bool) -> OperationCost:
        """A product with each matrix; of N rows a choice of k of E entries."""
        projected = router_logits(tokens, self.in_features, self.experts, itemsize=ANY_ITEMSIZE)
        chosen = projected + _choice(tokens, self.experts, self.top_k)
        return chosen + projected + _noise(tokens * self.experts) if training else chosen

    def backward(self, tokens: int, slots: int) -> OperationCost:
        """Of each matrix a product to x and one to itself, and N p adds of what it gives to x."""
        projected = router_logits(tokens, self.in_features, self.experts, itemsize=ANY_ITEMSIZE)
        added = OperationCost(Flop(overhead=2 * tokens * self.in_features))
        products = projected + projected + projected + projected
        return products + added + _choice_gradient(tokens, self.top_k) + _noise_gradient(tokens * self.experts)


@dataclass(frozen=True, slots=True)
class HierarchicalGateCost(GateCost):
    """A noisy gate over G groups of M = E / G experts keeps K = min(k, G); each of these has a noisy gate of its own.

    Both gates keep the noisy gate's matrices, (G, p) and (G, M, p); a token reads those of its K groups.
    """

    groups: int

    @property
    def kept(self) -> int:
        """K."""
        return min(self.top_k, self.groups)

    @property
    def parameters(self) -> int:
        """2Gp + 2Ep."""
        return 2 * (self.groups + self.experts) * self.in_features

    def always_read(self, training: bool) -> int:
        """Gp, and as many of the noise in training."""
        return self.groups * self.in_features * (2 if training else 1)

    def read_in_group(self, training: bool) -> int:
        """Mp, and as many of the noise in training."""
        return self._members * self.in_features * (2 if training else 1)

    @property
    def trained(self) -> int:
        """All."""
        return self.parameters

    @property
    def slots(self) -> int:
        """K k."""
        return self.kept * self.top_k

    def forward(self, tokens: int, slots: int, training: bool) -> OperationCost:
        """The first gate; of N K rows a product with the group's own matrix and a choice of k of M.

        Then N K k products of two shares, and a multiply and N K k adds from places to experts.
        """
        rows = tokens * self.kept
        first = NoisyGateCost(self.in_features, self.groups, self.kept).forward(tokens, rows, training)
        projected = group_router_logits(rows, self.in_features, self._members, visited=0, itemsize=ANY_ITEMSIZE)
        placed = OperationCost(Flop(overhead=rows * self.top_k), routing_operations=rows * (1 + self.top_k))
        chosen = first + projected + _choice(rows, self._members, self.top_k) + placed
        return chosen + projected + _noise(rows * self._members) if training else chosen

    def backward(self, tokens: int, slots: int) -> OperationCost:
        """As the noisy gate twice; each product of shares gives to both, and the K rows of a token are added up."""
        rows, p, members = tokens * self.kept, self.in_features, self._members
        first = NoisyGateCost(p, self.groups, self.kept).backward(tokens, rows)
        to_rows = group_router_logits(rows, members, p, visited=0, itemsize=ANY_ITEMSIZE)
        to_weight = group_router_logits_weight_gradient(
            rows, p, members, visited=0, groups=self.groups, itemsize=ANY_ITEMSIZE
        )
        shares = OperationCost(Flop(overhead=2 * rows * self.top_k + rows * (self.top_k - 1)))
        # Of the two matrices into each row, of a token's rows into one, and into the token's gradient: N p each time.
        added = OperationCost(Flop(overhead=(rows + (rows - tokens) + tokens) * p))
        second = to_rows + to_rows + to_weight + to_weight + shares + added
        return first + second + _choice_gradient(rows, self.top_k) + _noise_gradient(rows * members)

    @property
    def _members(self) -> int:
        return self.experts // self.groups


@dataclass(frozen=True, slots=True)
class BalancedGateCost(GateCost):
    """W_g (E, p) and a threshold for each expert: in training an expert keeps its best ceil(k N / E) tokens.

    In evaluation it keeps those whose score is above its threshold.
    """

    @property
    def parameters(self) -> int:
        """Ep + E."""
        return self.experts * (self.in_features + 1)

    def always_read(self, training: bool) -> int:
        """Ep, and the thresholds in evaluation."""
        return self.experts * (self.in_features + (0 if training else 1))

    @property
    def trained(self) -> int:
        """Ep: thresholds learn by their loss alone."""
        return self.experts * self.in_features

    @property
    def slots(self) -> int:
        """E: a place for each expert, filled where it keeps the token."""
        return self.experts

    def forward(self, tokens: int, slots: int, training: bool) -> OperationCost:
        """A product, the scores, the choice; then empty places are left out, of the logits and of the experts, and a
        softmax is taken over the others.

        The choice of evaluation: NE compares with thresholds. Of training: a sort of N tokens for each expert; a sort
        of E experts for each token, which brings those that keep it together; how many these are at most (NE to
        negate, N (E − 1) to sum, N − 1 to compare).
        """
        entries = tokens * self.experts
        chosen = entries
        if training and tokens:
            counted = entries + (entries - tokens) + (tokens - 1)
            chosen = self.experts * sort_operations(tokens) + tokens * sort_operations(self.experts) + counted
        projected = router_logits(tokens, self.in_features, self.experts, itemsize=ANY_ITEMSIZE)
        return (
            projected
            + _softmax(tokens, entries)
            + OperationCost(routing_operations=chosen + 2 * slots)
            + _softmax(tokens, slots)
        )

    def backward(self, tokens: int, slots: int) -> OperationCost:
        """Of the softmax 4 a place and −1 a token, a choice a place, an add a place into the logits; a product to x and
        one to W_g; N p adds to x.
        """
        projected = router_logits(tokens, self.in_features, self.experts, itemsize=ANY_ITEMSIZE)
        overhead = 5 * slots - tokens + tokens * self.in_features
        return projected + projected + OperationCost(Flop(overhead=overhead), routing_operations=slots)


def _softmax(rows: int, entries: int) -> OperationCost:
    """4 n − 1 FLOP a row of n entries (subtract the largest, exponentiate, sum, divide), and its n − 1 compares.

    Args: entries: of all rows.
    """
    return OperationCost(Flop(overhead=4 * entries - rows), routing_operations=entries - rows)


def _choice(rows: int, entries: int, kept: int) -> OperationCost:
    """The largest of n entries, n − 1 compares, as often as one is kept; a softmax over these."""
    return _softmax(rows, rows * kept) + OperationCost(routing_operations=rows * kept * (entries - 1))


def _choice_gradient(rows: int, kept: int) -> OperationCost:
    """Of the softmax 4 n − 1 a row, and n adds into the places that were kept."""
    return OperationCost(Flop(overhead=5 * rows * kept - rows))


def _noise(entries: int) -> OperationCost:
    """softplus (3), times noise, added: 5 an entry."""
    return OperationCost(Flop(overhead=5 * entries))


def _noise_gradient(entries: int) -> OperationCost:
    """Times noise, and 2 of softplus: 3 an entry."""
    return OperationCost(Flop(overhead=3 * entries))
