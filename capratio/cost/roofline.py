"""The roofline: the least time that a machine's measured ceilings allow for given FLOP and bytes.

limit = max(bytes / bandwidth, FLOP / rate). Bandwidth is a curve over the footprint, since a small working set is
served by a cache and a large one by memory.

Source: Williams, Waterman & Patterson 2009, "Roofline", our reading; reading bandwidth from a curve is our own.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, log
from typing import NamedTuple

from capratio.errors import InputError

CACHES = ("warm", "cold")

Curve = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What one machine can do at most, as measured at one time.

    measured_at_s: seconds since the run began. threads: intra-op threads. device: ``cpu`` or ``cuda``.
    read_curve, copy_curve, random_row_curve: points (footprint_bytes, bytes_per_s), footprints rising; the last is
    memory. flop_per_s: the best matrix product rate of each dtype name, over shapes. spread: relative spread of the
    measured ceilings.

    Raises InputError for an empty read curve, footprints that do not rise, or a number that is not positive and finite.
    """

    measured_at_s: float
    threads: int
    device: str
    read_curve: Curve
    copy_curve: Curve
    random_row_curve: Curve
    flop_per_s: Mapping[str, float]
    spread: float

    def __post_init__(self) -> None:
        if not self.read_curve:
            raise InputError("read_curve is empty; ceilings need at least one (footprint_bytes, bytes_per_s) point.")
        for name in ("read_curve", "copy_curve", "random_row_curve"):
            _check_curve(name, getattr(self, name))
        for dtype, rate in self.flop_per_s.items():
            if not (isfinite(rate) and rate > 0):
                raise InputError(f"flop_per_s[{dtype!r}]={rate} was given; a rate must be positive and finite.")
        if not (isfinite(self.spread) and self.spread >= 0):
            raise InputError(f"spread={self.spread} was given; a relative spread must be finite, 0 or more.")

    def to_dict(self) -> dict[str, object]:
        """The ceilings as JSON keeps them: curves as lists of [footprint_bytes, bytes_per_s]."""
        return {
            "measured_at_s": self.measured_at_s,
            "threads": self.threads,
            "device": self.device,
            "read_curve": [list(point) for point in self.read_curve],
            "copy_curve": [list(point) for point in self.copy_curve],
            "random_row_curve": [list(point) for point in self.random_row_curve],
            "flop_per_s": dict(self.flop_per_s),
            "spread": self.spread,
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, object]) -> "Ceilings":
        """The ceilings that ``to_dict`` wrote.

        Raises InputError for a missing or unknown key, or a value of another type.
        """
        expected = set(cls.__dataclass_fields__)
        if set(given) != expected:
            raise InputError(
                f"ceilings with keys {sorted(map(str, given))} were given; the keys must be {sorted(expected)}."
            )
        threads = given["threads"]
        if isinstance(threads, bool) or not isinstance(threads, int):
            raise InputError(f"threads={threads!r} was given in ceilings; it must be a whole number.")
        return cls(
            measured_at_s=_number("measured_at_s", given["measured_at_s"]),
            threads=threads,
            device=str(given["device"]),
            read_curve=_curve("read_curve", given["read_curve"]),
            copy_curve=_curve("copy_curve", given["copy_curve"]),
            random_row_curve=_curve("random_row_curve", given["random_row_curve"]),
            flop_per_s=_rates(given["flop_per_s"]),
            spread=_number("spread", given["spread"]),
        )


class RooflineLimit(NamedTuple):
    """The least time, and what sets it.

    limit_s: seconds. bound: ``memory`` or ``compute``. bandwidth_bytes_per_s, flop_per_s: the ceilings that were read.
    """

    limit_s: float
    bound: str
    bandwidth_bytes_per_s: float
    flop_per_s: float


def limit(ceilings: Ceilings, flop_total: int, touched_bytes: int, cache: str, dtype: str) -> RooflineLimit:
    """The roofline time max(bytes / bandwidth, FLOP / rate).

    Bandwidth is read from the read curve at the footprint: the touched bytes when warm (they lie in the nearest level
    that holds them), the largest footprint measured when cold (everything comes from memory).

    Args: flop_total: FLOP. touched_bytes: what must cross the memory interface once. cache: ``warm`` or ``cold``.
    dtype: a key of ``ceilings.flop_per_s``.

    Raises InputError for another cache state, an unmeasured dtype, or negative counts.
    """
    if cache not in CACHES:
        raise InputError(f"cache={cache!r} is not known; it must be one of {', '.join(CACHES)}.")
    if dtype not in ceilings.flop_per_s:
        measured = ", ".join(sorted(ceilings.flop_per_s)) or "none"
        raise InputError(f"no FLOP rate was measured for dtype={dtype!r}; measured are: {measured}.")
    if min(flop_total, touched_bytes) < 0:
        raise InputError(
            f"flop_total={flop_total} and touched_bytes={touched_bytes} were given; both must be 0 or more."
        )
    footprint = touched_bytes if cache == "warm" else ceilings.read_curve[-1][0]
    bandwidth = interpolate(ceilings.read_curve, footprint)
    rate = ceilings.flop_per_s[dtype]
    memory_s, compute_s = touched_bytes / bandwidth, flop_total / rate
    return RooflineLimit(max(memory_s, compute_s), "memory" if memory_s >= compute_s else "compute", bandwidth, rate)


def interpolate(curve: Curve, footprint_bytes: float) -> float:
    """The bandwidth in bytes_per_s at a footprint: linear between points in log-log, constant outside of the curve.

    Args: curve: points (footprint_bytes, bytes_per_s), footprints rising, at least one. footprint_bytes: 0 or more.
    """
    right = bisect_right(curve, footprint_bytes, key=lambda point: point[0])
    if right == 0:
        return curve[0][1]
    if right == len(curve):
        return curve[-1][1]
    (left_footprint, left_rate), (right_footprint, right_rate) = curve[right - 1], curve[right]
    share = log(footprint_bytes / left_footprint) / log(right_footprint / left_footprint)
    return float(left_rate * (right_rate / left_rate) ** share)


def _check_curve(name: str, curve: Curve) -> None:
    for footprint, rate in curve:
        if not (isfinite(footprint) and isfinite(rate) and footprint > 0 and rate > 0):
            raise InputError(
                f"{name} holds ({footprint}, {rate}); footprints and bandwidths must be positive and finite."
            )
    footprints = [footprint for footprint, _ in curve]
    if any(later <= earlier for earlier, later in pairwise(footprints)):
        raise InputError(f"{name} has the footprints {footprints}; they must rise from point to point.")


def _number(name: str, given: object) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not isfinite(given):
        raise InputError(f"{name}={given!r} was given in ceilings; it must be a finite number.")
    return given


def _curve(name: str, given: object) -> Curve:
    if not isinstance(given, list | tuple) or any(not isinstance(p, list | tuple) or len(p) != 2 for p in given):
        raise InputError(
            f"{name} was given in ceilings as {type(given).__name__}; it must list [footprint_bytes, bytes_per_s]."
        )
    return tuple((_number(name, footprint), _number(name, rate)) for footprint, rate in given)


def _rates(given: object) -> dict[str, float]:
    if not isinstance(given, Mapping):
        raise InputError(f"flop_per_s={given!r} was given in ceilings; it must map dtype names to FLOP/s.")
    return {str(dtype): _number(f"flop_per_s[{dtype!r}]", rate) for dtype, rate in given.items()}
