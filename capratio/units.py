"""Scaled units for people: records and computations keep base units, only what is shown is scaled."""

import math

_DECIMAL = (
    (1e15, "P"),
    (1e12, "T"),
    (1e9, "G"),
    (1e6, "M"),
    (1e3, "k"),
    (1.0, ""),
    (1e-3, "m"),
    (1e-6, "µ"),
    (1e-9, "n"),
)
_BINARY = ((2.0**40, "Ti"), (2.0**30, "Gi"), (2.0**20, "Mi"), (2.0**10, "Ki"), (1.0, ""))
# Parts of these do not exist, so they are never scaled downwards.
_WHOLE = frozenset({"B", "B/s", "FLOP", "FLOP/s"})


def scaled(value: float, unit: str, digits: int = 3) -> str:
    """A value with its unit in the prefix that leaves one to three digits before the point: ``1.23 ms``, ``1.05 MiB``.

    Bytes scale by 1024, as caches are sized, everything else (bytes a second too) by 1000.

    Args: value: in base units. unit: its symbol, without a prefix. digits: significant ones.
    """
    if not math.isfinite(value):
        return f"{value} {unit}"
    if value == 0.0:
        return f"0 {unit}"
    steps = [
        (factor, prefix)
        for factor, prefix in (_BINARY if unit == "B" else _DECIMAL)
        if factor >= 1.0 or unit not in _WHOLE
    ]
    # Rounding first makes 999.7 µs the 1.00 ms that its digits say.
    factor, prefix = next((step for step in steps if float(f"{abs(value) / step[0]:.{digits - 1}e}") >= 1.0), steps[-1])
    if not prefix and unit in _WHOLE and float(value).is_integer():
        return f"{value:.0f} {unit}"
    return f"{significant(value / factor, digits)} {prefix}{unit}"


def seconds(value_s: float) -> str:
    """A duration: ns to s under a minute, then minutes and hours: ``12.3 µs``, ``2 min 05 s``, ``1 h 40 min``."""
    if not math.isfinite(value_s) or abs(value_s) < 60.0:
        return scaled(value_s, "s")
    minutes, rest = divmod(round(value_s), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(value_s / 60.0), 60)
    return f"{hours} h {minutes:02d} min"


def size(value_bytes: float) -> str:
    """A number of bytes: ``1.05 MiB``."""
    return scaled(value_bytes, "B")


def whole(value: int) -> str:
    """An exact integer in full: ``1,073,741,824``."""
    return f"{value:,}"


def counted(number: int, noun: str) -> str:
    """A number with its noun: ``1 case``, ``2 cases``, ``2 processes``."""
    return f"{number} {noun if number == 1 else noun + ('es' if noun.endswith('s') else 's')}"


def significant(value: float, digits: int = 3) -> str:
    """A number with so many significant digits, without an exponent: ``0.0123``, ``1.20``, ``125``, ``1024``."""
    if value == 0.0 or not math.isfinite(value):
        return f"{value:.0f}"
    # The exponent after rounding: 9.996 to three digits is 10.0, not 10.00.
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])
    return f"{value:.{max(0, digits - 1 - exponent)}f}"
