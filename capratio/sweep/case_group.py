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
from capratio.errors import InputError
from capratio.names import one_of
from capratio.records.record import Point
from capratio.sweep.case import Case, Sampling, spec_of
from capratio.sweep.expected import check_expected
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
    cases: dict[str, Case] = {}
    for values in product(*swept.values()):
        chosen = dict(zip(swept, values, strict=True))
        if square and chosen["in_features"] != chosen["out_features"]:
            continue
        case = Case(_point(chosen, where), suite, name, replicates, claims, sampling)
        cases.setdefault(case.id, case)
    check_expected(group.get("expected", []), [spec_of(case.point) for case in cases.values()], where)
    return list(cases.values())


def _layer(name: str, where: str) -> str:
    try:
        return layer_id(name)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _point(chosen: dict[str, Any], where: str) -> Point:
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
    if chosen["pass"] == "decode" and chosen["tokens"] != 1:
        raise InputError(
            f"{where}: pass = 'decode' with tokens = {chosen['tokens']}; decoding is one token, use tokens = 1."
        )
    if chosen["tokens"] < 0 or chosen["threads"] < 1:
        raise InputError(
            f"{where}: tokens = {chosen['tokens']} and threads = {chosen['threads']}; give tokens of 0 or more and "
            "threads of 1 or more."
        )
    if chosen["routing"] != "measured" and chosen["gate"] != "signs":
        raise InputError(
            f"{where}: routing = {chosen['routing']!r} with gate = {chosen['gate']!r}; a routing is imposed "
            "through the signs that a gate reads, use gate = 'signs' or routing = 'measured'."
        )
    chosen["pass_"] = chosen.pop("pass")
    point = Point(**chosen)
    try:
        spec = spec_of(point)
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
