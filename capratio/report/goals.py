"""What the kernels are to reach, read from ``goals.toml``: which points a goal covers, and what bounds them."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from importlib import resources

from capratio.errors import InputError

# What ours is held against: the limit of the case; the fastest of ``peers`` at the point; the dense layer of its sizes;
# the collapsed form, times the ratio of the bytes that both must touch; of what a tree bias takes beyond the dense
# layer, the time of its own bytes; and the fastest layer of those ``beside``.
AGAINST = ("limit", "peers", "dense", "collapsed", "own-bytes", "layers")
STATISTICS = ("worst", "mean")
WORDS = ("layer", "form", "pass", "cache", "dtype", "device")
RANGES = ("in_features", "out_features", "depth", "tokens", "limit_s", "tokens_a_leaf")


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal of the comparison.

    what: a line for people. against: one of ``AGAINST``. statistic: ``worst``, the point that lies farthest beyond its
    bound, or ``mean``, the geometric mean of the ratios. where: a word of ``WORDS`` that points equal, an inclusive
    range of ``RANGES`` that they lie in, or ``options`` that they have. ratio_at_most, excess_at_most_s: a point that
    keeps one of the two is good; a mean has the first alone, and against ``layers`` there may be none: what is seen is
    told and not judged. peers: backends, for ``peers``. beside: for ``layers``, each a ``layer`` and maybe ``options``
    that it has, measured at the same sizes and call. missed: what explains a miss.

    Raises InputError for a name that is not known, a range that is none, or bounds, peers or layers that do not fit.
    """

    what: str
    against: str
    statistic: str
    where: Mapping[str, object]
    ratio_at_most: float | None = None
    excess_at_most_s: float | None = None
    peers: tuple[str, ...] = ()
    beside: tuple[Mapping[str, object], ...] = ()
    missed: str = ""

    def __post_init__(self) -> None:
        if self.against not in AGAINST:
            raise self._refused(f"against is {self.against!r}; use one of {', '.join(AGAINST)}.")
        if self.statistic not in STATISTICS:
            raise self._refused(f"statistic is {self.statistic!r}; use one of {', '.join(STATISTICS)}.")
        if bool(self.peers) != (self.against == "peers"):
            raise self._refused("peers are given exactly where it is held against them; mend peers or against.")
        if bool(self.beside) != (self.against == "layers"):
            raise self._refused("layers are given exactly where it is held against them; mend beside or against.")
        for layer in self.beside:
            if not (isinstance(layer.get("layer"), str) and _are_options(layer.get("options", {}))):
                raise self._refused(f"beside has {dict(layer)!r}; give a layer, and options as a table of words.")
        bounds = self.ratio_at_most, self.excess_at_most_s
        if (self.told and self.against != "layers") or (self.statistic == "mean" and self.excess_at_most_s is not None):
            raise self._refused("a bound is missing or is one that a mean has not; give ratio_at_most.")
        if not all(bound is None or bound > 0 for bound in bounds):
            raise self._refused("a bound is not positive; give a ratio or seconds over 0.")
        for key, value in self.where.items():
            if (key in WORDS and isinstance(value, str)) or (key == "options" and _are_options(value)):
                continue
            if key not in RANGES or not _is_range(value):
                raise self._refused(
                    f"where has {key} = {value!r}; give one of {', '.join(WORDS)} as a word, one of "
                    f"{', '.join(RANGES)} as [least, most], or options as a table of words."
                )

    @property
    def told(self) -> bool:
        """Whether it has no bound."""
        return self.ratio_at_most is None and self.excess_at_most_s is None

    def _refused(self, why: str) -> InputError:
        return InputError(f"the goal {self.what!r}: {why}")


def parse_goals(text: str) -> tuple[Goal, ...]:
    """The goals of a TOML text: its ``goals`` tables, each ``where`` laid over the table ``usual``.

    Raises InputError for a text without goals, a key that is missing or not known, and as ``Goal`` does.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"the goals are not TOML ({error}).") from None
    rows, usual = tables.get("goals"), tables.get("usual", {})
    if not isinstance(rows, list):
        raise InputError("the goals have no [[goals]] table; give at least one.")
    known = {field.name for field in fields(Goal)}
    goals = []
    for row in rows:
        missing, foreign = {"what", "against", "statistic", "where"} - row.keys(), row.keys() - known
        if missing or foreign:
            named = ", ".join(sorted(missing | foreign))
            raise InputError(f"the goal {row.get('what')!r} lacks or does not know: {named}; mend its keys.")
        lists = {key: tuple(row.get(key, ())) for key in ("peers", "beside")}
        goals.append(Goal(**{**row, "where": usual | row["where"], **lists}))
    return tuple(goals)


@lru_cache(maxsize=1)
def read_goals() -> tuple[Goal, ...]:
    """The goals that come with the package."""
    return parse_goals((resources.files("capratio.report") / "goals.toml").read_text(encoding="utf-8"))


def _are_options(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(word, str) for word in value.values())


def _is_range(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(end, int | float) for end in value)
