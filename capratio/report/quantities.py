"""Numbers as the page's cells and axes say them, on top of ``capratio.units``: a dash for none, one unit an axis."""

import math
from collections.abc import Iterable

from capratio.units import scaled, significant, whole

NOTHING = "\u2013"
_PREFIXES = {"n": 1e-9, "µ": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}


def quantity(value: float | None, unit: str = "", digits: int = 3) -> str:
    """A number with its scaled unit, kept on one line, or a dash where there is none (3.2e-5, "s" → 32.0 µs)."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if unit == "" and abs(value) < 1000 and float(value).is_integer():
        return f"{value:.0f}"
    return scaled(value, unit, digits).strip().replace(" ", "\u00a0")


def integer(value: int | None) -> str:
    """An exact integer in full, with commas between thousands, or a dash where there is none."""
    return NOTHING if value is None else whole(value)


def number(value: float | None, digits: int = 3) -> str:
    """An exact integer in full, any other number by at most so many significant digits, or a dash."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if float(value).is_integer() and abs(value) < 1e15:
        return integer(int(value))
    text = significant(value, digits)
    if abs(value) >= 1000:
        return whole(int(text))
    return text.rstrip("0").rstrip(".") if "." in text else text


def measured(value: float, low: float, high: float, unit: str = "") -> str:
    """An estimate and its interval in one unit (145 [143, 148] µs).

    One process alone has no interval over processes: its ends are the estimate, which then stands alone (145 µs).
    """
    factor, shown = scale(value, unit) if unit else (1.0, "")
    texts = [significant(each / factor) for each in (value, low, high)]
    interval = "" if low == high else f" [{texts[1]}, {texts[2]}]"
    return f"{texts[0]}{interval}\u00a0{shown}".rstrip("\u00a0").replace(" ", "\u00a0")


def axis_scale(values: Iterable[float], unit: str) -> tuple[float, str]:
    """One divisor and scaled unit for a whole axis: those of the geometric middle of its positive values."""
    logs = [math.log(value) for value in values if value > 0 and math.isfinite(value)]
    return scale(math.exp((min(logs) + max(logs)) / 2), unit) if logs else (1.0, unit)


def scale(value: float, unit: str) -> tuple[float, str]:
    """The divisor and the scaled unit in which ``scaled`` shows a value (0.0123, "s" → 1e-3, ms)."""
    if unit == "B":
        # Three decimal digits would put 1024 MiB before 1 GiB, and axes of bytes have their ticks just there.
        fitting = [(factor, prefix) for prefix, factor in _BINARY.items() if value >= factor]
        return (fitting[-1][0], f"{fitting[-1][1]}B") if fitting else (1.0, unit)
    shown = scaled(value, unit).rpartition(" ")[2]
    return _PREFIXES[shown.removesuffix(unit)], shown
