"""A product-key memory: two short searches stand for one among all keys, and few of many values are read."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isqrt
from typing import ClassVar, Self

from capratio.cost import op_formulas
from capratio.cost.closed_forms.contract import ANY_ITEMSIZE
from capratio.cost.flop import Flop
from capratio.cost.operation import OperationCost
from capratio.cost.spec import DENSE_GRADIENT, WEIGHT_GRADIENTS
from capratio.cost.systems.contract import SystemSpec, Visits, check_sizes, check_words
from capratio.errors import InputError


@dataclass(frozen=True, slots=True)
class ProductKeySpec(SystemSpec):
    """A memory of K² values, of which each of ``heads`` heads reads the ``top_k`` whose keys fit its query best.

    A key is a pair of sub-keys, one of each of a head's two sets of K = ``keys``; a sub-key has ``key_features``
    elements, half of a query. Values are shared by all heads.

    Symbols beside the contract's: H heads, K keys of a set, k top_k, f key_features. weight_gradient: of the values,
    one of ``capratio.cost.spec.WEIGHT_GRADIENTS``.

    Counts: ``rows``, distinct values.

    Raises InputError for sizes under 1, more ``top_k`` than ``keys``, or an unknown weight_gradient.

    Source: Lample et al. 2019, arXiv 1907.05242, section 3; our reading. The batch norm of the queries, which the paper
    offers, is left out.
    """

    layer: ClassVar[str] = "product-key"
    counts: ClassVar[tuple[str, ...]] = ("rows",)
    words: ClassVar[Mapping[str, tuple[str, ...]]] = {"weight_gradient": WEIGHT_GRADIENTS}

    heads: int = 4
    keys: int = 128
    top_k: int = 8
    key_features: int = 64
    weight_gradient: str = DENSE_GRADIENT

    def __post_init__(self) -> None:
        check_sizes(self, heads=self.heads, keys=self.keys, top_k=self.top_k, key_features=self.key_features)
        check_words(self)
        if self.top_k > self.keys:
            raise InputError(
                f"{self.layer} was given top_k={self.top_k} of keys={self.keys}; choose at most all sub-keys of a set."
            )

    @property
    def fixed_routing(self) -> str | None:
        """Several heads, each with vectors of its own."""
        return None if self.heads == 1 else f"heads={self.heads}"

    @property
    def values(self) -> int:
        """Rows of the memory, K²."""
        return self.keys**2

    @property
    def lookups(self) -> int:
        """Values that a token reads, H k, of which heads may share some."""
        return self.heads * self.top_k

    @property
    def pairs(self) -> int:
        """Pairs of the i-th and the j-th highest sub-key that can be among the k highest: those with i j <= k."""
        # Those with i up to the root, and those with j up to it, less those with both, which are in either.
        root = isqrt(self.top_k)
        return 2 * sum(self.top_k // i for i in range(1, root + 1)) - root**2

    @property
    def query_features(self) -> int:
        """Elements of all heads' queries, 2 H f."""
        return 2 * self.heads * self.key_features

    @property
    def weight_parameters(self) -> int:
        """Elements of all values, K² q."""
        return self.values * self.out_features

    @property
    def parameters(self) -> int:
        """Those of the values, of the query projection, 2 H f p, and of the sub-keys, 2 H K f."""
        return self.weight_parameters + self._routing_parameters

    def touched_parameters(self, visits: Visits) -> int:
        """The values that are read, the query projection and all sub-keys."""
        return visits["rows"] * self.out_features + self._routing_parameters * min(visits.tokens, 1)

    def one_token(self) -> Visits:
        """As many values as a token looks up."""
        return Visits(1, {"rows": min(self.lookups, self.values)})

    def expected_counts(self, tokens: int) -> dict[str, float]:
        """Each of K² values is missed by a head with probability 1 - k/K²."""
        return {"rows": self.values * (1 - (1 - self.top_k / self.values) ** (tokens * self.heads))}

    def expected_touched_parameters(self, tokens: int) -> float:
        """The expected values, the query projection and all sub-keys."""
        return self.expected_counts(tokens)["rows"] * self.out_features + self._routing_parameters * min(tokens, 1)

    def executed(self, visits: Visits, pass_: str) -> OperationCost:
        """The steps of the search, then 2 N H k q product FLOP, to scale the values and to add them.

        Queries and scores of sub-keys are gating, and so are their gradients; sums of scores and the softmax, which
        torch computes, are overhead. train: the gradients of both.
        """
        tokens = visits.tokens
        lookup = op_formulas.row_lookup(tokens, self.out_features, self.lookups, shared=True, itemsize=ANY_ITEMSIZE)
        cost = self._scores(tokens) + self._choice(tokens) + lookup
        return cost + self._gradients(tokens) if pass_ == "train" else cost

    def compulsory_bytes(self, visits: Visits, pass_: str, itemsize: int) -> int:
        """As the contract says; where the weight gradient is ``touched``, that of the values that are read alone."""
        tokens = visits.tokens * (self.in_features + self.out_features)
        touched = self.touched_parameters(visits)
        elements = tokens + touched
        if pass_ == "train":
            elements += tokens + (self.parameters if self.weight_gradient == DENSE_GRADIENT else touched)
        return elements * itemsize

    def twin(self) -> Self:
        """At most 16 features, sub-keys and choices, and 4 heads."""
        names = ("in_features", "out_features", "keys", "top_k", "key_features")
        return replace(self, heads=min(self.heads, 4), **{name: min(getattr(self, name), 16) for name in names})

    @property
    def _routing_parameters(self) -> int:
        return self.query_features * self.in_features + 2 * self.heads * self.keys * self.key_features

    def _scores(self, tokens: int) -> OperationCost:
        """Queries, 2 N p (2 H f), and scores of 2 H sets of sub-keys, 2 N f K each: gating FLOP."""
        queries = op_formulas.router_logits(tokens, self.in_features, self.query_features, itemsize=ANY_ITEMSIZE)
        scores = op_formulas.router_logits(tokens, self.key_features, 2 * self.heads * self.keys, itemsize=ANY_ITEMSIZE)
        return queries + scores

    def _choice(self, tokens: int) -> OperationCost:
        """For each head of a token: k of K by a sort, twice; a sum of each pair (1 overhead FLOP), k of them by a sort;
        a softmax of k (4k - 1, and k - 1 compares); and 2k steps from places to rows.
        """
        k, sort = self.top_k, op_formulas.sort_operations
        steps = 2 * sort(self.keys) + sort(self.pairs) + k - 1 + 2 * k
        choices = tokens * self.heads
        return OperationCost(Flop(overhead=choices * (self.pairs + 4 * k - 1)), choices * steps)

    def _gradients(self, tokens: int) -> OperationCost:
        """To the values and the shares, 2 N H k q product FLOP each; through the softmax, 4k - 1 a head; to the scores
        of both halves an add for each pair; each product of the search has two.
        """
        given = tokens, self.out_features, self.lookups
        rows = self.values
        if self.weight_gradient == DENSE_GRADIENT:
            values = op_formulas.row_lookup_table_gradient(*given, rows=rows, shared=True, itemsize=ANY_ITEMSIZE)
        else:
            values = op_formulas.row_lookup_touched_gradient(*given, rows=rows, shared=True, itemsize=ANY_ITEMSIZE)
            places = op_formulas.sparse_table_operations(tokens * self.lookups, rows, own_trees=False)
            values += OperationCost(routing_operations=places)
        shares = op_formulas.row_lookup_share_gradient(*given, itemsize=ANY_ITEMSIZE)
        k = self.top_k
        choice = OperationCost(Flop(overhead=tokens * self.heads * (4 * k - 1 + 2 * self.pairs)))
        return values + shares + choice + self._scores(tokens) + self._scores(tokens)
