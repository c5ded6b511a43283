"""A feedforward network whose hidden units a gate opens and closes: all of them are computed."""

from dataclasses import dataclass, replace
from math import inf
from typing import ClassVar, Self

from capratio.cost.closed_forms.contract import ANY_ITEMSIZE
from capratio.cost.flop import Flop
from capratio.cost.op_formulas import router_logits
from capratio.cost.operation import OperationCost
from capratio.cost.systems.compulsory import plain_compulsory_bytes
from capratio.cost.systems.contract import SystemSpec, Visits, check_sizes
from capratio.cost.systems.dense_steps import linear, linear_gradients, sum_of
from capratio.errors import InputError


@dataclass(frozen=True, slots=True)
class DynamicGateSpec(SystemSpec):
    """p -> ``hidden`` units -> q, each unit let through where its gate's probability exceeds ``threshold``.

    A gate of h x h weights reads all hidden units, so that nothing is saved: a token costs the dense network, and the
    gate beside it. temperature: by which the gate's scores are divided.

    Counts: ``live_units``, pairs of a token and a unit that is open for it. No cost depends on them.

    Raises InputError for sizes under 1, a temperature that is not above 0 and finite, or a threshold outside of 0..1.

    Source: DynamicGate-MLP 2026, as in its code.
    """

    layer: ClassVar[str] = "dynamic-gate"
    counts: ClassVar[tuple[str, ...]] = ("live_units",)

    hidden: int = 1024
    temperature: float = 1.0
    threshold: float = 0.5

    def __post_init__(self) -> None:
        check_sizes(self, hidden=self.hidden)
        if not 0 < self.temperature < inf:
            raise InputError(
                f"{self.layer} was given temperature={self.temperature}; give a number above 0 and finite."
            )
        if not 0 <= self.threshold <= 1:
            raise InputError(f"{self.layer} was given threshold={self.threshold}; give a probability from 0 to 1.")

    @property
    def weight_parameters(self) -> int:
        """h p + q h."""
        return self.hidden * (self.in_features + self.out_features)

    @property
    def parameters(self) -> int:
        """Those, the biases h + q, and the gate, h h + h."""
        return self.weight_parameters + self.hidden + self.out_features + self.hidden * (self.hidden + 1)

    def touched_parameters(self, visits: Visits) -> int:
        """All of them, if there is a token."""
        return self.parameters * min(visits.tokens, 1)

    def one_token(self) -> Visits:
        """The expected units, rounded down."""
        return Visits(1, {"live_units": int(self.expected_counts(1)["live_units"])})

    def expected_counts(self, tokens: int) -> dict[str, float]:
        """Where probabilities are uniform on [0, 1], a unit is open with probability 1 - threshold."""
        return {"live_units": tokens * self.hidden * (1 - self.threshold)}

    def expected_touched_parameters(self, tokens: int) -> float:
        """All of them, if there is a token."""
        return float(self.parameters * min(tokens, 1))

    def executed(self, visits: Visits, pass_: str) -> OperationCost:
        """2Nh (p + q) product FLOP, 2Nhh gating, N (h + q) to add biases, N h the gate's.

        Overhead, of each of N h units: divide by the temperature, sigmoid, p - p, add the mask, multiply: 5. Routing:
        relu and the compare with the threshold, 2.
        """
        tokens, units = visits.tokens, visits.tokens * self.hidden
        total = linear(tokens, self.in_features, self.hidden) + linear(tokens, self.hidden, self.out_features)
        total += self._gate_product(tokens)
        total += OperationCost(Flop(overhead=5 * units, bias=units), units + self.activation_compares(visits, pass_))
        return total + self._gradients(tokens) if pass_ == "train" else total

    def activation_compares(self, visits: Visits, pass_: str) -> int:
        """One of each hidden unit, and one more in its gradient."""
        return visits.tokens * self.hidden * (2 if pass_ == "train" else 1)

    def compulsory_bytes(self, visits: Visits, pass_: str, itemsize: int) -> int:
        """As the contract says."""
        return plain_compulsory_bytes(self, visits, pass_, itemsize)

    def twin(self) -> Self:
        """At most 16 features and units."""
        p, q, hidden = (min(size, 16) for size in (self.in_features, self.out_features, self.hidden))
        return replace(self, in_features=p, out_features=q, hidden=hidden)

    def _gradients(self, tokens: int) -> OperationCost:
        """Two products for each product, and a sum for each bias.

        Overhead, of each unit: the product's two gradients (2), the sigmoid's (3), the temperature's (1), and the sum
        of both ways to a unit, through the gate and past it (1). Relu's compares are not in it.
        """
        units = tokens * self.hidden
        total = linear_gradients(tokens, self.in_features, self.hidden)
        total += linear_gradients(tokens, self.hidden, self.out_features)
        total += self._gate_product(tokens) + self._gate_product(tokens)
        return total + OperationCost(Flop(overhead=7 * units, bias=sum_of(units, self.hidden)))

    def _gate_product(self, tokens: int) -> OperationCost:
        return router_logits(tokens, self.hidden, self.hidden, itemsize=ANY_ITEMSIZE)
