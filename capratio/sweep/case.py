"""A case: one point to measure, with what its file says about it."""

from dataclasses import dataclass, field, replace
from math import inf

from capratio.cost.spec import HIDDEN, LayerSpec
from capratio.cost.systems.contract import SystemSpec
from capratio.cost.systems.table import SYSTEMS
from capratio.errors import InputError
from capratio.records.case_id import case_id
from capratio.records.record import Point


@dataclass(frozen=True, slots=True)
class Sampling:
    """How long a process samples a case.

    min_samples, max_samples: counts. time_limit_s: seconds of sampling. case_time_limit_s: seconds for the whole case,
    after which its process is killed. decode_tokens: distinct verified tokens that a decode case cycles through.

    Raises InputError, which names the field, for a count that is no integer from 1 on, seconds that are no positive,
    finite number, or fewer samples at most than at least.
    """

    min_samples: int = 10
    max_samples: int = 60
    time_limit_s: float = 1.5
    case_time_limit_s: float = 120.0
    decode_tokens: int = 64

    def __post_init__(self) -> None:
        for name in ("min_samples", "max_samples", "decode_tokens"):
            count = getattr(self, name)
            if not isinstance(count, int) or isinstance(count, bool) or count < 1:
                raise InputError(f"{name} is {count!r}; give an integer, 1 or more.")
        if self.min_samples > self.max_samples:
            raise InputError(
                f"min_samples is {self.min_samples} and max_samples {self.max_samples}; "
                "give a max_samples of at least min_samples."
            )
        for name in ("time_limit_s", "case_time_limit_s"):
            seconds = getattr(self, name)
            if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 < seconds < inf:
                raise InputError(f"{name} is {seconds!r}; give a positive, finite number of seconds.")


@dataclass(frozen=True, slots=True)
class Case:
    """A point, how often and how long it is measured, and the claims that it serves.

    side_by_side: whether one process measures all backends of the point's layer.
    """

    point: Point
    suite: str
    group: str
    replicates: int
    claims: tuple[str, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    side_by_side: bool = False

    @property
    def id(self) -> str:
        """The stable, readable name of the case."""
        return case_id(self.point)

    def joined(self, other: "Case") -> "Case":
        """The same case from another group: it serves the claims of both, and has the replicates of the larger.

        It is measured side by side where one of the two is.
        """
        claims = tuple(sorted({*self.claims, *other.claims}))
        side_by_side = self.side_by_side or other.side_by_side
        replicates = max(self.replicates, other.replicates)
        return replace(self, claims=claims, replicates=replicates, side_by_side=side_by_side)

    def __str__(self) -> str:
        return self.id


def is_user_layer(layer: str) -> bool:
    """Whether a layer is a user's own, named ``package.module:Class``, which has no closed form here."""
    return ":" in layer


def spec_of(point: Point) -> LayerSpec | SystemSpec:
    """The layer of a point that is not a user's own.

    Raises InputError for sizes or options that no layer has.
    """
    system = SYSTEMS.get(point.layer)
    if system is not None:
        return system.from_options(point.in_features, point.out_features, point.options or {})
    return tree_spec_of(point)


def tree_spec_of(point: Point) -> LayerSpec:
    """The tree, or the dense layer, of a point. Raises InputError as ``spec_of``."""
    return LayerSpec(
        layer=point.layer,
        in_features=point.in_features,
        out_features=point.out_features,
        depth=point.depth,
        form=point.form,
        bias=point.bias,
        gate=point.gate,
        weight_gradient=point.weight_gradient,
        hidden=int((point.options or {}).get("hidden", HIDDEN)),
    )
