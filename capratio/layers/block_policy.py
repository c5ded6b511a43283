"""A network whose hidden units live and die in blocks, as a learned policy decides for each token."""

import torch
from torch import nn

from capratio.cost.systems.block_policy import BlockPolicySpec
from capratio.cost.systems.contract import Visits
from capratio.kernels.backends import AUTO
from capratio.kernels.block_linear import block_linear
from capratio.kernels.precision import sum_dtype
from capratio.layers.bernoulli_policy import BernoulliPolicy, flip_coins
from capratio.layers.conditional_layer import ConditionalLayer, Decisions, Outcome
from capratio.layers.initialization import draw_linear, new_table
from capratio.layers.input_check import as_autocast
from capratio.layers.rate_losses import batch_rate, example_rate, negative_variance
from capratio.layers.reinforce import Baseline, reinforce_surrogate


class BlockPolicyNetwork(ConditionalLayer):
    """p -> [hidden] × hidden_layers -> q; of each hidden layer a token computes the blocks that its coins chose.

    Layer l: σ_l = sigmoid(Z_l h_{l−1} + d_l), u_l ~ Bernoulli(σ_l), each entry repeated hidden / blocks times, and
    h_l = f(W_l h_{l−1} + b_l) ⊙ u_l; then out = V h_L + c. f(0) = 0, so the mask may stand before f, where the product
    leaves dead blocks out. The input and the output are not masked. Coins are flipped in training and in evaluation
    alike.

    ``weights``: W_1..W_L, V. ``biases``: b_1..b_L, c. All are drawn as nn.Linear draws. ``policies``: of Z_l and d_l.

    Decisions are constants of the output: a loss on it trains weights and biases alone. The policies learn from
    ``policy_surrogate`` and from ``losses``, and neither reaches beyond the policy's input (our reading). Decisions:
    ``live``, bool (N, L, blocks), and ``uniform``, the draws in [0, 1) that were held against σ. Kept: ``logits``,
    (N, L, blocks), float32 for half precision.

    Gradients of weights are dense, zero in blocks that no token visits; ``capratio.kernels.block_linear``'s
    ``block_linear_touched`` gives those of touched blocks alone. The table of a layer's hidden units, N x hidden, is
    held whole, dead ones too.

    Compiles and exports in one graph without a generator; torch's compiler takes none.

    Args: hidden: units of a hidden layer. blocks: of a hidden layer, all of one size. hidden_layers L. rate: target
    rate τ, between 0 and 1. activation f: ``relu`` or ``tanh``. backend: of the products.

    Raises InputError for sizes under 1, blocks that do not divide the hidden units, a rate that is not between 0 and 1,
    or another activation or backend.

    Source: Bengio, Bacon, Pineau & Precup 2015, arXiv 1511.06297.
    """

    operation = "block_linear"
    spec: BlockPolicySpec

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        hidden: int = 1024,
        blocks: int = 16,
        hidden_layers: int = 1,
        rate: float = 1 / 16,
        activation: str = "relu",
        backend: str = AUTO,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        spec = BlockPolicySpec(in_features, out_features, hidden, blocks, hidden_layers, rate, activation)
        super().__init__(spec, backend)
        widths = spec.widths
        self.weights = nn.ParameterList(new_table((q, p), device, dtype) for p, q in widths)
        self.biases = nn.ParameterList(new_table((q,), device, dtype) for _, q in widths)
        self.policies = nn.ModuleList(
            BernoulliPolicy(p, blocks, rate, device=device, dtype=dtype) for p, _ in widths[:-1]
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights and biases, and the policies at their target rate."""
        for weight, bias in zip(self.weights, self.biases, strict=True):
            draw_linear(weight, weight.shape[1])
            draw_linear(bias, weight.shape[1])
        for policy in self.policies:
            assert isinstance(policy, BernoulliPolicy)
            policy.reset_parameters()

    @property
    def stochastic(self) -> bool:
        """Always: coins are flipped in evaluation too."""
        return True

    def losses(self, outcome: Outcome) -> dict[str, torch.Tensor]:
        """The paper's L_b as ``batch_rate``, L_e as ``example_rate``, L_v as ``negative_variance``, summed over layers.

        They are not weighted: the paper adds λ_s (L_b + L_e) + λ_v L_v.
        """
        probability = torch.sigmoid(outcome.kept["logits"])
        return {
            "batch_rate": batch_rate(probability, self.spec.rate),
            "example_rate": example_rate(probability, self.spec.rate),
            "negative_variance": negative_variance(probability),
        }

    def visits(self, decisions: Decisions) -> Visits:
        """Live blocks, and pairs of a live input block and a live output block, as ``BlockPolicySpec`` names them."""
        live = decisions["live"]
        alive = live.sum(-1)
        before, after = live[:, :-1].float(), live[:, 1:].float()
        counts = {
            "first_pairs": alive[:, 0].sum(),
            "middle_pairs": (alive[:, :-1] * alive[:, 1:]).sum(),
            "last_pairs": alive[:, -1].sum(),
            "live_blocks": alive.sum(),
            "distinct_first": live[:, 0].any(0).sum(),
            "distinct_middle": (torch.einsum("nla,nlb->lab", before, after) > 0).sum(),
            "distinct_last": live[:, -1].any(0).sum(),
            "distinct_blocks": live.any(0).sum(),
        }
        return Visits(len(live), {name: int(count) for name, count in counts.items()})

    def _compute(self, x: torch.Tensor, generator: torch.Generator | None, ids: torch.Tensor | None) -> Outcome:
        tokens, layers, blocks = x.shape[0], self.spec.hidden_layers, self.spec.blocks
        uniform = x.new_empty(tokens, layers, blocks, dtype=sum_dtype(self.dtype)).uniform_(generator=generator)
        whole = torch.ones(tokens, 1, dtype=torch.bool, device=x.device)
        h, live_in, logits, lives = x.to(self.dtype), whole, [], []
        for layer, policy in enumerate(self.policies):
            logits.append(policy(h))
            live = flip_coins(logits[layer], uniform[:, layer])
            h = self._activate(self._product(layer, h, live_in, live))
            live_in = live
            lives.append(live)
        out = self._product(layers, h, live_in, whole)
        decisions = {"live": torch.stack(lives, 1), "uniform": uniform}
        return Outcome(as_autocast(out), decisions, {"logits": torch.stack(logits, 1)})

    def _product(self, layer: int, h: torch.Tensor, live_in: torch.Tensor, live_out: torch.Tensor) -> torch.Tensor:
        return block_linear(h, self.weights[layer], self.biases[layer], live_in, live_out, self.backend)

    def _activate(self, h: torch.Tensor) -> torch.Tensor:
        # In place: of few live blocks, fresh memory for the whole table would cost more than both products.
        return torch.relu_(h) if self.spec.activation == "relu" else torch.tanh_(h)


def policy_surrogate(outcome: Outcome, cost: torch.Tensor, baseline: Baseline | None = None) -> torch.Tensor:
    """A scalar whose gradient to the policies is mean_i (c_i − b) ∇ log π(u_i), by which they lower the expected cost.

    Args: outcome: of ``BlockPolicyNetwork.outcome``. cost: (N,), such as −log P(y|x), taken as a constant. baseline: as
    ``reinforce_surrogate``; update it afterwards with ``update_baseline``.

    Raises InputError where there is not one cost for each token.
    """
    return reinforce_surrogate(outcome.kept["logits"], outcome.decisions["live"], cost, baseline)


def update_baseline(baseline: Baseline, outcome: Outcome, cost: torch.Tensor) -> None:
    """Let a baseline see a batch, after its surrogate was taken. Args: as ``policy_surrogate``."""
    baseline.update(outcome.kept["logits"], outcome.decisions["live"], cost)
