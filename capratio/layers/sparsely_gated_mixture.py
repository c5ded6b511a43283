"""The sparsely-gated mixture of experts: each token goes through the few networks that a gate chooses for it."""

import torch

from capratio.cost.systems.contract import Visits
from capratio.cost.systems.moe_sparse import MoeSparseSpec
from capratio.kernels.backends import AUTO
from capratio.kernels.expert_feedforward import expert_feedforward
from capratio.layers.balanced_gate import BalancedGate
from capratio.layers.conditional_layer import ConditionalLayer, Decisions, Outcome
from capratio.layers.expert_gate import ExpertGate
from capratio.layers.hierarchical_gate import HierarchicalGate
from capratio.layers.initialization import draw_linear, new_table
from capratio.layers.noisy_top_k import NoisyTopKGate


class SparselyGatedMixture(ConditionalLayer):
    """y = Σ_i G(x)_i E_i(x), E_i(x) = W_out,i relu(W_in,i x), computed where G(x)_i > 0; no token is dropped.

    ``gate``: a NoisyTopKGate, HierarchicalGate or BalancedGate. ``weight_in``: (E, h, p). ``weight_out``: (E, q, h).
    Experts have no bias (our reading), and are drawn as nn.Linear draws.

    Decisions and losses are the gate's. Losses are not weighted: the paper adds w_importance · importance + w_load ·
    load. In evaluation there is no noise to smooth the load over, and so no ``load``.

    Of the strictly balanced gate a token may get no expert and the output 0. Evaluation compiles and exports in one
    graph; so does training without a generator, but for the balanced gate, whose shapes depend on the data.

    Args: experts E, top_k k, hidden h: counts. gating: ``noisy``, ``hierarchical`` or ``balanced``. groups: of the
    hierarchical gate. backend: one of ``capratio.kernels.backends.NAMES``.

    Raises InputError as MoeSparseSpec does, and for an unknown backend.

    Source: Shazeer et al. 2017, arXiv 1701.06538.
    """

    operation = "expert_feedforward"
    spec: MoeSparseSpec
    gate: ExpertGate

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        experts: int = 16,
        top_k: int = 2,
        hidden: int = 1024,
        gating: str = "noisy",
        groups: int = 1,
        backend: str = AUTO,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(MoeSparseSpec(in_features, out_features, experts, top_k, hidden, gating, groups), backend)
        self.gate = self._new_gate(device, dtype)
        self.weight_in = new_table((experts, hidden, in_features), device, dtype)
        self.weight_out = new_table((experts, out_features, hidden), device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the experts, and set the gate as training begins."""
        self.gate.reset_parameters()
        draw_linear(self.weight_in, self.in_features)
        draw_linear(self.weight_out, self.spec.hidden)

    @property
    def stochastic(self) -> bool:
        """In training, but for the balanced gate."""
        return self.gate.stochastic

    @property
    def choices(self) -> int:
        """k, experts whose directions a token follows."""
        return self.spec.top_k

    def routing_directions(self) -> torch.Tensor | None:
        """W_g^T of the noisy gate, (E, p); the others decide by two products, or by the whole batch."""
        return self.gate.weight.detach() if isinstance(self.gate, NoisyTopKGate) else None

    def losses(self, outcome: Outcome) -> dict[str, torch.Tensor]:
        """The gate's: ``importance`` and, in training, ``load``; of the balanced gate ``batchwise``."""
        return self.gate.losses(outcome.decisions, outcome.kept)

    def visits(self, decisions: Decisions) -> Visits:
        """Experts, assignments, slots and groups, as ``MoeSparseSpec`` names them."""
        expert = decisions["expert"]
        assigned = expert[expert >= 0]
        counts = {
            "experts": len(torch.unique(assigned)),
            "assignments": assigned.numel(),
            "slots": expert.numel(),
            "groups": len(torch.unique(decisions["group"])) if "group" in decisions else 0,
        }
        return Visits(len(expert), counts)

    def _compute(self, x: torch.Tensor, generator: torch.Generator | None, ids: torch.Tensor | None) -> Outcome:
        routed = self.gate(x, generator)
        out = expert_feedforward(x, self.weight_in, self.weight_out, routed.expert, routed.share, "relu", self.backend)
        return Outcome(out, routed.decisions, routed.kept)

    def _new_gate(self, device: torch.device | str | None, dtype: torch.dtype | None) -> ExpertGate:
        spec = self.spec
        p, experts, top_k, rest = spec.in_features, spec.experts, spec.top_k, (self.backend, device, dtype)
        if spec.gating == "hierarchical":
            return HierarchicalGate(p, experts, spec.groups, top_k, *rest)
        if spec.gating == "balanced":
            return BalancedGate(p, experts, top_k, *rest)
        return NoisyTopKGate(p, experts, top_k, *rest)
