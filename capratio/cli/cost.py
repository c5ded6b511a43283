"""``capratio cost``: the closed forms of a layer, over the depth of a tree or the options of another system."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from capratio.cli.cost_specs import TREE_OPTIONS, system_specs, tree_specs, tree_values
from capratio.cli.depths import depths as parse_depths
from capratio.cli.layer_command import LayerCommand
from capratio.cli.option_values import option_values

if TYPE_CHECKING:
    from capratio.cost import Cost, LayerSpec, SystemSpec

# A side longer than this could not be stored by any machine at hand, and its figures would not fit a line.
WIDEST = 2**31 - 1
FEATURES = 256

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
    help="An option of a system, or depth, form and the like of a tree; several values give a row each.",
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
    flags = dict(zip(TREE_OPTIONS, (depths, form, gate, hidden, order, bias), strict=True))
    if name in SYSTEMS:
        _refuse([f"--{key}" for key, value in flags.items() if value is not None], name)
        _print_system(system_specs(name, in_features, out_features, options), options, as_json)
    else:
        values = tree_values(name, flags, options)
        _print_tree(tree_specs(name, in_features, out_features, values), values, as_json)


def _refuse(given: list[str], layer: str) -> None:
    from capratio.errors import InputError

    if given:
        raise InputError(f"{given[0]} was given for {layer}, which does not have it; its options are --set key=value.")


def _print_tree(specs: list[tuple["LayerSpec", str]], values: dict[str, Sequence[Any]], as_json: bool) -> None:
    from capratio.cost.closed_form import closed_form

    costs = [closed_form(spec, order) for spec, order in specs]
    if as_json:
        for each, (spec, _) in zip(costs, specs, strict=True):
            leaf = {"hidden": spec.hidden} if spec.form == "leaf" else {}
            _print_json(each, {"gate": spec.gate, "bias": spec.bias, "order": each.order, **leaf})
        return
    spec, order = specs[0]
    varied = [name for name, known in values.items() if name != "depth" and len(known) > 1]
    fixed = {
        "form": f"{spec.form} form",
        "hidden": f"{spec.hidden} units a leaf" if spec.form == "leaf" else "",
        "gate": f"gate {spec.gate}",
        "order": f"order {order}" if order != "leaves" else "",
    }
    words = [text for name, text in fixed.items() if text and name not in varied]
    rows = [[order if name == "order" else getattr(spec, name) for name in ("depth", *varied)] for spec, order in specs]
    _print_table(", ".join([spec.layer, _features(spec), *words]), costs, ["depth", *varied], rows)


def _print_system(specs: list["SystemSpec"], options: dict[str, list[str]], as_json: bool) -> None:
    from capratio.cost.closed_form import closed_form
    from capratio.cost.systems.contract import defaults, option_text

    costs = [closed_form(spec) for spec in specs]
    if as_json:
        for each, spec in zip(costs, specs, strict=True):
            reached = spec.law_visits()
            _print_json(each, {"visits": {"tokens": reached.tokens, **reached.counts}})
        return
    varied = [name for name, values in options.items() if len(values) > 1]
    features = _features(specs[0])
    if len({spec.out_features for spec in specs}) > 1:
        features, varied = f"{specs[0].in_features} features", [*varied, "out_features"]
    fixed = [
        f"{name} {option_text(getattr(specs[0], name))}" for name in defaults(type(specs[0])) if name not in varied
    ]
    rows = [[getattr(spec, name) for name in varied] for spec in specs]
    _print_table(f"{specs[0].layer}, {features}, {', '.join(fixed)}", costs, varied, rows)
    click.echo("\n".join(["One token reaches:", *_reached(specs, varied)]))


def _reached(specs: list["SystemSpec"], varied: list[str]) -> list[str]:
    """What one token visits in the paper's accounting, once where all are alike; where it varies, what is expected."""
    said = []
    for spec in specs:
        visits = spec.law_visits()
        counts = ", ".join(f"{name} {count}" for name, count in visits.counts.items())
        said.append(counts if visits.tokens == 1 else f"{counts} for {visits.tokens} tokens")
    if len(set(said)) == 1:
        return [f"  {said[0]}"]
    rows = [", ".join(f"{name} {getattr(spec, name)}" for name in varied) for spec in specs]
    return [f"  {row}: {counts}" for row, counts in zip(rows, said, strict=True)]


def _features(spec: "LayerSpec | SystemSpec") -> str:
    return f"{spec.in_features} -> {spec.out_features} features"


def _print_json(cost: "Cost", also: dict[str, Any]) -> None:
    import json

    sizes = {"in_features": cost.spec.in_features, "out_features": cost.spec.out_features}
    click.echo(json.dumps(sizes | cost.as_row() | also))


def _print_table(title: str, costs: list["Cost"], varied: list[str], options: list[list[Any]]) -> None:
    from capratio.display import text_table

    click.echo(f"{title}; parameters and FLOP of one token")
    # Only a tree has overhead that is a unit's.
    columns = [(heading, key) for heading, key in COLUMNS.items() if all(key in each.as_row() for each in costs)]
    rows = [
        [*values, *_columns(each, [key for _, key in columns])] for values, each in zip(options, costs, strict=True)
    ]
    click.echo(text_table([*varied, *(heading for heading, _ in columns)], rows))


def _columns(cost: "Cost", keys: list[str]) -> list[str | int | float]:
    row = cost.as_row()
    if not cost.flop.product + cost.flop.overhead:
        row["capacity_ratio"] = "no FLOP"
    if not cost.flop.total + cost.routing_operations:
        row["capacity_ratio_all"] = "no FLOP"
    return [row[key] for key in keys]
