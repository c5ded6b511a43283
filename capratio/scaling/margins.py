"""Every chosen number behind a verdict, read from ``margins.toml``, where each has its reason."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from importlib import resources

from capratio.errors import InputError


@dataclass(frozen=True, slots=True)
class Margins:
    """The numbers of ``margins.toml``; the file says why each is what it is.

    latency_exponent, memory_exponent: how far an exponent may lie from its law. flat_ratio: how far t(k)/t(0) may lie
    from 1. resolution_factor: half-widths of its interval that a difference must reach. minimum_sizes,
    minimum_resolved_sizes: distinct sizes that a fit needs. minimum_processes: replicates a size. confidence: of every
    interval. bootstrap_draws, bootstrap_seed: of the bootstrap. smallest_exponent, largest_exponent: where the search
    for an exponent ends. break_shift: relative shift of a line's end that makes a bend a break. cache_crossing_factor:
    how far from a cache's capacity a footprint may be where a break is laid to that cache.

    Raises InputError for a number outside its range.
    """

    latency_exponent: float
    memory_exponent: float
    flat_ratio: float
    resolution_factor: float
    minimum_sizes: int
    minimum_resolved_sizes: int
    minimum_processes: int
    confidence: float
    bootstrap_draws: int
    bootstrap_seed: int
    smallest_exponent: float
    largest_exponent: float
    break_shift: float
    cache_crossing_factor: float

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type is int and not isinstance(value, int):
                raise InputError(f"the margin {field.name} is {value!r}; it must be an integer.")
            if field.name != "smallest_exponent" and not value > 0:
                raise InputError(f"the margin {field.name} is {value!r}; it must be positive.")
        if not self.confidence < 1:
            raise InputError(f"the margin confidence is {self.confidence}; it must lie between 0 and 1.")
        if not self.smallest_exponent < 0 < self.largest_exponent:
            raise InputError("the margins smallest_exponent and largest_exponent must lie on two sides of 0.")


def parse_margins(text: str) -> tuple[Margins, Mapping[str, str]]:
    """The margins of a TOML text, and the reason of each by its name.

    Raises InputError for a margin that is missing, not known, not a number, or without a reason.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"the margins are not TOML ({error}).") from None
    names = [field.name for field in fields(Margins)]
    for name in tables.keys() - set(names):
        raise InputError(f"the margin {name!r} is not known; it must be one of {', '.join(names)}.")
    values: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for name in names:
        table = tables.get(name)
        value = table.get("value") if isinstance(table, dict) else None
        reason = table.get("reason") if isinstance(table, dict) else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"the margin {name} has no number as its value; write [{name}] with value and reason.")
        if not isinstance(reason, str) or not reason.strip():
            raise InputError(f"the margin {name} has no reason; write [{name}] with value and reason.")
        values[name], reasons[name] = value, reason
    return Margins(**values), reasons  # type: ignore[arg-type]  # __post_init__ checks the integers


@lru_cache(maxsize=1)
def read_margins() -> tuple[Margins, Mapping[str, str]]:
    """The margins that come with the package, and their reasons."""
    return parse_margins((resources.files("capratio.scaling") / "margins.toml").read_text(encoding="utf-8"))


def default_margins() -> Margins:
    """The margins that come with the package."""
    return read_margins()[0]
