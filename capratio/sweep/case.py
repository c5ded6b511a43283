"""A case: one point to measure, with what its file says about it."""

from dataclasses import dataclass, field, replace

from capratio.cost.spec import LayerSpec
from capratio.records.case_id import case_id
from capratio.records.record import Point


@dataclass(frozen=True, slots=True)
class Sampling:
    """How long a process samples a case.

    min_samples, max_samples: counts. time_limit_s: seconds of sampling. case_time_limit_s: seconds for the whole case,
    after which its process is killed. decode_tokens: distinct verified tokens that a decode case cycles through.
    """

    min_samples: int = 10
    max_samples: int = 60
    time_limit_s: float = 1.5
    case_time_limit_s: float = 120.0
    decode_tokens: int = 64


@dataclass(frozen=True, slots=True)
class Case:
    """A point, how often and how long it is measured, and the claims that it serves."""

    point: Point
    suite: str
    group: str
    replicates: int
    claims: tuple[str, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)

    @property
    def id(self) -> str:
        """The stable, readable name of the case."""
        return case_id(self.point)

    @property
    def spec(self) -> LayerSpec:
        """What the closed forms need."""
        return spec_of(self.point)

    def joined(self, other: "Case") -> "Case":
        """The same case from another group: it serves the claims of both, and has the replicates of the larger."""
        claims = tuple(sorted({*self.claims, *other.claims}))
        return replace(self, claims=claims, replicates=max(self.replicates, other.replicates))

    def __str__(self) -> str:
        return self.id


def spec_of(point: Point) -> LayerSpec:
    """The layer of a point.

    Raises InputError for sizes or options that no layer has.
    """
    return LayerSpec(
        layer=point.layer,
        in_features=point.in_features,
        out_features=point.out_features,
        depth=point.depth,
        form=point.form,
        bias=point.bias,
        gate=point.gate,
    )
