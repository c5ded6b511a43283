"""``capratio cost``: the closed forms of a layer, over the depth of a tree or the options of another system."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from capratio.cli.depths import depths as parse_depths
from capratio.cli.layer_command import LayerCommand
from capratio.cli.option_values import option_values

if TYPE_CHECKING:
    from capratio.cost import Cost, LayerSpec, SystemSpec

# A side longer than this could not be stored by any machine at hand, and its figures would not fit a line.
WIDEST = 2**31 - 1
FEATURES = 256
DEPTHS = range(0, 13, 4)

# Heading → key; --json gives every key.
COLUMNS = {
    "parameters": "parameters",
    "touched": "touched_parameters",
    "product": "product_flop",
    "overhead": "overhead_flop",
    "a unit": "overhead_flop_per_unit",
    "gating": "gating_flop",
    "bias": "bias_flop",
    "routing": "routing_operations",
    "capacity ratio": "capacity_ratio",
    "of all": "capacity_ratio_all",
}
TREE_OPTIONS = ("depth", "form", "gate", "hidden", "order", "bias")


@click.command(cls=LayerCommand, short_help="Print the closed forms of a layer.")
@click.argument("layer")
@click.option(
    "--in-features", type=click.IntRange(1, WIDEST), default=FEATURES, show_default=True, help="Input features p."
)
@click.option(
    "--out-features",
    type=click.IntRange(1, WIDEST),
    show_default="p; 2p of a memory-table that concatenates",
    help="Output features q.",
)
@click.option(
    "--depth",
    "depths",
    callback=parse_depths,
    metavar="K|K:K|K:K:STEP",
    show_default="0:12:4",
    help="Depth k of a tree, or a range such as 0:12, its ends included.",
)
@click.option(
    "--form",
    type=click.Choice(["path", "collapsed", "leaf"]),
    show_default="the tree's first: path, or leaf",
    help="What a tree stores.",
)
@click.option(
    "--gate",
    type=click.Choice(["signs", "hyperplanes", "thresholds", "descent"]),
    show_default="the tree's first: signs, or descent",
    help="What gives the bits.",
)
@click.option(
    "--hidden",
    type=click.IntRange(1, WIDEST),
    show_default="32",
    help="Units of a leaf's network, where leaves of a tree have one.",
)
@click.option(
    "--order",
    type=click.Choice(["leaves", "prefixes", "nodes"]),
    show_default="leaves",
    help="How a shared path is computed; leaves is the paper's accounting.",
)
@click.option("--bias/--no-bias", default=None, show_default="bias", help="Of a tree.")
@click.option(
    "--set",
    "options",
    multiple=True,
    callback=option_values,
    metavar="KEY=VALUE[,VALUE…]",
    help="An option of another system; several values give a row each.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a row and line.")
def cost(
    layer: str,
    in_features: int,
    out_features: int | None,
    depths: range | None,
    form: str | None,
    gate: str | None,
    hidden: int | None,
    order: str | None,
    bias: bool | None,
    options: dict[str, list[str]],
    as_json: bool,
) -> None:
    """Print what one token costs in LAYER by its closed form: exact integers, 1 multiply-add = 2 FLOP.

    LAYER is an id of `capratio list layers`: dense, a tree, which has a depth, or another system, which has options.

    \b
    Example:
      capratio cost tree --in-features 512 --out-features 512 --depth 0:12
      capratio cost tree-unit --depth 0:12:4 --json
      capratio cost moe-sparse --set experts=16,64,256 --set top_k=2
    """
    from capratio.cost.layer_names import layer_id
    from capratio.cost.systems.table import SYSTEMS

    name = layer_id(layer)
    given = dict(zip(TREE_OPTIONS, (depths, form, gate, hidden, order, bias), strict=True))
    if name in SYSTEMS:
        _refuse([f"--{key}" for key, value in given.items() if value is not None], name, "--set key=value")
        _print_system(_system_specs(name, in_features, out_features, options), options, as_json)
    else:
        _refuse_set(options, name)
        sizes = in_features, out_features or in_features
        tree = _tree_specs(name, sizes, depths, form, gate, hidden, bias)
        _print_tree(tree, order or "leaves", as_json)


def _refuse(given: list[str], layer: str, instead: str) -> None:
    from capratio.errors import InputError

    if given:
        raise InputError(f"{given[0]} was given for {layer}, which does not have it; its options are {instead}.")


def _refuse_set(options: dict[str, list[str]], layer: str) -> None:
    from capratio.errors import InputError

    if not options:
        return
    key, (value, *_) = next(iter(options.items()))
    mended = f"write --{key} {value}" if key in TREE_OPTIONS else f"its options are {_flags(TREE_OPTIONS)}"
    raise InputError(f"--set {key} was given for {layer}, whose options have flags of their own; {mended}.")


def _flags(keys: Sequence[str]) -> str:
    return ", ".join(f"--{key}" for key in keys)


def _tree_specs(
    layer: str,
    sizes: tuple[int, int],
    depths: range | None,
    form: str | None,
    gate: str | None,
    hidden: int | None,
    bias: bool | None,
) -> list["LayerSpec"]:
    from capratio.cost.spec import FORMS_OF, GATES_OF, HIDDEN, LayerSpec, check_bits

    specs = [
        LayerSpec(
            layer,
            *sizes,
            depth,
            form or FORMS_OF[layer][0],
            bias is not False,
            gate or GATES_OF[layer][0],
            hidden=hidden or HIDDEN,
        )
        for depth in depths or (range(1) if layer == "dense" else DEPTHS)
    ]
    for spec in specs:
        check_bits(spec)
    return specs


def _print_tree(specs: list["LayerSpec"], order: str, as_json: bool) -> None:
    from capratio.cost.closed_form import closed_form

    costs, spec = [closed_form(spec, order) for spec in specs], specs[0]
    leaf = spec.form == "leaf"
    if as_json:
        return _print_json(costs, {"hidden": spec.hidden} if leaf else {})
    units = f" by {spec.hidden} units a leaf" if leaf else ""
    title = f"{spec.layer}, {spec.form} form, {_features(spec)}{units}, gate {spec.gate}"
    _print_table(title, costs, ["depth"])


def _system_specs(
    layer: str, in_features: int, out_features: int | None, options: dict[str, list[str]]
) -> list["SystemSpec"]:
    from itertools import product

    from capratio.cost.systems.table import SYSTEMS

    system = SYSTEMS[layer]
    rows = [dict(zip(options, values, strict=True)) for values in product(*options.values())]
    return [
        system.from_options(in_features, out_features or system.usual_out_features(in_features, row), row)
        for row in rows
    ]


def _print_system(specs: list["SystemSpec"], options: dict[str, list[str]], as_json: bool) -> None:
    from capratio.cost.closed_form import closed_form
    from capratio.cost.systems.contract import defaults, option_text

    costs = [closed_form(spec) for spec in specs]
    if as_json:
        return _print_json(costs, {})
    varied = [name for name, values in options.items() if len(values) > 1]
    features = _features(specs[0])
    if len({spec.out_features for spec in specs}) > 1:
        features, varied = f"{specs[0].in_features} features", [*varied, "out_features"]
    fixed = [
        f"{name} {option_text(getattr(specs[0], name))}" for name in defaults(type(specs[0])) if name not in varied
    ]
    _print_table(f"{specs[0].layer}, {features}, {', '.join(fixed)}", costs, varied)
    click.echo("\n".join(["One token reaches:", *dict.fromkeys(map(_reached, specs))]))


def _reached(spec: "SystemSpec") -> str:
    """What one token visits in the paper's accounting; where that varies, what is expected."""
    return "  " + ", ".join(f"{name} {count}" for name, count in spec.one_token().counts.items())


def _features(spec: "LayerSpec | SystemSpec") -> str:
    return f"{spec.in_features} -> {spec.out_features} features"


def _print_json(costs: list["Cost"], also: dict[str, int]) -> None:
    import json

    for each in costs:
        sizes = {"in_features": each.spec.in_features, "out_features": each.spec.out_features}
        click.echo(json.dumps(sizes | also | each.as_row()))


def _print_table(title: str, costs: list["Cost"], varied: list[str]) -> None:
    from capratio.display import text_table

    click.echo(f"{title}; parameters and FLOP of one token")
    rows = [[getattr(each.spec, name) for name in varied] + _columns(each) for each in costs]
    click.echo(text_table([*varied, *COLUMNS], rows))


def _columns(cost: "Cost") -> list[str | int | float]:
    row = cost.as_row()
    if not cost.flop.product + cost.flop.overhead:
        row["capacity_ratio"] = "no FLOP"
    if not cost.flop.total + cost.routing_operations:
        row["capacity_ratio_all"] = "no FLOP"
    return [row[key] for key in COLUMNS.values()]
