"""Block policy networks that several files of tests look at, with coins that fall as a test wants them."""

from typing import Any

import torch

from capratio.layers.bernoulli_policy import BernoulliPolicy
from capratio.layers.block_policy import BlockPolicyNetwork
from capratio.layers.conditional_layer import Outcome
from capratio.sweep.references.block_policy import BlockPolicyReference
from capratio.sweep.references.contract import Parameters

OPTIONS = [{"hidden_layers": layers, "activation": name} for layers in (1, 2, 3) for name in ("relu", "tanh")]
REFERENCE = BlockPolicyReference()


def drawn(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def built(p: int = 5, q: int = 3, *, dtype: torch.dtype = torch.float64, **options: Any) -> BlockPolicyNetwork:
    """A small network whose coins are near fair."""
    torch.manual_seed(11)
    return BlockPolicyNetwork(p, q, **{"hidden": 6, "blocks": 3, "rate": 0.5} | options, dtype=dtype)


def coins(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def set_coins(layer: BlockPolicyNetwork, *probabilities: float) -> None:
    """Give the blocks of each hidden layer these probabilities, for every token."""
    offset = torch.tensor(layer.spec.rate).logit()
    with torch.no_grad():
        for policy in policies(layer):
            policy.weight.zero_()
            # So far out that a probability of 0 or 1 is exact.
            policy.bias.copy_(torch.tensor(probabilities).logit().clamp(-200, 200) - offset)


def policies(layer: BlockPolicyNetwork) -> list[BernoulliPolicy]:
    return [policy for policy in layer.policies if isinstance(policy, BernoulliPolicy)]


def exact(layer: BlockPolicyNetwork, x: torch.Tensor, outcome: Outcome) -> tuple[torch.Tensor, Parameters]:
    """The reference's outputs under the layer's decisions, and the parameters that it read."""
    parameters = Parameters(layer.state_dict())
    rows = [REFERENCE.output(layer.spec, parameters, x, token, outcome.decisions) for token in range(len(x))]
    return torch.stack(rows) if rows else torch.empty(0, layer.out_features, dtype=torch.float64), parameters
