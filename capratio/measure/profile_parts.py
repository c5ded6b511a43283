"""The few parts that a person reads a profile by: hot products, routing, data that is moved, Python."""

from dataclasses import dataclass

from capratio.measure.profile import Profile, ProfileRow
from capratio.measure.profile_events import AUTOGRAD

ROUTING, MOVING, OTHER, OUTSIDE = (
    "routing",
    "views, copies and new tensors",
    "other operations",
    "outside of any operation",
)


# An operation inside of a part is named where it takes so much of it; less says nothing about where the time went.
NAMED_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a call. share: of its time, 0 to 1. operations: whose time it is beside its own, longest first."""

    name: str
    share: float
    operations: tuple[str, ...]


def parts(profile: Profile) -> list[Part]:
    """The parts of a profile, largest first; their shares sum to 1 where there is any time.

    An operation with a formula of its own is a part with all that ran inside of it, and so is one with FLOP alone;
    those without FLOP are routing where they compare, sort or fetch rows by an index, and else views, copies and new
    tensors.
    """
    found: dict[str, list[ProfileRow]] = {}
    for row in profile.rows:
        found.setdefault(_part(row), []).append(row)
    wall_s = profile.wall_s or 1.0
    named = [_named(name, rows, wall_s) for name, rows in found.items()]
    return sorted([*named, Part(OUTSIDE, profile.outside_s / wall_s, ())], key=lambda part: -part.share)


def _named(name: str, rows: list[ProfileRow], wall_s: float) -> Part:
    total_s = sum(row.self_s for row in rows)
    inner = (row.name for row in rows if row.name != name and row.self_s >= NAMED_SHARE * total_s)
    return Part(name, total_s / wall_s, tuple(inner))


def _part(row: ProfileRow) -> str:
    if row.within is not None:
        return row.within
    if row.name == AUTOGRAD:
        return AUTOGRAD
    if row.cost is None:
        return row.name if not row.name.startswith("aten::") else OTHER
    if row.cost.flop.total or not row.name.startswith("aten::"):
        return row.name
    return ROUTING if row.cost.routing_operations or row.cost.rows_gathered else MOVING
