"""A network under alternating updates: of a wide token, or a long sequence, it computes a part."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from capratio.cost.flop import Flop
from capratio.cost.operation import OperationCost
from capratio.cost.systems.compulsory import plain_compulsory_bytes
from capratio.cost.systems.contract import SystemSpec, Visits, check_sizes, check_words, defaults
from capratio.cost.systems.dense_steps import linear, linear_gradients, sum_of
from capratio.errors import InputError

ALTERNATING, SAME, RECYCLED, SEQUENCE = FORMS = ("alternating", "same", "recycled", "sequence")

# Options that some forms alone have.
_FORMS_WITH = {
    "blocks": (ALTERNATING, SAME, RECYCLED),
    "place": (ALTERNATING, RECYCLED),
    "stride": (SEQUENCE,),
}


@dataclass(frozen=True, slots=True)
class AltUpSpec(SystemSpec):
    """A network d -> ``hidden`` -> d, with relu and biases, that serves more than it computes.

    form: ``alternating`` and ``same``: a token is ``blocks`` K blocks of d = p / K, of which the network computes the
    one of number ``place`` mod K, or the first, and K^2 + K scalars give the others. ``recycled``: a token of d = p is
    replicated K times, updated like that, and its blocks summed. ``sequence``: the N tokens of d = p are one sequence,
    of which the network computes each ``stride``-th, and 3 scalars give the others.

    Counts: ``computed``, tokens that the network computes with.

    Raises InputError for sizes under 1, p other than q or not divisible by K, another form, a negative place, or an
    option that the form does not have.

    Source: Baykal et al. 2023, arXiv 2301.13310; the sequence form is our reading.
    """

    layer: ClassVar[str] = "altup"
    counts: ClassVar[tuple[str, ...]] = ("computed",)
    words: ClassVar[Mapping[str, tuple[str, ...]]] = {"form": FORMS}

    hidden: int = 1024
    form: str = ALTERNATING
    blocks: int = 2
    place: int = 0
    stride: int = 2

    def __post_init__(self) -> None:
        check_sizes(self, hidden=self.hidden, blocks=self.blocks, stride=self.stride)
        check_words(self)
        self._check_options()
        if self.in_features != self.out_features:
            raise InputError(
                f"{self.layer} was given in_features={self.in_features} and out_features={self.out_features}; a token "
                "comes out as wide as it goes in, give the same number."
            )
        if self.in_features % self.width_factor:
            raise InputError(
                f"{self.layer} was given in_features={self.in_features} and blocks={self.blocks}; a token is blocks of "
                "one width, give a multiple of their number."
            )

    @property
    def width_factor(self) -> int:
        """How many times the network's width d a token is wide outside of the layer."""
        return self.blocks if self.form in (ALTERNATING, SAME) else 1

    @property
    def width(self) -> int:
        """Features d of the network."""
        return self.in_features // self.width_factor

    @property
    def computed_block(self) -> int:
        """The number j* of the block that the network computes, from 0."""
        return 0 if self.form == SAME else self.place % self.blocks

    @property
    def weight_parameters(self) -> int:
        """2 d h."""
        return 2 * self.width * self.hidden

    @property
    def parameters(self) -> int:
        """Those, the biases h + d, and K^2 + K scalars, or 3."""
        scalars = 3 if self.form == SEQUENCE else self.blocks * (self.blocks + 1)
        return self.weight_parameters + self.hidden + self.width + scalars

    def touched_parameters(self, visits: Visits) -> int:
        """All of them, if there is a token."""
        return self.parameters * min(visits.tokens, 1)

    def one_token(self) -> Visits:
        """A token alone is computed; only in a sequence do some go without."""
        return Visits(1, {"computed": 1})

    def law_visits(self) -> Visits:
        """A token; of a sequence an anchor and the tokens that go with it."""
        return Visits(self.stride, {"computed": 1}) if self.form == SEQUENCE else self.one_token()

    def expected_counts(self, tokens: int) -> dict[str, float]:
        """All N tokens, or ceil(N / s) anchors: nothing is left to chance."""
        return {"computed": float(-(-tokens // self.stride) if self.form == SEQUENCE else tokens)}

    def expected_touched_parameters(self, tokens: int) -> float:
        """All of them, if there is a token."""
        return float(self.parameters * min(tokens, 1))

    def twin(self) -> Self:
        """At most 8 features a block, 16 units, 4 blocks and a stride of 4."""
        blocks, stride = min(self.blocks, 4), min(self.stride, 4)
        size = min(self.width, 8) * (blocks if self.width_factor > 1 else 1)
        return replace(
            self, in_features=size, out_features=size, hidden=min(self.hidden, 16), blocks=blocks, stride=stride
        )

    def executed(self, visits: Visits, pass_: str) -> OperationCost:
        """The network on what is computed, 4dh product FLOP a token, and the scalars' arithmetic, all overhead."""
        train, computed = pass_ == "train", visits["computed"]
        total = self._network(computed) + (self._network_gradients(computed) if train else OperationCost())
        total += OperationCost(routing_operations=self.activation_compares(visits, pass_))
        if self.form != SEQUENCE:
            return total + OperationCost(Flop(overhead=self._blocks(visits.tokens, train)))
        # A division for the number of each token's anchor.
        return total + OperationCost(Flop(overhead=self._sequence(visits, train)), visits.tokens)

    def compulsory_bytes(self, visits: Visits, pass_: str, itemsize: int) -> int:
        """As the contract says."""
        return plain_compulsory_bytes(self, visits, pass_, itemsize)

    def activation_compares(self, visits: Visits, pass_: str) -> int:
        """One of each hidden unit of what is computed, and one more in its gradient."""
        return visits["computed"] * self.hidden * (2 if pass_ == "train" else 1)

    def _network(self, tokens: int) -> OperationCost:
        return linear(tokens, self.width, self.hidden) + linear(tokens, self.hidden, self.width)

    def _network_gradients(self, tokens: int) -> OperationCost:
        return linear_gradients(tokens, self.width, self.hidden) + linear_gradients(tokens, self.hidden, self.width)

    def _blocks(self, tokens: int, train: bool) -> int:
        """The arithmetic of AltUp, in units of N d, K = blocks: K^2 to predict and K (K - 1) to add up, 1 for the
        innovation, K to scale and K to add it. Recycled: K - 1 to sum the blocks.

        To train. Of each of the K products of a column with a block: K for each factor's gradient, K - 1 to sum that
        of the block over the column, and the column's own sums. The same of the correction, whose second factor is the
        innovation; 1 for the sign of its subtraction, and K to add its two ways to the prediction. 1 to add the two
        ways to the block that is computed. Recycled: K - 1 to sum the gradients of the copies.
        """
        unit, k = tokens * self.width, self.blocks
        recycled = (k - 1) * unit if self.form == RECYCLED else 0
        forward = (k * k + k * (k - 1) + 1 + 2 * k) * unit + recycled
        if not train:
            return forward
        product = (2 * k + k - 1) * unit + sum_of(k * unit, k)
        return forward + (k + 1) * product + (1 + k + 1) * unit + recycled

    def _sequence(self, visits: Visits, train: bool) -> int:
        """The arithmetic of SequenceAltUp, of T tokens and A anchors: T d to scale tokens, A d anchors, T d to add
        both; A d for the innovation, A d to scale it, T d to add it.

        To train. Of each product with a scalar, each element twice, less 1 for the scalar's sum, and once more for the
        other factor: 3 n - 1 for n elements, of T d and twice of A d. Twice T d to add the tokens' gradients into their
        anchors'. A d for the innovation's sign. Two ways join at the prediction (T d), at the anchors (A d) and at x
        (T d).
        """
        tokens, anchors = visits.tokens * self.width, visits["computed"] * self.width
        forward = 3 * tokens + 3 * anchors
        if not train:
            return forward
        products = _scalar_product_gradients(tokens) + 2 * _scalar_product_gradients(anchors)
        return forward + products + 2 * tokens + anchors + 2 * tokens + anchors

    def _check_options(self) -> None:
        usual = defaults(type(self))
        for name, forms in _FORMS_WITH.items():
            if getattr(self, name) != usual[name] and self.form not in forms:
                raise InputError(
                    f"{self.layer} was given {name}={getattr(self, name)!r} with form={self.form!r}, which has no such "
                    f"option; leave it out, or use form={' or '.join(map(repr, forms))}."
                )
        if type(self.place) is not int or self.place < 0:
            raise InputError(
                f"{self.layer} was given place={self.place!r}; give the layer's number in its network, from 0."
            )


def _scalar_product_gradients(elements: int) -> int:
    """Of a product of a scalar and n elements: n multiplies for each factor, and n - 1 adds to the scalar's sum."""
    return 2 * elements + sum_of(elements, 1)
