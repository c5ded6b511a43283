"""FLOP split by class: what a multiply or an add was for."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Flop:
    """Multiplies and adds (1 multiply-add = 2 FLOP) by what they are for.

    product: the products y = W x that a dense layer of the same shape also pays.
    overhead: forming, applying or adding the nodes of a path.
    gating: projections and activations that produce gate values.
    bias: adding the bias and summing its gradient; outside every law.
    padded: work on rows that no token owns.
    """

    product: int = 0
    overhead: int = 0
    gating: int = 0
    bias: int = 0
    padded: int = 0

    @property
    def total(self) -> int:
        """All FLOP that are executed."""
        return self.product + self.overhead + self.gating + self.bias + self.padded

    def __add__(self, other: "Flop") -> "Flop":
        return Flop(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def as_dict(self) -> dict[str, int]:
        """The classes by name, as a record keeps them."""
        return {f.name: getattr(self, f.name) for f in fields(self)}
