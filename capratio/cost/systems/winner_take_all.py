"""A dense layer with a memory of rows that winner-take-all hashes of the token find."""

from dataclasses import dataclass, replace
from math import log2
from typing import ClassVar, Self

from capratio.cost.closed_forms.contract import ANY_ITEMSIZE
from capratio.cost.flop import Flop
from capratio.cost.op_formulas import row_lookup, row_lookup_table_gradient, sort_operations
from capratio.cost.op_formulas.routing import INDEX_BYTES
from capratio.cost.operation import OperationCost
from capratio.cost.systems.compulsory import plain_compulsory_bytes
from capratio.cost.systems.contract import SystemSpec, Visits, check_seed, check_sizes
from capratio.cost.systems.dense_steps import linear, linear_gradients
from capratio.errors import InputError

# Buckets are numbered in int64.
MOST_BITS = 62


@dataclass(frozen=True, slots=True)
class WinnerTakeAllSpec(SystemSpec):
    """A dense layer p -> q, to which each of ``tables`` L adds the rows of ``probes`` P of its buckets.

    A hash is the place of the highest of ``window`` m features, drawn with ``seed`` for each hash; K ``hashes`` number
    one of a table's m^K buckets. The first probe is that bucket; the next ones flip one hash to its runner-up, the one
    with the smallest margin first.

    Counts: ``rows``, distinct rows of all tables; ``lookups``, N L P.

    Raises InputError for sizes under 1, a window wider than p, more probes than hashes to flip allow (K + 1; 1 where
    the window has no runner-up), more buckets than int64 numbers, or a seed that torch does not take.

    Source: hashes and probes as of TENNOR 2026 and SLIDE; a bucket that holds one row, added to a dense layer, is our
    reading.
    """

    layer: ClassVar[str] = "winner-take-all"
    counts: ClassVar[tuple[str, ...]] = ("rows", "lookups")

    window: int = 8
    hashes: int = 4
    tables: int = 2
    probes: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        check_sizes(self, window=self.window, hashes=self.hashes, tables=self.tables, probes=self.probes)
        if self.window > self.in_features:
            raise InputError(
                f"{self.layer} was given window={self.window} of in_features={self.in_features}; a hash compares that "
                "many distinct features, give at most all of them."
            )
        most = self.hashes + 1 if self.window > 1 else 1
        if self.probes > most:
            raise InputError(
                f"{self.layer} was given probes={self.probes} with hashes={self.hashes} and window={self.window}; each "
                f"probe after the first flips a hash of its own to its runner-up, give at most {most}."
            )
        if self.window > 1 and self.hashes > (most_hashes := int(MOST_BITS / log2(self.window))):
            raise InputError(
                f"{self.layer} was given window={self.window} and hashes={self.hashes}; the number of a bucket, of "
                f"window^hashes, has at most {MOST_BITS} bits: give at most {most_hashes} hashes, or a smaller window."
            )
        check_seed(self, self.seed)

    @property
    def buckets(self) -> int:
        """Rows of one table, m^K."""
        count: int = self.window**self.hashes
        return count

    @property
    def lookups(self) -> int:
        """Rows that are added for a token, L P."""
        return self.tables * self.probes

    @property
    def weight_parameters(self) -> int:
        """p q + L m^K q."""
        return (self.in_features + self.tables * self.buckets) * self.out_features

    @property
    def parameters(self) -> int:
        """Those, and the bias."""
        return self.weight_parameters + self.out_features

    def touched_parameters(self, visits: Visits) -> int:
        """The dense layer, and each row that is looked up."""
        return self._dense_parameters * min(visits.tokens, 1) + visits["rows"] * self.out_features

    def one_token(self) -> Visits:
        """P distinct rows of each table."""
        return Visits(1, {"rows": self.lookups, "lookups": self.lookups})

    def expected_counts(self, tokens: int) -> dict[str, float]:
        """A row is among a token's P of its table's m^K with probability P / m^K."""
        missed = (1 - self.probes / self.buckets) ** tokens
        return {"rows": self.tables * self.buckets * (1 - missed), "lookups": float(tokens * self.lookups)}

    def expected_touched_parameters(self, tokens: int) -> float:
        """The dense layer, and the expected rows."""
        return self._dense_parameters * min(tokens, 1) + self.expected_counts(tokens)["rows"] * self.out_features

    def twin(self) -> Self:
        """At most 16 features, 4 of a window, 2 hashes, 2 tables and 3 probes."""
        p, q = min(self.in_features, 16), min(self.out_features, 16)
        parts = {"window": 4, "hashes": 2, "tables": 2, "probes": 3}
        small = {name: min(getattr(self, name), most) for name, most in parts.items()}
        small["probes"] = min(small["probes"], small["hashes"] + 1)
        return replace(self, in_features=p, out_features=q, **small)

    def executed(self, visits: Visits, pass_: str) -> OperationCost:
        """2Npq product FLOP and N q to add the bias; overhead N L P q to add rows, up and to the dense layer's output.

        train: the dense layer's gradients, and N L P q to add the output's gradient to each row that was looked up.
        Hashes have no gradient.
        """
        tokens, p, q = visits.tokens, self.in_features, self.out_features
        total = linear(tokens, p, q) + self._hashing(tokens)
        total += row_lookup(tokens, q, self.lookups, shared=False, itemsize=ANY_ITEMSIZE)
        total += OperationCost(Flop(overhead=tokens * q))
        if pass_ != "train":
            return total
        rows = self.tables * self.buckets
        return (
            total
            + linear_gradients(tokens, p, q)
            + row_lookup_table_gradient(tokens, q, self.lookups, rows=rows, shared=False, itemsize=ANY_ITEMSIZE)
        )

    def compulsory_bytes(self, visits: Visits, pass_: str, itemsize: int) -> int:
        """As the contract says; the numbers of the windows' features are read too."""
        numbers = self.tables * self.hashes * self.window * min(visits.tokens, 1)
        return plain_compulsory_bytes(self, visits, pass_, itemsize) + numbers * INDEX_BYTES

    @property
    def _dense_parameters(self) -> int:
        return (self.in_features + 1) * self.out_features

    def _hashing(self, tokens: int) -> OperationCost:
        """Routing of each token and table: m - 1 compares a hash for its winner, K - 1 multiplies and adds for each
        probe's bucket, and an add for its row behind the tables before it.

        With further probes: m - 1 compares a hash for its runner-up, a sort of the K margins, and for each further
        probe a compare and a choice of each hash. Overhead: K subtractions for the margins, of hashing though it is.
        """
        places = tokens * self.tables
        compares = self.hashes * (self.window - 1)
        bucket = 2 * (self.hashes - 1) + 1
        if self.probes == 1:
            return OperationCost(routing_operations=places * (compares + bucket))
        flips = sort_operations(self.hashes) + 2 * (self.probes - 1) * self.hashes
        routing = places * (2 * compares + flips + self.probes * bucket)
        return OperationCost(Flop(overhead=places * self.hashes), routing)
