"""The specifications that ``capratio cost`` is asked for: every combination of the values of a layer's options."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from capratio.cli.depths import depth_range
from capratio.errors import InputError

if TYPE_CHECKING:
    from capratio.cost import LayerSpec, SystemSpec

DEPTHS = range(0, 13, 4)
TREE_OPTIONS = ("depth", "form", "gate", "hidden", "order", "bias")


def tree_values(layer: str, flags: Mapping[str, Any], options: Mapping[str, Sequence[str]]) -> dict[str, Sequence[Any]]:
    """The values of each of ``TREE_OPTIONS``: of its flag, else of ``--set``, else the usual ones.

    Args: flags: by option; None where it was not given, depths as a range. options: of ``--set``, as text.

    Raises InputError for an option that a tree does not have, one that is given both ways, or another order.
    """
    from capratio.cost.spec import FORMS_OF, GATES_OF, HIDDEN, ORDERS
    from capratio.names import check_keys, one_of
    from capratio.sweep.options import value_of

    check_keys(dict(options), TREE_OPTIONS, f"--set of {layer}")
    values: dict[str, Sequence[Any]] = {
        "depth": range(1) if layer == "dense" else DEPTHS,
        "form": FORMS_OF[layer][:1],
        "gate": GATES_OF[layer][:1],
        "hidden": [HIDDEN],
        "order": ORDERS[:1],
        "bias": [True],
    }
    for key, value in flags.items():
        if value is not None and key in options:
            raise InputError(f"--{key} and --set {key} were both given for {layer}; give one of them.")
        if value is not None:
            values[key] = value if isinstance(value, range) else [value]
    values |= {key: [value_of(text) for text in texts] for key, texts in options.items() if key != "depth"}
    if "depth" in options:
        values["depth"] = _depths(options["depth"])
    for order in values["order"]:
        one_of(str(order), ORDERS, "the order")
    if not all(isinstance(bias, bool) for bias in values["bias"]):
        raise InputError(f"--set bias was given {', '.join(options['bias'])} for {layer}; give true or false.")
    return values


def _depths(texts: Sequence[str]) -> Sequence[int]:
    """One range, which may be far too long to list, or several depths and ranges."""
    from capratio.cost.spec import MAX_DEPTH

    ranges = [depth_range(text) for text in texts]
    # Enough of each that a depth which is too large is refused.
    return ranges[0] if len(ranges) == 1 else [depth for each in ranges for depth in each[: MAX_DEPTH + 2]]


def tree_specs(
    layer: str, in_features: int, out_features: int | None, values: Mapping[str, Sequence[Any]]
) -> list[tuple["LayerSpec", str]]:
    """A tree, or the dense layer, for each combination of values, with the order of its path.

    Raises InputError for values that it does not take, or more bits than its gate gives.
    """
    from capratio.cost.executed import has_orders
    from capratio.cost.spec import ORDERS, LayerSpec, check_bits

    others = {name: known for name, known in values.items() if name != "depth"}
    specs = []
    # One depth after another, so that of a range without end the first that is too deep is refused.
    for depth in values["depth"]:
        for row in product(*others.values()):
            given = dict(zip(others, row, strict=True))
            order = given.pop("order")
            specs.append((LayerSpec(layer, in_features, out_features or in_features, depth, **given), order))
    for spec, order in specs:
        check_bits(spec)
        if order != ORDERS[0] and not has_orders(spec):
            raise InputError(
                f"order={order!r} was given for {layer} in {spec.form} form, which sums no path; leave it out."
            )
    return specs


def system_specs(
    layer: str, in_features: int, out_features: int | None, options: Mapping[str, Sequence[str]]
) -> list["SystemSpec"]:
    """A system that is no tree, for each combination of the values of its options, written as text.

    Raises InputError for an option that it does not have, or a value that it does not take.
    """
    from capratio.cost.systems.table import SYSTEMS

    system = SYSTEMS[layer]
    rows = [dict(zip(options, values, strict=True)) for values in product(*options.values())]
    return [
        system.from_options(in_features, out_features or system.usual_out_features(in_features, row), row)
        for row in rows
    ]
