"""Answers counted by hand in a case file, held against the closed forms before anything is measured."""

from typing import Any

from capratio.cost import closed_form
from capratio.cost.spec import LayerSpec
from capratio.cost.systems.contract import SystemSpec
from capratio.errors import InputError
from capratio.names import check_keys

SELECTORS = ("layer", "form", "in_features", "out_features", "depth", "hidden", "gate", "bias")
QUANTITIES = (
    "parameters",
    "weight_parameters",
    "touched_parameters",
    "product_flop",
    "overhead_flop",
    "gating_flop",
    "bias_flop",
    "routing_operations",
    "overhead_flop_per_unit",
)


def check_expected(expected: object, specs: list[LayerSpec | SystemSpec], where: str) -> None:
    """Hold each hand-counted answer against the closed form of every case that it selects.

    Raises InputError where an answer selects no case, names no quantity, or differs from the closed form.
    """
    if not isinstance(expected, list):
        raise InputError(f"{where}: expected is {expected!r}; give [[cases.expected]] tables.")
    for answer in expected:
        check_keys(answer, ("options", *SELECTORS, *QUANTITIES), f"{where}: expected")
        selected = [spec for spec in dict.fromkeys(specs) if _selects(answer, spec)]
        counted = [key for key in answer if key in QUANTITIES]
        if not counted:
            raise InputError(f"{where}: expected names no quantity; give one of {', '.join(QUANTITIES)}.")
        if not selected:
            chosen = ", ".join(f"{key} = {value!r}" for key, value in answer.items() if key in SELECTORS)
            raise InputError(
                f"{where}: expected selects no case of its group by {chosen}; mend a value or leave it out."
            )
        for spec in selected:
            _check(answer, counted, spec, where)


def _selects(answer: dict[str, Any], spec: LayerSpec | SystemSpec) -> bool:
    options = answer.get("options", {})
    if any(getattr(spec, name, None) != value for name, value in options.items()):
        return False
    # A size or a form that a layer does not have is not its own, whatever the answer says.
    return all(answer[key] == getattr(spec, key, None) for key in SELECTORS if key in answer)


def _check(answer: dict[str, Any], counted: list[str], spec: LayerSpec | SystemSpec, where: str) -> None:
    row = closed_form(spec).as_row()
    for key in counted:
        if key not in row:
            raise InputError(f"{where}: expected {key} was given for {spec.layer}, which has none; leave it out.")
        if answer[key] != row[key]:
            raise InputError(
                f"{where}: expected {key} = {answer[key]!r} by hand, but the closed form of {_in_words(spec)} "
                f"gives {row[key]}; count again."
            )


def _in_words(spec: LayerSpec | SystemSpec) -> str:
    if isinstance(spec, SystemSpec):
        options = "".join(f", {name} {value}" for name, value in spec.options.items())
        return f"{spec.layer} ({spec.in_features} -> {spec.out_features} features{options})"
    bias = "with bias" if spec.bias else "without bias"
    units = f" by {spec.hidden} units a leaf" if spec.form == "leaf" else ""
    return (
        f"{spec.layer} ({spec.form} form, {spec.in_features} -> {spec.out_features} features{units}, "
        f"depth {spec.depth}, gate {spec.gate}, {bias})"
    )
