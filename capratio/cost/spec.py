"""What is costed: a layer by its sizes, and the nodes that a batch visits."""

from dataclasses import dataclass
from math import expm1, log1p

from capratio.errors import InputError

LAYERS = ("dense", "tree-shared", "tree-unit", "tree-bias", "fast-feedforward")
FORMS = ("path", "collapsed", "leaf")
# The first is what a command line takes where none is given.
FORMS_OF = {
    "dense": ("path",),
    "tree-shared": ("path", "collapsed"),
    "tree-unit": ("path", "collapsed"),
    "tree-bias": ("path", "collapsed"),
    "fast-feedforward": ("leaf", "path"),
}
GATES = ("signs", "hyperplanes", "thresholds", "descent")
GATES_OF = {
    "dense": ("signs",),
    "tree-shared": ("signs", "hyperplanes"),
    "tree-unit": ("signs", "thresholds"),
    "tree-bias": ("signs", "hyperplanes"),
    "fast-feedforward": ("descent",),
}
ORDERS = ("leaves", "prefixes", "nodes")
DENSE_GRADIENT, TOUCHED_GRADIENT = WEIGHT_GRADIENTS = ("dense", "touched")
TOUCHED_LAYERS = ("tree-shared", "tree-unit", "tree-bias")
PASSES = ("forward", "forward-grad", "decode", "train")

# Units of a leaf's network where none are asked for, a choice of ours: whole vectors of every processor's registers.
HIDDEN = 32

# Node indices are int64, and the last node of a path table is 2^(k+1) - 2.
MAX_DEPTH = 62


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """The sizes and options from which a layer's cost follows.

    layer: an id of ``LAYERS``. form: ``path`` (all nodes stored), ``collapsed`` (path sums stored for each leaf) or
    ``leaf`` (a network stored for each leaf, fast feedforward only); a dense layer has the form ``path`` and depth 0.
    in_features p, out_features q, depth k: counts. gate: ``signs``, ``hyperplanes`` (shared bits only), ``thresholds``
    (own bits only) or ``descent`` (each node on the way down decides, fast feedforward only). gate_features h: of the
    tensor that the gate reads; 0 for the layer's own input, p. hidden: units of a leaf's network; other forms have
    none, and ignore it. weight_gradient: ``dense`` (a gradient of the table's size) or ``touched`` (of the visited rows
    alone; a dense layer has one row).

    Raises InputError for a size or an option outside these.
    """

    layer: str
    in_features: int
    out_features: int
    depth: int = 0
    form: str = "path"
    bias: bool = True
    gate: str = "signs"
    gate_features: int = 0
    weight_gradient: str = DENSE_GRADIENT
    hidden: int = HIDDEN

    def __post_init__(self) -> None:
        _one_of("layer", self.layer, LAYERS)
        _one_of("form", self.form, FORMS)
        _one_of("gate", self.gate, GATES)
        known_weight_gradient(self.weight_gradient)
        for name in ("in_features", "out_features", "depth", "gate_features", "hidden"):
            given = getattr(self, name)
            if not isinstance(given, int) or isinstance(given, bool):
                raise InputError(f"{name}={given!r} was given; it must be an integer of Python's own.")
        if min(self.in_features, self.out_features) < 1:
            raise InputError(
                f"in_features={self.in_features} and out_features={self.out_features} were given; "
                "both must be at least 1."
            )
        if self.hidden < 1:
            raise InputError(f"hidden={self.hidden} was given; the network of a leaf has at least 1 unit.")
        if not 0 <= self.depth <= MAX_DEPTH:
            raise InputError(f"depth={self.depth} was given; a depth is a number of gating bits from 0 to {MAX_DEPTH}.")
        if self.layer == "dense" and self.depth != 0:
            raise InputError(
                f"a dense layer was given depth={self.depth}; a dense layer has no gating bits, use depth=0."
            )
        if self.layer == "dense" and self.form != "path":
            raise InputError(
                f"a dense layer was given form={self.form!r}; a dense layer has no leaves, use form='path'."
            )
        if self.layer not in TOUCHED_LAYERS and self.weight_gradient != DENSE_GRADIENT:
            raise InputError(
                f"weight_gradient={self.weight_gradient!r} was given to {self.layer}, which has dense gradients only; "
                f"use weight_gradient={DENSE_GRADIENT!r}, or one of {', '.join(TOUCHED_LAYERS)}."
            )
        if self.form not in FORMS_OF[self.layer]:
            allowed = ", ".join(FORMS_OF[self.layer])
            raise InputError(f"form={self.form!r} was given to {self.layer}; its form must be one of {allowed}.")
        if self.gate not in GATES_OF[self.layer]:
            allowed = ", ".join(GATES_OF[self.layer])
            raise InputError(f"gate={self.gate!r} was given to {self.layer}; its gate must be one of {allowed}.")

    @property
    def gate_width(self) -> int:
        """Features that the gate reads."""
        return self.gate_features or self.in_features

    @property
    def nodes(self) -> int:
        """Rows of the weight table: every node of the tree, or every leaf when only leaves have weights."""
        leaves: int = 2**self.depth
        return 2 * leaves - 1 if self.form == "path" else leaves

    @property
    def output_bias(self) -> bool:
        """Whether one q-vector is added to every output; the networks of leaves have biases of their own."""
        return self.bias and self.form != "leaf"

    @property
    def touched_gradient(self) -> bool:
        """Whether the gradient of the table holds the visited rows alone; at depth 0 the layer is a dense one."""
        return self.weight_gradient == TOUCHED_GRADIENT and self.depth > 0

    @property
    def trees(self) -> int:
        """Trees that a token walks: one for each input unit where bits are the unit's own, else one."""
        return self.in_features if self.layer == "tree-unit" else 1


@dataclass(frozen=True, slots=True)
class VisitedNodes:
    """The nodes that one batch visits.

    tokens: N. levels: distinct nodes visited at level 0..k, so that ``levels[-1]`` counts leaves. Where every input
    unit has bits of its own, these count distinct (unit, node) pairs.
    """

    tokens: int
    levels: tuple[int, ...]

    @property
    def leaves(self) -> int:
        """Distinct leaves."""
        return self.levels[-1]

    @property
    def below_root(self) -> int:
        """Distinct nodes without the root (V_n)."""
        return sum(self.levels[1:])


def known_weight_gradient(weight_gradient: str) -> str:
    """Return ``weight_gradient``; raise InputError where it is not one of ``WEIGHT_GRADIENTS``."""
    _one_of("weight_gradient", weight_gradient, WEIGHT_GRADIENTS)
    return weight_gradient


def check_bits(spec: LayerSpec) -> None:
    """Raise InputError where a layer's input has fewer features than its gate takes: one a bit, but for hyperplanes,
    those of a descent too.
    """
    if spec.gate in ("hyperplanes", "descent") or spec.depth <= spec.in_features:
        return
    other = ", or gate hyperplanes" if "hyperplanes" in GATES_OF[spec.layer] else ""
    raise InputError(
        f"{spec.layer} is given depth = {spec.depth} with in_features = {spec.in_features}, but each bit of gate "
        f"{spec.gate} takes a feature of its own; use a depth of at most {spec.in_features}{other}."
    )


def one_token(spec: LayerSpec) -> VisitedNodes:
    """The nodes that a single token visits: one a level (for each input unit, where bits are the unit's own)."""
    return VisitedNodes(1, (spec.trees,) * (spec.depth + 1))


def expected_distinct(cells: int, tokens: int) -> float:
    """The expected number of distinct cells that ``tokens`` uniform draws hit: E (1 - (1 - 1/E)^N)."""
    if cells == 1:
        return float(min(tokens, 1))
    # The same through log1p and expm1, since 1 - 1/E rounds to 1 for a deep level.
    return -cells * expm1(tokens * log1p(-1.0 / cells))


def expected_visited(spec: LayerSpec, tokens: int) -> tuple[float, ...]:
    """The expected distinct nodes at level 0..k when ``tokens`` uniform bit patterns are drawn."""
    return tuple(spec.trees * expected_distinct(2**level, tokens) for level in range(spec.depth + 1))


def _one_of(name: str, given: str, allowed: tuple[str, ...]) -> None:
    if given not in allowed:
        raise InputError(f"{name}={given!r} is not known; it must be one of {', '.join(allowed)}.")
