"""One group of a case file: every case of the product of its values."""

from dataclasses import replace
from itertools import product
from typing import Any

from capratio.cost.executed import has_orders
from capratio.cost.layer_names import layer_id
from capratio.cost.spec import (
    DENSE_GRADIENT,
    FORMS,
    GATES,
    HIDDEN,
    MAX_DEPTH,
    ORDERS,
    PASSES,
    TOUCHED_LAYERS,
    WEIGHT_GRADIENTS,
    check_bits,
)
from capratio.cost.systems.contract import SystemSpec
from capratio.cost.systems.table import SYSTEMS
from capratio.errors import InputError
from capratio.names import one_of
from capratio.records.record import Point
from capratio.sweep.case import Case, Sampling, is_user_layer, spec_of, tree_spec_of
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
# A user's layer runs as it is.
USER_BACKEND = "module"
# What only trees have; of other layers every value gives the same case.
TREE_DEFAULTS: dict[str, Any] = {
    "form": "path",
    "depth": 0,
    "gate": "signs",
    "order": "auto",
    "weight_gradient": DENSE_GRADIENT,
    "bias": True,
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
    cases: dict[str, Case] = {}
    for values in product(*swept.values(), options):
        chosen = dict(zip((*swept, "options"), values, strict=True))
        if square and chosen["in_features"] != chosen["out_features"]:
            continue
        case = Case(_point(chosen, where), suite, name, replicates, claims, sampling)
        cases.setdefault(case.id, case)
    specs = [spec_of(case.point) for case in cases.values() if not is_user_layer(case.point.layer)]
    check_expected(group.get("expected", []), specs, where)
    return list(cases.values())


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


def _point(chosen: dict[str, Any], where: str) -> Point:
    options, layer = chosen.pop("options"), chosen["layer"]
    if layer in SYSTEMS or is_user_layer(layer):
        return _other_point(chosen, options, where)
    if options and layer != "dense":
        raise InputError(
            f"{where}: options were given to {layer}, which has none; depth, form, gate and the rest are keys of a "
            "case file's group."
        )
    return _tree_point(chosen, where)


def _other_point(chosen: dict[str, Any], options: dict[str, str], where: str) -> Point:
    """The point of a layer that is no tree, whose options are all that it has beside sizes."""
    del chosen["hidden"]
    chosen |= TREE_DEFAULTS
    _check_call(chosen, where)
    if is_user_layer(chosen["layer"]):
        _check_user_call(chosen, where)
        chosen["backend"] = USER_BACKEND
    chosen["pass_"] = chosen.pop("pass")
    point = Point(**chosen, options=options or None)
    if is_user_layer(point.layer):
        return point
    try:
        spec = spec_of(point)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    assert isinstance(spec, SystemSpec)
    # Options at their defaults are left out, so that what is the same has one name.
    return replace(point, options=spec.options or None)


def _check_call(chosen: dict[str, Any], where: str) -> None:
    if chosen["pass"] == "decode" and chosen["tokens"] != 1:
        raise InputError(
            f"{where}: pass = 'decode' with tokens = {chosen['tokens']}; decoding is one token, use tokens = 1."
        )
    if chosen["tokens"] < 0 or chosen["threads"] < 1:
        raise InputError(
            f"{where}: tokens = {chosen['tokens']} and threads = {chosen['threads']}; give tokens of 0 or more and "
            "threads of 1 or more."
        )


def _check_user_call(chosen: dict[str, Any], where: str) -> None:
    for key in ("in_features", "out_features"):
        if chosen[key] < 1:
            raise InputError(f"{where}: {key} = {chosen[key]}; it must be at least 1.")
    if chosen["routing"] != "measured":
        raise InputError(
            f"{where}: routing = {chosen['routing']!r} with layer = {chosen['layer']!r}; nothing is known of a user's "
            "layer by which a routing could be imposed, use routing = 'measured'."
        )
    if chosen["pass"] == "forward-grad":
        raise InputError(
            f"{where}: pass = 'forward-grad' with layer = {chosen['layer']!r}; a user's layer is measured in the "
            "passes forward, decode and train."
        )


def _tree_point(chosen: dict[str, Any], where: str) -> Point:
    # Before a dense layer loses its depth, whatever that was.
    if not 0 <= chosen["depth"] <= MAX_DEPTH:
        raise InputError(f"{where}: depth = {chosen['depth']}; give a number of gating bits from 0 to {MAX_DEPTH}.")
    if chosen["layer"] == "dense":
        # A dense layer has no path, bits or order: every value of these gives the same case.
        chosen |= {
            "form": "path",
            "depth": 0,
            "gate": "signs",
            "order": "auto",
            "routing": "measured",
            "backend": "auto",
        }
    if chosen["pass"] != "train" or chosen["depth"] == 0 or chosen["layer"] not in TOUCHED_LAYERS:
        # Without a gradient of touched rows every value of the key gives the same case.
        chosen["weight_gradient"] = DENSE_GRADIENT
    if chosen["layer"] == "fast-feedforward":
        # Its nodes decide, whatever other layers are gated by.
        chosen["gate"] = "descent"
    hidden = chosen.pop("hidden")
    if chosen["form"] == "leaf" and hidden != HIDDEN:
        chosen["options"] = {"hidden": str(hidden)}
    _check_call(chosen, where)
    if chosen["routing"] != "measured" and chosen["gate"] != "signs":
        raise InputError(
            f"{where}: routing = {chosen['routing']!r} with gate = {chosen['gate']!r}; a routing is imposed "
            "through the signs that a gate reads, use gate = 'signs' or routing = 'measured'."
        )
    chosen["pass_"] = chosen.pop("pass")
    point = Point(**chosen)
    try:
        spec = tree_spec_of(point)
        check_bits(spec)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    # Without several orders every value of the key gives the same case.
    return point if has_orders(spec) else replace(point, order="auto")


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
