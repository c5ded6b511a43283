"""A sparsely-gated mixture of experts: noisy top-k, hierarchical, or strictly balanced gating."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from capratio.cost.closed_forms.contract import ANY_ITEMSIZE
from capratio.cost.op_formulas.expert_feedforward import (
    compares_of,
    expert_feedforward,
    expert_feedforward_gradients,
)
from capratio.cost.operation import OperationCost
from capratio.cost.systems.contract import SystemSpec, Visits, check_sizes, check_words
from capratio.cost.systems.moe_sparse_gates import BalancedGateCost, GateCost, HierarchicalGateCost, NoisyGateCost
from capratio.errors import InputError

GATINGS = ("noisy", "hierarchical", "balanced")


@dataclass(frozen=True, slots=True)
class MoeSparseSpec(SystemSpec):
    """y = Σ_i G(x)_i E_i(x), E_i(x) = W_out,i relu(W_in,i x), of which a token computes those with G(x)_i > 0.

    Symbols beside the contract's: E experts, k top_k, h hidden, G groups, K = min(k, G) groups that a token keeps.

    gating: ``noisy`` keeps k experts; ``hierarchical`` keeps K groups, and k experts in each; ``balanced`` keeps k on
    average, the same number of tokens for each expert of a training batch. groups: of the hierarchical gate; with one
    it is the noisy gate.

    Counts of visits: ``experts``, distinct ones that have a token; ``assignments``, of tokens to experts; ``slots``,
    places for an expert of all tokens, of which balanced gating leaves some empty; ``groups``, distinct ones whose own
    gate is read, 0 but for hierarchical gating.

    Raises InputError for sizes under 1, another gating, groups that do not divide the experts or that the gating does
    not have, and a top_k beyond the experts of a group.

    Source: Shazeer et al. 2017, arXiv 1701.06538. That experts have no bias, and that both levels of the hierarchy keep
    top_k, are our reading; exact counts are derived.
    """

    layer: ClassVar[str] = "moe-sparse"
    counts: ClassVar[tuple[str, ...]] = ("experts", "assignments", "slots", "groups")
    words: ClassVar[Mapping[str, tuple[str, ...]]] = {"gating": GATINGS}

    experts: int = 16
    top_k: int = 2
    hidden: int = 1024
    gating: str = "noisy"
    groups: int = 1

    def __post_init__(self) -> None:
        check_sizes(self, experts=self.experts, top_k=self.top_k, hidden=self.hidden, groups=self.groups)
        check_words(self)
        if self.groups > 1 and self.gating != "hierarchical":
            raise InputError(
                f"{self.layer} was given groups={self.groups} with gating={self.gating}; use gating=hierarchical, or "
                "leave groups out."
            )
        if self.experts % self.groups:
            raise InputError(
                f"{self.layer} was given groups={self.groups} for {self.experts} experts; give a divisor of "
                f"{self.experts}."
            )
        members = self.experts // self.groups
        if self.top_k > members:
            each = " a group" if self.groups > 1 else ""
            raise InputError(
                f"{self.layer} was given top_k={self.top_k} for {members} experts{each}; give at most {members}."
            )

    @property
    def fixed_routing(self) -> str | None:
        """Any gating but the noisy one: the others decide by two products, or by the whole batch."""
        return None if self.gating == "noisy" else f"gating={self.gating}"

    @property
    def kept_groups(self) -> int:
        """K, groups that a token keeps."""
        return min(self.top_k, self.groups)

    @property
    def active_experts(self) -> int:
        """Experts that a token computes, K k; on average where gating is balanced."""
        return self.kept_groups * self.top_k

    @property
    def weight_parameters(self) -> int:
        """E h (p + q)."""
        return self.experts * self._expert

    @property
    def parameters(self) -> int:
        """The experts and the gate: 2Ep where it is noisy, 2Ep + 2Gp hierarchical, Ep + E balanced."""
        return self.weight_parameters + self._gate.parameters

    def touched_parameters(self, visits: Visits) -> int:
        """The visited experts, and of the gate what evaluation reads: W_g, and the balanced gate's thresholds.

        Of the hierarchy, W_g of the first gate and of the visited groups.
        """
        return self._read(visits, training=False)

    def one_token(self) -> Visits:
        """K k experts in K groups."""
        counts = {
            "experts": self.active_experts,
            "assignments": self.active_experts,
            "slots": self._gate.slots,
            "groups": self._kept_gates,
        }
        return Visits(1, counts)

    def expected_counts(self, tokens: int) -> dict[str, float]:
        """In evaluation E (1 − (1 − K k / E)^N) distinct experts, N K k assignments, G (1 − (1 − K / G)^N) groups."""
        return {
            "experts": self.experts * (1 - (1 - self.active_experts / self.experts) ** tokens),
            "assignments": float(tokens * self.active_experts),
            "slots": float(tokens * self._gate.slots),
            "groups": self.groups * (1 - (1 - self._kept_gates / self.groups) ** tokens),
        }

    def expected_touched_parameters(self, tokens: int) -> float:
        """``touched_parameters`` is linear in the counts, so it is theirs."""
        if not tokens:
            return 0.0
        counts = self.expected_counts(tokens)
        gate = self._gate
        return counts["experts"] * self._expert + gate.always_read(False) + counts["groups"] * gate.read_in_group(False)

    def executed(self, visits: Visits, pass_: str) -> OperationCost:
        """The gate, the experts' products, and in training the gradients of both.

        Only products with the gate's matrices count as gating; its softmax, softplus and noise are overhead.
        """
        tokens, training = visits.tokens, pass_ == "train"
        sizes = tokens, self.in_features, self.out_features, self.hidden, "relu"
        slots, assignments, visited = visits["slots"], visits["assignments"], visits["experts"]
        total = self._gate.forward(tokens, slots, training) + expert_feedforward(
            *sizes, slots=slots, assignments=assignments, visited=visited, itemsize=ANY_ITEMSIZE
        )
        if not training:
            return total
        gradients = expert_feedforward_gradients(
            *sizes, slots=slots, assignments=assignments, visited=visited, experts=self.experts, itemsize=ANY_ITEMSIZE
        )
        return total + gradients + self._gate.backward(tokens, slots)

    def activation_compares(self, visits: Visits, pass_: str) -> int:
        """Those of the units of all assignments."""
        return compares_of("relu", visits["assignments"] * self.hidden, pass_ == "train")

    def compulsory_bytes(self, visits: Visits, pass_: str, itemsize: int) -> int:
        """As the contract; training also reads what makes the noise, and thresholds take no part in it."""
        tokens, p, q = visits.tokens, self.in_features, self.out_features
        moved = tokens * (p + q) + self._read(visits, pass_ == "train")
        if pass_ == "train":
            moved += tokens * (q + p) + self.weight_parameters + self._gate.trained
        return moved * itemsize

    def twin(self) -> Self:
        """The same gate over at most 2 groups of 4 experts."""
        groups, members = min(self.groups, 2), min(self.experts // self.groups, 4)
        return replace(
            self,
            in_features=min(self.in_features, 16),
            out_features=min(self.out_features, 16),
            experts=groups * members,
            top_k=min(self.top_k, members),
            hidden=min(self.hidden, 16),
            groups=groups,
        )

    @property
    def _expert(self) -> int:
        """Elements of an expert's two matrices."""
        return self.hidden * (self.in_features + self.out_features)

    @property
    def _gate(self) -> GateCost:
        sizes = self.in_features, self.experts, self.top_k
        if self.gating == "hierarchical":
            return HierarchicalGateCost(*sizes, self.groups)
        return NoisyGateCost(*sizes) if self.gating == "noisy" else BalancedGateCost(*sizes)

    @property
    def _kept_gates(self) -> int:
        """Gates of a group that a token reads."""
        return self.kept_groups if self.gating == "hierarchical" else 0

    def _read(self, visits: Visits, training: bool) -> int:
        if not visits.tokens:
            return 0
        gate, visited = self._gate, visits["groups"] * self._gate.read_in_group(training)
        return visits["experts"] * self._expert + gate.always_read(training) + visited
