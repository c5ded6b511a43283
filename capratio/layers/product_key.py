"""The product-key memory: of K² values each head reads those whose pairs of sub-keys score highest with its query."""

import torch

from capratio.cost.spec import DENSE_GRADIENT
from capratio.cost.systems.contract import Visits
from capratio.cost.systems.product_key import ProductKeySpec
from capratio.kernels.backends import AUTO
from capratio.kernels.router_logits import router_logits
from capratio.kernels.row_lookup import row_lookup
from capratio.layers.conditional_layer import ConditionalLayer, Decisions, Outcome
from capratio.layers.initialization import draw_linear, new_table


class ProductKeyMemory(ConditionalLayer):
    """y = sum over heads h and their chosen pairs (i, j) of s_hij values[i keys + j].

    A head's query is W_h x in two halves, u and v; the pair (i, j) scores u . a_hi + v . b_hj with its sub-keys. The
    ``top_k`` pairs of all keys² with the highest scores lie among the pairs of the ``top_k`` highest of either half,
    and are found there: among those of the i-th and the j-th highest with i j <= top_k, since i j - 1 pairs score no
    lower. s is the softmax of their scores.

    ``query``: (2 heads key_features, p), of each head the rows of u, then those of v. ``sub_keys``: (heads, 2, keys,
    key_features), all a, then all b of a head. ``values``: (keys², q), shared by all heads. Scores and softmax of half
    precision are float32. Queries have neither a bias nor the paper's batch norm, by which more of the values are used.

    Decisions: ``rows``, int64 (N, heads top_k), of the values, of each head the highest first, of equal ones any.

    Compiles and exports in one graph.

    Args: weight_gradient: of the values, ``dense``, or ``touched``: a sparse tensor of the rows that were read, eager
    and of first order. backend: of the operations.

    Raises InputError for sizes under 1, more ``top_k`` than ``keys``, or an unknown weight_gradient.

    Source: Lample et al. 2019, arXiv 1907.05242, section 3; our reading.
    """

    operation = "row_lookup"
    spec: ProductKeySpec
    ranks: torch.Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        heads: int = 4,
        keys: int = 128,
        top_k: int = 8,
        key_features: int = 64,
        weight_gradient: str = DENSE_GRADIENT,
        backend: str = AUTO,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        spec = ProductKeySpec(in_features, out_features, heads, keys, top_k, key_features, weight_gradient)
        super().__init__(spec, backend)
        self.query = new_table((spec.query_features, in_features), device, dtype)
        self.sub_keys = new_table((heads, 2, keys, key_features), device, dtype)
        self.values = new_table((spec.values, out_features), device, dtype)
        # Which of each half's highest sub-keys, counted from 0, the pairs are of.
        self.register_buffer("ranks", torch.empty(2, spec.pairs, dtype=torch.int64, device=device))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the projection as nn.Linear's, sub-keys from U(±1/sqrt(key_features)), values from N(0, 1/q).

        Source: the authors' code, our recollection.
        """
        draw_linear(self.query, self.in_features)
        draw_linear(self.sub_keys, self.spec.key_features)
        torch.nn.init.normal_(self.values, std=self.out_features**-0.5)
        ranks = [(i, j) for i in range(self.spec.top_k) for j in range(self.spec.top_k // (i + 1))]
        self.ranks.copy_(torch.tensor(ranks).T)

    @property
    def choices(self) -> int:
        """Values that a head chooses."""
        return self.spec.top_k

    def routing_directions(self) -> torch.Tensor | None:
        """Of one head: the vector of each value, W^T (a_i, b_j), whose product with a token is the value's score."""
        if self.spec.heads > 1:
            return None
        first, second = self.query.detach().view(2, self.spec.key_features, self.in_features)
        left, right = self.sub_keys.detach()[0]
        pairs: torch.Tensor = (left @ first).unsqueeze(1) + right @ second
        return pairs.flatten(0, 1)

    def visits(self, decisions: Decisions) -> Visits:
        """Distinct values."""
        rows = decisions["rows"]
        return Visits(len(rows), {"rows": torch.unique(rows).numel()})

    def _compute(self, x: torch.Tensor, generator: torch.Generator | None, ids: torch.Tensor | None) -> Outcome:
        scores, rows = self._choose(self._sub_scores(x))
        share = scores.softmax(2).flatten(1).to(x.dtype)
        out = row_lookup(self.values, rows.flatten(1), share, self.backend, self.spec.weight_gradient)
        return Outcome(out, {"rows": rows.flatten(1)})

    def _sub_scores(self, x: torch.Tensor) -> torch.Tensor:
        """The scores of both halves with their sub-keys, (N, p) -> (N, heads, 2, keys)."""
        spec = self.spec
        queries = router_logits(x, self.query, self.backend)
        halves = queries.view(x.shape[0], 2 * spec.heads, spec.key_features).unbind(1)
        sets = self.sub_keys.to(queries.dtype).flatten(0, 1).unbind(0)
        scores = [router_logits(half, own, self.backend) for half, own in zip(halves, sets, strict=True)]
        return torch.stack(scores, 1).view(x.shape[0], spec.heads, 2, spec.keys)

    def _choose(self, scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The highest pairs of each head with their scores: (N, heads, 2, keys) -> (N, heads, top_k), twice."""
        best, place = scores.topk(self.spec.top_k, 3)
        (first, second), (left, right) = best.unbind(2), self.ranks
        sums = _pick(first, left) + _pick(second, right)
        highest, pair = sums.topk(self.spec.top_k, 2)
        i, j = place.unbind(2)
        return highest, i.gather(2, left[pair]) * self.spec.keys + j.gather(2, right[pair])


def _pick(ranked: torch.Tensor, ranks: torch.Tensor) -> torch.Tensor:
    """Entries of the last dimension, some of them often: (N, heads, top_k), (P,) -> (N, heads, P)."""
    # Each gradient adds in a fixed order on one kind of device and not on the other.
    return ranked[:, :, ranks] if ranked.is_cuda else ranked.index_select(2, ranks)
