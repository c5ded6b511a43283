"""The written table of how each layer looks: one colour and marker a layer, one line style a form, in every figure.

Figures are drawn with the light colours; :mod:`capratio.report.svg` turns each into a CSS variable, which the page sets
for light, dark and print. The lightness of the layers' colours differs (17, 27, 38, 49, 62 of 100), so that they part
in grey too.
"""

from dataclasses import dataclass
from typing import Literal

Dashes = Literal["solid"] | tuple[float, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Tone:
    """One colour by its CSS variable name, on light and on dark ground."""

    name: str
    light: str
    dark: str


@dataclass(frozen=True, slots=True)
class Look:
    """How one layer in one form is drawn: tone, marker, dash pattern (matplotlib), hollow marker or filled.

    weight: scales line and marker; a layer drawn early is heavier, so that one drawn upon it with equal numbers does
    not hide it.
    """

    tone: Tone
    marker: str
    dashes: Dashes
    hollow: bool
    weight: float = 1.0


PAGE = Tone("page", "#fdfdfb", "#16181b")
INK = Tone("ink", "#1d1f21", "#e8e8e4")
MUTED = Tone("muted", "#64676b", "#a2a5a8")
RULE = Tone("rule", "#e0e0dc", "#33373c")

DENSE = Tone("dense", "#2b2c2e", "#d7d8d9")
SHARED = Tone("shared", "#0d5aa7", "#6db3f2")
UNIT = Tone("unit", "#dd7a22", "#f2a65e")
BIAS = Tone("bias", "#14866d", "#52c9ab")
FEEDFORWARD = Tone("feedforward", "#63351f", "#d6a07f")
# The systems beside the trees are too many for lightness alone; each has a marker of its own.
BLOCKS = Tone("blocks", "#0b6b70", "#5cc4c9")
MOE_SPARSE = Tone("moe-sparse", "#a8123e", "#ff86a5")
MOE_ST = Tone("moe-st", "#d4557f", "#f4a3bf")
MEMORY = Tone("memory", "#5b3fa0", "#b39df0")
KEYS = Tone("keys", "#8f79cf", "#cfc2f5")
UPDATES = Tone("updates", "#5f6b12", "#c3cf6a")
HALTING = Tone("halting", "#7d828a", "#b9bec6")
HASHING = Tone("hashing", "#c4511d", "#f39a70")
DYNAMIC = Tone("dynamic", "#3f7f2f", "#93cf82")
SYSTEMS = (BLOCKS, MOE_SPARSE, MOE_ST, MEMORY, KEYS, UPDATES, HALTING, HASHING, DYNAMIC)
# Layers that a user brings, in the order of their names.
FOREIGN = (Tone("foreign-1", "#8b4a9c", "#d3a1de"), Tone("foreign-2", "#8a7a13", "#d8c75a"))

# Backends, where ours stands beside its peers; their lightness (32, 40, 49, 62) parts in grey, as do their markers.
OURS = Tone("ours", "#8f1250", "#ff8cc3")
PEERS = (
    Tone("peer-1", "#4d6178", "#b4c6da"),
    Tone("peer-2", "#b0641a", "#eab27c"),
    Tone("peer-3", "#7aa33a", "#b6dd7e"),
)

HOLDS = Tone("holds", "#1a7f4b", "#5fd39a")
BROKEN = Tone("broken", "#b3261e", "#ff8a80")
UNDECIDED = Tone("undecided", "#8a6100", "#e5b85c")

LAYERS = (DENSE, SHARED, UNIT, BIAS, FEEDFORWARD, *SYSTEMS, *FOREIGN)
TONES = (PAGE, INK, MUTED, RULE, *LAYERS, OURS, *PEERS, HOLDS, BROKEN, UNDECIDED)

_SOLID: Dashes = "solid"
_DASHED = (0.0, (4.0, 2.0))
_DASHDOT = (0.0, (6.0, 2.0, 1.0, 2.0))

LOOKS = {
    ("dense", "path"): Look(DENSE, "s", _DASHDOT, False),
    ("tree-shared", "path"): Look(SHARED, "o", _SOLID, False, 1.7),
    ("tree-shared", "collapsed"): Look(SHARED, "o", _DASHED, True, 1.7),
    ("tree-unit", "path"): Look(UNIT, "^", _SOLID, False),
    ("tree-unit", "collapsed"): Look(UNIT, "^", _DASHED, True),
    ("tree-bias", "path"): Look(BIAS, "D", _SOLID, False),
    ("tree-bias", "collapsed"): Look(BIAS, "D", _DASHED, True),
    ("fast-feedforward", "path"): Look(FEEDFORWARD, "p", _SOLID, False),
    ("fast-feedforward", "leaf"): Look(FEEDFORWARD, "p", _DASHED, True),
    ("block-policy", "path"): Look(BLOCKS, "d", _SOLID, False),
    ("moe-sparse", "path"): Look(MOE_SPARSE, "h", _SOLID, False),
    ("moe-st", "path"): Look(MOE_ST, "v", _SOLID, False),
    ("memory-table", "path"): Look(MEMORY, "*", _SOLID, False, 1.3),
    ("altup", "path"): Look(UPDATES, "8", _SOLID, False),
    ("act", "path"): Look(HALTING, "<", _SOLID, False),
    ("winner-take-all", "path"): Look(HASHING, "P", _SOLID, False),
    ("dynamic-gate", "path"): Look(DYNAMIC, ">", _SOLID, False),
    ("product-key", "path"): Look(KEYS, "X", _SOLID, False),
}
BACKEND_LOOKS = {
    "auto": Look(OURS, "o", _SOLID, False, 1.2),
    "reference": Look(PEERS[0], "s", _SOLID, True),
    "grouped-mm": Look(PEERS[1], "^", _SOLID, True),
    "gather-bmm": Look(PEERS[2], "D", _SOLID, True),
    "embedding-bag": Look(PEERS[1], "v", _SOLID, True),
    "fastfeedforward": Look(PEERS[1], "P", _SOLID, True),
    "ultrafastbert": Look(PEERS[1], "X", _SOLID, True),
}
_FOREIGN_MARKERS = ("v", "P", "X", "<", ">")


def series_name(layer: str, form: str) -> str:
    """The name of a layer in a form, the same in every legend and table (``dense``, ``tree-unit, collapsed``)."""
    return layer if form == "path" else f"{layer}, {form}"


def backend_looks(names: list[str]) -> dict[str, Look]:
    """The look of every backend by its name, ours first, those that the table does not know last."""
    known = {name: look for name, look in BACKEND_LOOKS.items() if name in names}
    others = sorted(set(names) - set(known))
    return known | {name: Look(MUTED, _FOREIGN_MARKERS[at % 5], _SOLID, True) for at, name in enumerate(others)}


def looks_of(pairs: list[tuple[str, str]]) -> dict[str, Look]:
    """The look of every (layer, form) pair by its series name, in the table's order, users' layers last by name."""
    known = {series_name(*pair): look for pair, look in LOOKS.items() if pair in pairs}
    foreign = sorted({layer for layer, form in pairs if (layer, form) not in LOOKS})
    own = {
        series_name(layer, form): Look(
            FOREIGN[foreign.index(layer) % len(FOREIGN)],
            _FOREIGN_MARKERS[foreign.index(layer) % len(_FOREIGN_MARKERS)],
            _SOLID if form == "path" else _DASHED,
            form != "path",
        )
        for layer, form in sorted(set(pairs))
        if (layer, form) not in LOOKS
    }
    return known | own
