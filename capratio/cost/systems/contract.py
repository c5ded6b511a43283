"""What a specification of a conditional layer answers: its sizes and options in, exact integers out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, Self

from capratio.cost.flop import Flop
from capratio.cost.operation import OperationCost
from capratio.errors import InputError
from capratio.names import check_keys

# A size beyond this could not be stored by any machine at hand, and products of several would leave a float's range.
LARGEST_SIZE = 2**31 - 1
# torch's generators take no others.
SEEDS = range(-(2**63), 2**64)


@dataclass(frozen=True, slots=True)
class Visits:
    """What one batch reaches of a conditional layer.

    tokens: N. counts: distinct or repeated parts that the batch computes with, by the names that the layer's
    specification documents, such as ``experts`` and ``assignments``.
    """

    tokens: int
    counts: Mapping[str, int] = field(default_factory=dict)

    def __getitem__(self, name: str) -> int:
        return self.counts[name]


@dataclass(frozen=True, slots=True)
class SystemSpec(ABC):
    """The sizes and options of one conditional layer, from which its cost follows.

    A subclass is a frozen dataclass: in_features p and out_features q, then its options (int, float, bool or str, each
    with a default), checked in ``__post_init__``. ``layer`` is its id, ``counts`` names what its visits count, and
    ``words`` holds what each option that is a word may be.

    Symbols of the docstrings: p in_features, q out_features, N tokens; FLOP = multiplies and adds.
    """

    layer: ClassVar[str]
    counts: ClassVar[tuple[str, ...]]
    words: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    in_features: int
    out_features: int

    @property
    @abstractmethod
    def weight_parameters(self) -> int:
        """Elements of experts, tables and matrices, without biases and what only routes or gates."""

    @property
    @abstractmethod
    def parameters(self) -> int:
        """All learned elements."""

    @abstractmethod
    def touched_parameters(self, visits: Visits) -> int:
        """Learned elements that a batch reads; 0 for no tokens."""

    @abstractmethod
    def one_token(self) -> Visits:
        """What a single token visits, in the paper's accounting; where it varies, under the expected routing."""

    def law_visits(self) -> Visits:
        """What the law is taken over: one token, or as many as share what only one of them computes."""
        return self.one_token()

    @abstractmethod
    def expected_counts(self, tokens: int) -> dict[str, float]:
        """The expected counts of N tokens under uniform, independent routing, by the names of ``counts``."""

    @abstractmethod
    def expected_touched_parameters(self, tokens: int) -> float:
        """The expected ``touched_parameters`` under uniform, independent routing."""

    @abstractmethod
    def executed(self, visits: Visits, pass_: str) -> OperationCost:
        """FLOP by class and routing operations of one call; bytes are not meaningful here.

        Args: pass_: one of ``capratio.cost.spec.PASSES``; ``train`` is forward in training mode and the gradients to
        the input and to every parameter.
        """

    def activation_compares(self, visits: Visits, pass_: str) -> int:
        """Those of the routing operations that are compares of relu, forward and in gradients, and route nothing."""
        return 0

    @abstractmethod
    def compulsory_bytes(self, visits: Visits, pass_: str, itemsize: int) -> int:
        """Bytes that must cross the memory interface once, however the layer is implemented.

        All but train: (N p + touched parameters + N q) itemsize, and the side inputs. train: the same, the output's
        gradient read, the input's gradient written, and the gradients of all parameters written.
        """

    @abstractmethod
    def twin(self) -> Self:
        """A small layer that runs the same code: at most some 16 features, and few of each part."""

    @property
    def fixed_routing(self) -> str | None:
        """The option, as ``name=value``, because of which no other routing than the input's own can be imposed.

        Imposed is what the products of a token with some vectors decide, or its id. None where one can be; "" where a
        layer decides in another way whatever its options are.
        """
        return ""

    @classmethod
    def usual_out_features(cls, in_features: int, options: Mapping[str, str]) -> int:
        """q where none is given, p. Args: options: written as text, not checked yet."""
        return in_features

    def law(self) -> Flop:
        """FLOP of the forward pass of ``law_visits`` in the paper's accounting."""
        return self.executed(self.law_visits(), "forward").flop

    @property
    def options(self) -> dict[str, str]:
        """The options that are not at their defaults, as text."""
        return {
            name: option_text(getattr(self, name))
            for name, default in defaults(type(self)).items()
            if getattr(self, name) != default
        }

    @classmethod
    def from_options(cls, in_features: int, out_features: int, options: Mapping[str, str]) -> Self:
        """The specification of sizes and options that are written as text.

        Raises InputError for an option that the layer does not have, or a value that it does not take.
        """
        known = defaults(cls)
        check_keys(dict(options), tuple(known), f"the options of {cls.layer}")
        values = {name: _parsed(cls.layer, name, text, known[name]) for name, text in options.items()}
        return cls(in_features, out_features, **values)


def defaults(spec: type[SystemSpec]) -> dict[str, Any]:
    """The options of a layer with their defaults, sizes left out."""
    return {f.name: f.default for f in fields(spec) if f.default is not MISSING}


def option_text(value: object) -> str:
    """A value as a case's id and a command line write it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def check_sizes(spec: SystemSpec, **sizes: int) -> None:
    """Raise InputError where a size is no integer of Python's own, under 1, or beyond what a machine holds."""
    for name, size in (("in_features", spec.in_features), ("out_features", spec.out_features), *sizes.items()):
        if type(size) is not int:
            raise InputError(f"{spec.layer} was given {name}={size!r}; it must be an integer of Python's own.")
        if size < 1:
            raise InputError(f"{spec.layer} was given {name}={size}; it must be at least 1.")
        if size > LARGEST_SIZE:
            raise InputError(f"{spec.layer} was given {name}={size}; it must be at most {LARGEST_SIZE}.")


def check_seed(spec: SystemSpec, seed: int) -> None:
    """Raise InputError where a seed is none that torch takes."""
    if type(seed) is not int:
        raise InputError(f"{spec.layer} was given seed={seed!r}; it must be an integer of Python's own.")
    if seed not in SEEDS:
        raise InputError(f"{spec.layer} was given seed={seed}; it must be from -2^63 to 2^64 - 1.")


def check_words(spec: SystemSpec) -> None:
    """Raise InputError where an option is none of the words that it may be."""
    for name, allowed in spec.words.items():
        given = getattr(spec, name)
        if given not in allowed:
            raise InputError(f"{spec.layer} was given {name}={given!r}; it must be one of {', '.join(allowed)}.")


def _parsed(layer: str, name: str, text: str, default: object) -> object:
    if isinstance(default, bool):
        if text in ("true", "false"):
            return text == "true"
        raise InputError(f"{layer} was given {name}={_shown(text)}; give true or false.")
    if isinstance(default, str):
        return text
    wanted, parse = ("an integer", int) if isinstance(default, int) else ("a number", float)
    try:
        return parse(text)
    except ValueError:
        raise InputError(f"{layer} was given {name}={_shown(text)}; give {wanted}, such as {default}.") from None


def _shown(text: str) -> str:
    """A text in quotes; a number in quotes, as a case file's text of a number is kept, has them."""
    return text if text.startswith('"') else repr(text)
