"""External memory tables: a look-up finds entries for each token, a consumption takes them in."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import ClassVar, Self

from capratio.cost.op_formulas.expert_feedforward import compares_of
from capratio.cost.operation import OperationCost
from capratio.cost.spec import DENSE_GRADIENT, WEIGHT_GRADIENTS
from capratio.cost.systems.contract import SystemSpec, Visits, check_seed, check_sizes, check_words, defaults
from capratio.cost.systems.memory_table_steps import TableSizes, consumption_cost, lookup_cost
from capratio.errors import InputError

LOOKUPS = ("ids", "sign-lsh", "euclidean-lsh", "softmax")
CONSUMPTIONS = ("add", "concat", "expert")
# Bytes of a token's id and of a multiplier, int64.
ID_BYTES = 8

# The options of some look-ups or consumptions alone: what they belong to.
_BELONGS = {
    "top_k": ("lookup", ("softmax",)),
    "width": ("lookup", ("euclidean-lsh",)),
    "projections": ("lookup", ("euclidean-lsh",)),
    "seed": ("lookup", ("sign-lsh", "euclidean-lsh")),
    "rank": ("consumption", ("expert",)),
    "weight_gradient": ("consumption", ("add", "concat")),
}


@dataclass(frozen=True, slots=True)
class MemoryTableSpec(SystemSpec):
    """A memory of ``tables`` x ``entries`` entries, of which a token reads one a table, or ``top_k`` by softmax.

    lookup: how entries are found. ``ids``: the token's id. ``sign-lsh``: the signs of m = log2(entries) fixed
    projections. ``euclidean-lsh``: floor((a . x + b) / width) of fixed ``projections``, combined. ``softmax``: the
    ``top_k`` highest of x . router. consumption: what is done with them. ``add``: y = x + entries. ``concat``: y = [x,
    entries], of q - p elements. ``expert``: y = x + V relu(U^T x), U and V of ``rank`` columns. seed: of what is fixed.
    weight_gradient: of added or concatenated tables, one of ``capratio.cost.spec.WEIGHT_GRADIENTS``.

    Counts: ``entries``, distinct ones of all tables.

    Raises InputError for sizes under 1, words that are not known, sizes that do not fit the look-up or the consumption,
    and an option that another look-up or consumption has.

    Source: Baykal et al. 2023, arXiv 2302.00003; hashes of arXiv 2208.04461. The expert and softmax are our reading.
    """

    layer: ClassVar[str] = "memory-table"
    counts: ClassVar[tuple[str, ...]] = ("entries",)
    words: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "lookup": LOOKUPS,
        "consumption": CONSUMPTIONS,
        "weight_gradient": WEIGHT_GRADIENTS,
    }

    lookup: str = "sign-lsh"
    consumption: str = "add"
    entries: int = 1024
    tables: int = 1
    top_k: int = 2
    rank: int = 4
    width: float = 1.0
    projections: int = 1
    seed: int = 0
    weight_gradient: str = DENSE_GRADIENT

    def __post_init__(self) -> None:
        check_words(self)
        # First, so that whoever gives an option that is not there at all is told so, and not its smallest value.
        self._check_options()
        check_sizes(
            self,
            entries=self.entries,
            tables=self.tables,
            top_k=self.top_k,
            rank=self.rank,
            projections=self.projections,
        )
        self._check_lookup()
        self._check_out_features()

    @classmethod
    def usual_out_features(cls, in_features: int, options: Mapping[str, str]) -> int:
        """p, and of a concatenation 2p: the token, and behind it entries of its width."""
        return 2 * in_features if options.get("consumption") == "concat" else in_features

    @property
    def fixed_routing(self) -> str | None:
        """Euclidean hashes, several tables that x decides for, or entries that no sign tells apart."""
        if self.lookup == "ids":
            return None
        if self.lookup == "euclidean-lsh":
            return f"lookup={self.lookup}"
        if self.tables > 1:
            return f"tables={self.tables}"
        return "entries=1" if self.lookup == "sign-lsh" and self.entries == 1 else None

    @property
    def bits(self) -> int:
        """Projections m of one table's hash by signs: entries = 2^m."""
        return self.entries.bit_length() - 1

    @property
    def lookups(self) -> int:
        """Entries that a token reads, of all tables."""
        return self.tables * (self.top_k if self.lookup == "softmax" else 1)

    @property
    def entry_features(self) -> int:
        """Elements that are added to a token, or concatenated with it."""
        return self.out_features - self.in_features if self.consumption == "concat" else self.out_features

    @property
    def router_parameters(self) -> int:
        """Elements that choose entries and are learned."""
        return self.tables * self.entries * self.in_features if self.lookup == "softmax" else 0

    @property
    def weight_parameters(self) -> int:
        """Elements of all entries."""
        return self.tables * self.entries * self._entry_parameters

    @property
    def parameters(self) -> int:
        """Elements of all entries and of the router."""
        return self.weight_parameters + self.router_parameters

    def touched_parameters(self, visits: Visits) -> int:
        """Elements of the entries that are read, and all of the router."""
        return visits["entries"] * self._entry_parameters + self.router_parameters * min(visits.tokens, 1)

    def one_token(self) -> Visits:
        """A token reads as many entries as it looks up."""
        return Visits(1, {"entries": self.lookups})

    def expected_counts(self, tokens: int) -> dict[str, float]:
        """Each of an entry's table's E is missed by a token with probability 1 - 1/E (1 - k/E of a router's k)."""
        chosen = self.lookups // self.tables
        return {"entries": self.tables * self.entries * (1 - (1 - chosen / self.entries) ** tokens)}

    def expected_touched_parameters(self, tokens: int) -> float:
        """The expected entries, and all of the router."""
        entries = self.expected_counts(tokens)["entries"]
        return entries * self._entry_parameters + self.router_parameters * min(tokens, 1)

    def executed(self, visits: Visits, pass_: str) -> OperationCost:
        """The steps of the look-up and of the consumption, as ``capratio.cost.systems.memory_table_steps`` lists them.

        Projections that choose are gating; the arithmetic of a softmax is overhead. train: the gradients of both, and
        p adds a token for each further use of x.
        """
        train, sizes = pass_ == "train", self._sizes(visits)
        return lookup_cost(self.lookup, sizes, train) + consumption_cost(self.consumption, sizes, train)

    def activation_compares(self, visits: Visits, pass_: str) -> int:
        """Those of the units of all experts that tokens look up."""
        units = visits.tokens * self.lookups * self.rank if self.consumption == "expert" else 0
        return compares_of("relu", units, pass_ == "train")

    def compulsory_bytes(self, visits: Visits, pass_: str, itemsize: int) -> int:
        """As the contract says; the token's ids and what is fixed of a hash are read too.

        Where the weight gradient is ``touched``, that of the entries that are read is written alone.
        """
        tokens = visits.tokens * (self.in_features + self.out_features)
        touched = self.touched_parameters(visits)
        elements = tokens + touched + self._fixed_elements * min(visits.tokens, 1)
        if pass_ == "train":
            elements += tokens + (self.parameters if self.weight_gradient == DENSE_GRADIENT else touched)
        side = {"ids": visits.tokens, "euclidean-lsh": self.projections * min(visits.tokens, 1)}
        return elements * itemsize + side.get(self.lookup, 0) * ID_BYTES

    def twin(self) -> Self:
        """At most 16 features, entry features, entries, tables and columns of an expert."""
        p = min(self.in_features, 16)
        sizes = {name: min(getattr(self, name), 16) for name in ("entries", "tables", "top_k", "rank", "projections")}
        added = min(self.entry_features, 16) if self.consumption == "concat" else 0
        return replace(self, in_features=p, out_features=p + added, **sizes)

    @property
    def _entry_parameters(self) -> int:
        return 2 * self.rank * self.in_features if self.consumption == "expert" else self.entry_features

    @property
    def _fixed_elements(self) -> int:
        """Hyperplanes of the signs; directions and offsets of the Euclidean hash."""
        if self.lookup == "sign-lsh":
            return self.tables * self.bits * self.in_features
        return self.tables * self.projections * (self.in_features + 1) if self.lookup == "euclidean-lsh" else 0

    def _sizes(self, visits: Visits) -> TableSizes:
        return TableSizes(
            tokens=visits.tokens,
            visited=visits["entries"],
            in_features=self.in_features,
            entry_features=self.entry_features,
            tables=self.tables,
            entries=self.entries,
            lookups=self.lookups,
            bits=self.bits,
            projections=self.projections,
            rank=self.rank,
            shared=self.lookup == "softmax",
            touched=self.weight_gradient != DENSE_GRADIENT,
        )

    def _check_options(self) -> None:
        usual = defaults(type(self))
        for name, (part, words) in _BELONGS.items():
            if getattr(self, name) != usual[name] and getattr(self, part) not in words:
                raise InputError(
                    f"{self.layer} was given {name}={getattr(self, name)!r} with {part}={getattr(self, part)!r}, which "
                    f"has no such option; leave it out, or use {part}={' or '.join(map(repr, words))}."
                )
        if not 0 < self.width < inf:
            raise InputError(f"{self.layer} was given width={self.width}; give a bucket's width, above 0 and finite.")
        check_seed(self, self.seed)

    def _check_lookup(self) -> None:
        if self.lookup == "sign-lsh" and self.entries != 2**self.bits:
            raise InputError(
                f"{self.layer} was given entries={self.entries} with lookup='sign-lsh', whose m signs tell 2^m entries "
                f"apart; give a power of 2, such as {2**self.bits}."
            )
        if self.lookup == "softmax" and self.top_k > self.entries:
            raise InputError(
                f"{self.layer} was given top_k={self.top_k} of entries={self.entries}; choose at most all of a table's."
            )

    def _check_out_features(self) -> None:
        p, q = self.in_features, self.out_features
        if self.consumption == "concat" and q <= p:
            raise InputError(
                f"{self.layer} was given out_features={q} with consumption='concat', which puts an entry behind the "
                f"{p} in_features; give at least {p + 1}."
            )
        if self.consumption != "concat" and q != p:
            raise InputError(
                f"{self.layer} was given out_features={q} with consumption={self.consumption!r}, which adds to the {p} "
                f"in_features; give {p}, or use consumption='concat'."
            )
