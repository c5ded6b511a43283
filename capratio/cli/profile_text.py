"""A profile in words for a terminal, and its operations for other programs."""

import csv
import io
from typing import TYPE_CHECKING

from capratio.display import text_table
from capratio.units import counted, scaled, seconds, size

if TYPE_CHECKING:
    from capratio.measure.profile import Profile, ProfileRow
    from capratio.sweep.profile_case import CaseProfile

HEADERS = ["operation", "calls", "self time", "share", "with inner", "FLOP", "bytes", "of limit"]
# What takes less is one row together; operations.csv has all.
LEAST_SHARE_OF_A_ROW = 0.005
# What is less of a call is summed up in the sentence.
LEAST_SHARE = 0.05
PARTS_SHOWN, NAMES_SHOWN = 4, 2


def operations_table(done: "CaseProfile") -> str:
    """The longest operations, and below each the longest that ran inside of it; the others are one row."""
    wall_s = done.profile.wall_s or 1.0
    order = _order(done.profile)
    shown = [place for place in order if _is_shown(done.profile, place)]
    rows: list[list[object]] = []
    for place in shown:
        row, roof = done.profile.rows[place], done.limits[place]
        flop, moved = _flop_and_bytes(row)
        rows.append(
            [
                row.name if row.within is None else f"└ {row.name}",
                row.calls,
                seconds(row.self_s),
                f"{row.self_s / wall_s:.1%}",
                seconds(row.total_s) if row.total_s > row.self_s else None,
                None if flop is None else scaled(flop, "FLOP"),
                None if moved is None else size(moved),
                None if roof is None or not row.total_s else f"{roof.limit_s / row.total_s:.0%}",
            ]
        )
    left = [done.profile.rows[place] for place in order if place not in shown]
    rest_s = sum(row.self_s for row in left)
    if left:
        share = f"{rest_s / wall_s:.1%}"
        rows.append([f"{counted(len(left), 'operation')} more", None, seconds(rest_s), share, None, None, None, None])
    outside_s = done.profile.outside_s
    rows.append(
        ["outside of any operation", None, seconds(outside_s), f"{outside_s / wall_s:.1%}", None, None, None, None]
    )
    return text_table(HEADERS, rows, left=["operation"])


def _order(profile: "Profile") -> list[int]:
    """The places of the rows: the longest first, and below each what ran inside of it."""
    rows = profile.rows
    total_s = {row.name: row.total_s for row in rows if row.within is None}

    def key(place: int) -> tuple[float, str, bool, float]:
        row = rows[place]
        outer = row.within or row.name
        return -total_s.get(outer, 0.0), outer, row.within is not None, -row.self_s

    return sorted(range(len(rows)), key=key)


def _is_shown(profile: "Profile", place: int) -> bool:
    """Whether a row, or what ran inside of it, takes a share of the time that is worth a line."""
    return profile.rows[place].total_s >= LEAST_SHARE_OF_A_ROW * profile.wall_s


def _flop_and_bytes(row: "ProfileRow") -> tuple[int | None, int | None]:
    return (None, None) if row.cost is None else (row.cost.flop.total, row.cost.read_bytes + row.cost.written_bytes)


def sentences(done: "CaseProfile") -> list[str]:
    """Where the time went, the layer against its limit, and the ceilings that say so."""
    ceilings, point = done.ceilings, done.case.point
    rate = scaled(ceilings.flop_per_s[point.dtype], "FLOP/s")
    (near, fast), (far, slow) = ceilings.read_curve[0], ceilings.read_curve[-1]
    slower = done.profile.wall_s / done.latency_s
    if done.limit is None:
        against = "without a closed form, or without work, it has no limit"
    else:
        against = (
            f"its limit is {seconds(done.limit.limit_s)}, set by {done.limit.bound}, so its efficiency is "
            f"{done.limit.limit_s / done.latency_s:.1%}"
        )
    return [
        f"{_parts(done.profile, point.device)}.",
        f"The layer takes {seconds(done.latency_s)} without the profiler; {against}. "
        f"Under the profiler a call takes {seconds(done.profile.wall_s)} ({slower:.2f} times that), which small "
        "operations and Python pay most.",
        f"Ceilings, measured just before on {point.device} with {ceilings.threads} "
        f"thread{'' if ceilings.threads == 1 else 's'}: {rate} in {point.dtype}, "
        f"{scaled(fast, 'B/s')} at {size(near)} to {scaled(slow, 'B/s')} at {size(far)}, spread {ceilings.spread:.0%}. "
        "An operation's limit is that of its FLOP and bytes, read where a call's bytes fit.",
    ]


def _parts(profile: "Profile", device: str) -> str:
    from capratio.measure.profile_parts import OUTSIDE, Part, parts

    def said(part: Part) -> str:
        names = [name.removeprefix("aten::") for name in part.operations]
        if part.name == OUTSIDE:
            names = ["Python" if device == "cpu" else "Python and launches, while the device waits"]
        return f"{part.share:.0%} in {part.name}".replace("in outside", "outside") + (
            f" ({', '.join(names[:NAMES_SHOWN])})" if names else ""
        )

    large = [part for part in parts(profile) if part.share >= LEAST_SHARE][:PARTS_SHOWN]
    rest = 1.0 - sum(part.share for part in large)
    said_of = [said(part) for part in large]
    return ", ".join([*said_of, f"{rest:.0%} in the rest"] if rest >= 0.005 else said_of)


def operations_csv(done: "CaseProfile") -> str:
    """All operations in base units: seconds, FLOP and bytes of one call of the layer."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["operation", "within", "calls", "self_s", "total_s", "share", "flop", "bytes", "limit_s", "bound"])
    for row, roof in zip(done.profile.rows, done.limits, strict=True):
        share = row.self_s / (done.profile.wall_s or 1.0)
        limited = (None, None) if roof is None else (roof.limit_s, roof.bound)
        writer.writerow(
            [row.name, row.within, row.calls, row.self_s, row.total_s, share, *_flop_and_bytes(row), *limited]
        )
    return text.getvalue()
