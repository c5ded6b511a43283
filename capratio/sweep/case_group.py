"""One group of a case file: every case of the product of its values."""

from itertools import product
from typing import Any

from capratio.cost.layer_names import layer_id
from capratio.cost.spec import FORMS, GATES, HIDDEN, ORDERS, PASSES, WEIGHT_GRADIENTS
from capratio.cost.systems.table import SYSTEMS
from capratio.errors import InputError
from capratio.names import one_of
from capratio.sweep.case import Case, Sampling, is_user_layer, spec_of
from capratio.sweep.case_point import point_of
from capratio.sweep.expected import check_expected
from capratio.sweep.options import option_of
from capratio.sweep.ranges import booleans, integers, strings, text

DEVICES = ("cpu", "cuda")
SWEPT_INTEGERS = ("in_features", "out_features", "depth", "hidden", "tokens", "threads")
SWEPT_WORDS: dict[str, tuple[str, ...]] = {
    "form": FORMS,
    "dtype": ("float32", "float64", "bfloat16", "float16"),
    "device": DEVICES,
    "pass": PASSES,
    "cache": ("warm", "cold"),
    # Those of capratio.inputs, which imports torch; a test holds the two equal.
    "input": ("gaussian", "text", "images"),
    "routing": ("measured", "uniform", "zipf", "single"),
    # Those of capratio.kernels, likewise.
    "backend": (
        "auto",
        "reference",
        "cpu",
        "cuda",
        "grouped-mm",
        "gather-bmm",
        "embedding-bag",
        "fastfeedforward",
        "ultrafastbert",
        "dense-masked",
        "bsr",
        "hf-eager",
        "hf-batched-mm",
        "hf-grouped-mm",
    ),
    "gate": GATES,
    "order": ("auto", *ORDERS),
    "weight_gradient": WEIGHT_GRADIENTS,
}
GROUP_KEYS = (
    "group",
    "layer",
    "bias",
    "claims",
    "analysis",
    "expected",
    "options",
    "square",
    "replicates",
    *SWEPT_INTEGERS,
    *SWEPT_WORDS,
)
DEFAULTS: dict[str, Any] = {
    "form": "path",
    "depth": 0,
    "hidden": HIDDEN,
    "tokens": 1,
    "dtype": "float32",
    "device": "cpu",
    "pass": "forward",
    "cache": "warm",
    "input": "text",
    "routing": "measured",
    "backend": "auto",
    "threads": 1,
    "gate": "signs",
    "order": "auto",
    "weight_gradient": "dense",
    "bias": True,
    "square": False,
    "claims": [],
    "analysis": "",
    "options": {},
}


def group_cases(group: dict[str, Any], where: str, suite: str, replicates: int, sampling: Sampling) -> list[Case]:
    """The cases of a group, each once, in the order of its values.

    Args: group: laid over the defaults. where: the group's place, for messages. suite, replicates, sampling: of the
    file; replicates may stand in the group too.

    Raises InputError, which names the place and the key, for anything that is not as docs/case_files.md says.
    """
    for key in ("layer", "in_features"):
        if key not in group:
            raise InputError(f"{where}: the key {key!r} is missing; give it here or in [defaults].")
    square = group["square"]
    if not isinstance(square, bool):
        raise InputError(f"{where}: square is {square!r}; give true or false without quotes.")
    if square and "out_features" in group:
        raise InputError(f"{where}: square = true makes out_features equal in_features; leave out_features out.")
    usual_out_features = "out_features" not in group and not square
    group.setdefault("out_features", group["in_features"])
    replicates = replicates_of(group.get("replicates", replicates), where)
    claims, name = claims_of(group["claims"], where), name_of(group, where)
    swept: dict[str, tuple[object, ...]] = {
        "layer": tuple(_layer(layer, where) for layer in strings(group["layer"], f"{where}: layer"))
    }
    for key, known in SWEPT_WORDS.items():
        words = strings(group[key], f"{where}: {key}")
        for word in words:
            one_of(word, known, f"{where}: {key}")
        swept[key] = words
    swept |= {key: integers(group[key], f"{where}: {key}") for key in SWEPT_INTEGERS}
    swept["bias"] = booleans(group["bias"], f"{where}: bias")
    options = _swept_options(group["options"], where)
    if any(options) and set(swept["layer"]) == {"dense"}:
        raise InputError(f"{where}: options were given to dense, which has none; leave them out.")
    cases: dict[str, Case] = {}
    for values in product(*swept.values(), options):
        chosen = dict(zip((*swept, "options"), values, strict=True))
        if square and chosen["in_features"] != chosen["out_features"]:
            continue
        if usual_out_features:
            _widen(chosen)
        case = Case(point_of(chosen, where), suite, name, replicates, claims, sampling)
        cases.setdefault(case.id, case)
    specs = [spec_of(case.point) for case in cases.values() if not is_user_layer(case.point.layer)]
    check_expected(group.get("expected", []), specs, where)
    return list(cases.values())


def _widen(chosen: dict[str, Any]) -> None:
    """Set the output features of a system that by itself gives more of them than it takes."""
    system = SYSTEMS.get(chosen["layer"])
    if system is None:
        return
    usual = system.usual_out_features(chosen["in_features"], chosen["options"])
    if usual > chosen["in_features"]:
        chosen["out_features"] = usual


def _swept_options(given: object, where: str) -> list[dict[str, str]]:
    """The options of each case, of every combination of the values of a table; of several tables, one after another."""
    if isinstance(given, list) and given:
        return [options for table in given for options in _swept_options(table, where)]
    if not isinstance(given, dict):
        raise InputError(
            f"{where}: options is {given!r}; give a table such as {{ experts = [16, 64] }}, or a list of these."
        )
    named = {name: _option_values(value, f"{where}: options.{name}") for name, value in given.items()}
    return [dict(zip(named, values, strict=True)) for values in product(*named.values())]


def _option_values(value: object, where: str) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise InputError(f"{where} is []; give a value, or a list of one or more.")
    return [option_of(each, where) for each in values]


def _layer(name: str, where: str) -> str:
    if is_user_layer(name) or "." in name:
        if name.count(":") != 1 or not all(name.split(":")):
            raise InputError(f"{where}: layer = {name!r}; name a layer of yours package.module:Class.")
        return name
    try:
        return layer_id(name)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def name_of(group: dict[str, Any], where: str) -> str:
    """The name of a group: its own, or its place in the file."""
    return text(group.get("group", where.rpartition(": ")[2]), f"{where}: group")


def replicates_of(given: object, where: str) -> int:
    """The number of fresh processes a case; raise InputError for anything but an integer of 1 or more."""
    if not isinstance(given, int) or isinstance(given, bool) or given < 1:
        raise InputError(f"{where}: replicates is {given!r}; give an integer, 1 or more.")
    return given


def claims_of(given: object, where: str) -> tuple[str, ...]:
    """The names of claims, in order; raise InputError where they are no words."""
    return () if given == [] else tuple(sorted(strings(given, f"{where}: claims")))
