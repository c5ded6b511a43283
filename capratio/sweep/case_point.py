"""The point that chosen values of a group stand for: what makes no difference is left out, what no process could
measure is refused.
"""

from dataclasses import replace
from typing import Any

from capratio.cost.executed import has_orders
from capratio.cost.spec import DENSE_GRADIENT, GATES_OF, HIDDEN, MAX_DEPTH, TOUCHED_LAYERS, check_bits
from capratio.cost.systems.contract import LARGEST_SIZE, SystemSpec
from capratio.cost.systems.memory_table import MemoryTableSpec
from capratio.cost.systems.table import SYSTEMS
from capratio.errors import InputError
from capratio.records.record import Point
from capratio.sweep.case import is_user_layer, spec_of, tree_spec_of
from capratio.sweep.case_backend import check_backend

SIZES = ("in_features", "out_features", "hidden", "tokens", "threads")
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


def point_of(chosen: dict[str, Any], where: str) -> Point:
    """The point of one value a key; equal points stand for what is the same.

    Args: chosen: key of a group → its value, known ones; is written to. where: the group's place, for messages.

    Raises InputError, which names the place, for values that are not right together.
    """
    options, layer = chosen.pop("options"), chosen["layer"]
    for key in SIZES:
        if chosen[key] > LARGEST_SIZE:
            raise InputError(f"{where}: {key} = {chosen[key]}; it must be at most {LARGEST_SIZE}.")
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
        assert isinstance(spec, SystemSpec)
        check_system_routing(spec, point.routing)
        _check_ids(spec, point)
        check_backend(point, spec)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
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


def check_system_routing(spec: SystemSpec, routing: str) -> None:
    """Raise InputError for a routing that cannot be imposed on a system, with the option that stands in the way."""
    if routing == "measured" or spec.fixed_routing is None:
        return
    option, other = "", ""
    if spec.fixed_routing:
        option, other = f" and {spec.fixed_routing}", f"another {spec.fixed_routing.partition('=')[0]}, or "
    raise InputError(
        f"routing = {routing!r} with layer = {spec.layer!r}{option}, whose choices no direction of the input imposes; "
        f"use {other}routing = 'measured'."
    )


def _check_ids(spec: SystemSpec, point: Point) -> None:
    """Raise InputError for a table that looks up by token ids which neither the input nor the routing gives."""
    if not isinstance(spec, MemoryTableSpec) or spec.lookup != "ids":
        return
    if point.routing == "measured" and point.input != "text":
        raise InputError(
            f"input = {point.input!r} with layer = {point.layer!r} and lookup=ids has no token ids to look up by; use "
            "input = 'text', or routing = 'uniform', 'zipf' or 'single'."
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
        signs = "gate = 'signs' or " if "signs" in GATES_OF[chosen["layer"]] else ""
        raise InputError(
            f"{where}: routing = {chosen['routing']!r} with gate = {chosen['gate']!r}; a routing is imposed "
            f"through the signs that a gate reads, use {signs}routing = 'measured'."
        )
    chosen["pass_"] = chosen.pop("pass")
    point = Point(**chosen)
    try:
        spec = tree_spec_of(point)
        check_bits(spec)
        check_backend(point, None)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    # Without several orders every value of the key gives the same case.
    return point if has_orders(spec) else replace(point, order="auto")
