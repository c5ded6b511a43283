"""What a user would take instead of our layers, as layers (N, p) -> (N, p) that a case file names.

``HuggingFaceMixture`` and ``EmbeddingBagTable`` compute what a layer of ours computes of the same weights, and
``DenseFeedforward`` as much as two experts. The other packages' layers compute something else, which their docstrings
say: their times are what a user of the package waits for, not another way to the same answer.
"""

import math
from functools import lru_cache
from types import SimpleNamespace

import torch
from torch import nn
from torch.nn.functional import linear

from benchmarks.checked_layer import CheckedLayer


class DenseFeedforward(nn.Sequential):
    """y = W_2 relu(W_1 x), without biases: the dense layer of ``hidden`` = top_k times the units of an expert.

    It has as many parameters and FLOP as the experts that a token visits.
    """

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__(nn.Linear(features, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, features, bias=False))


class HuggingFaceMixture(CheckedLayer):
    """y = sum of share_e W_out[e] relu(W_in[e] x) over a router's top_k experts, with the softmax of their logits.

    This is ``moe-sparse`` in evaluation, by the package transformers with its own autograd. implementation: of its
    experts, ``eager``, ``batched_mm`` or ``grouped_mm``.
    """

    def __init__(self, features: int, hidden: int, experts: int, top_k: int, implementation: str) -> None:
        from transformers.models.nemotron_h.modeling_nemotron_h import NemotronHExperts

        super().__init__()
        self.top_k = top_k
        self.router = nn.Linear(features, experts, bias=False)
        self.experts = NemotronHExperts(
            SimpleNamespace(
                n_routed_experts=experts,
                hidden_size=features,
                moe_intermediate_size=hidden,
                moe_latent_size=None,
                mlp_hidden_act="relu",
                _experts_implementation=implementation,
            )
        )
        for matrices in (self.experts.up_proj, self.experts.down_proj):
            nn.init.uniform_(matrices, -1 / math.sqrt(matrices.shape[2]), 1 / math.sqrt(matrices.shape[2]))

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        """As CheckedLayer's."""
        best, chosen = self.router(x).topk(self.top_k)
        out: torch.Tensor = self.experts(x, chosen, best.softmax(1))
        return out

    def expected(self, x: torch.Tensor) -> torch.Tensor:
        """As CheckedLayer's, of the experts that the layer chooses: near ties may fall the other way in float64."""
        chosen = self.router(x.to(self.router.weight.dtype)).topk(self.top_k).indices
        share = linear(x, self.router.weight.double()).gather(1, chosen).softmax(1)
        out = torch.zeros_like(x)
        for expert, (first, second) in enumerate(zip(self.experts.up_proj, self.experts.down_proj, strict=True)):
            factor = (share * (chosen == expert)).sum(1, keepdim=True)
            out += factor * linear(linear(x, first.double()).relu(), second.double())
        return out


class EmbeddingBagTable(CheckedLayer):
    """y = x + the sum of a token's rows, by nn.EmbeddingBag: what ``memory-table`` adds, of rows that are drawn once.

    sparse: whether its gradient is torch's own sparse one, in which a row stands as often as it was looked up.
    """

    def __init__(self, features: int, rows: int, lookups: int, sparse: bool) -> None:
        super().__init__()
        self.bags = nn.EmbeddingBag(rows, features, mode="sum", sparse=sparse)
        self.lookups = lookups

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        """As CheckedLayer's."""
        out: torch.Tensor = x + self.bags(self._rows(x))
        return out

    def expected(self, x: torch.Tensor) -> torch.Tensor:
        """As CheckedLayer's."""
        return x + self.bags.weight.double()[self._rows(x)].sum(1)

    def _rows(self, x: torch.Tensor) -> torch.Tensor:
        return draw_rows(self.bags.num_embeddings, len(x), self.lookups, x.device)


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # A tensor of inference mode could not be trained with.
def draw_rows(rows: int, tokens: int, lookups: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """Rows to look up, (N, m) in 0..rows - 1, the same ones whenever and on whichever device they are asked for."""
    return torch.randint(rows, (tokens, lookups), generator=torch.Generator().manual_seed(0)).to(device)


class DroppingMixture(nn.Module):
    """The package mixture-of-experts: a token beyond an expert's capacity is dropped, which ``moe-sparse`` does not do.

    Two experts a token, both always asked: a second one that is drawn would change the output from call to call.
    """

    def __init__(self, features: int, hidden: int, experts: int) -> None:
        from mixture_of_experts import MoE

        super().__init__()
        kinds = {"second_policy_train": "all", "second_policy_eval": "all"}
        self.net = MoE(features, num_experts=experts, hidden_dim=hidden, activation=nn.ReLU, **kinds)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, p) -> (N, p)."""
        out: torch.Tensor = self.net(x.unsqueeze(0))[0].squeeze(0)
        return out


class StableDroppingMixture(nn.Module):
    """The package st-moe-pytorch: GEGLU experts with biases, which drop tokens beyond their capacity.

    hidden: of a plain expert; a GEGLU expert of the package has two thirds of it, and as many FLOP. Two experts a
    token, both always asked.
    """

    def __init__(self, features: int, hidden: int, experts: int) -> None:
        from st_moe_pytorch import MoE

        super().__init__()
        always = {"threshold_train": 0.0, "threshold_eval": 0.0}
        self.net = MoE(features, num_experts=experts, expert_hidden_mult=hidden // features, **always)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, p) -> (N, p)."""
        out: torch.Tensor = self.net(x.unsqueeze(0)).outputs.squeeze(0)
        return out


class ProductKeys(nn.Module):
    """The package product-key-memory, which normalises the queries of each head, as ``product-key`` does not."""

    def __init__(self, features: int, heads: int, keys: int, top_k: int, key_features: int) -> None:
        from product_key_memory import PKM

        super().__init__()
        self.net = PKM(features, heads=heads, num_keys=keys, topk=top_k, dim_head=key_features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, p) -> (N, p)."""
        out: torch.Tensor = self.net(x.unsqueeze(0)).squeeze(0)
        return out


class SingleNeuronExperts(nn.Module):
    """The package PEER-pytorch: product keys find experts of one neuron, where ``product-key`` adds values."""

    def __init__(self, features: int, heads: int, keys: int, top_k: int) -> None:
        from PEER_pytorch import PEER

        super().__init__()
        self.net = PEER(features, heads=heads, num_experts=keys**2, num_experts_per_head=top_k)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, p) -> (N, p)."""
        out: torch.Tensor = self.net(x.unsqueeze(0)).squeeze(0)
        return out
