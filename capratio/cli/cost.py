"""``capratio cost``: the closed forms of a layer, over the depth of a tree or the options of another system."""

from typing import Any

import click

from capratio.cli.cost_specs import system_specs, tree_specs, tree_values
from capratio.cli.depths import depths as parse_depths
from capratio.cli.layer_command import LayerCommand
from capratio.cli.option_values import option_values

# A side longer than this could not be stored by any machine at hand, and its figures would not fit a line.
WIDEST = 2**31 - 1
FEATURES = 256


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
    metavar="[path|collapsed|leaf]",
    show_default="the tree's first: path, or leaf",
    help="What a tree stores.",
)
@click.option(
    "--gate",
    metavar="[signs|hyperplanes|thresholds|descent]",
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
    from capratio.cli.cost_text import system_json, system_table, tree_json, tree_table
    from capratio.cost.layer_names import layer_id
    from capratio.cost.systems.table import SYSTEMS

    name = layer_id(layer)
    flags = {"depth": depths, "form": form, "gate": gate, "hidden": hidden, "order": order, "bias": bias}
    if name in SYSTEMS:
        _refuse(flags, name)
        specs = system_specs(name, in_features, out_features, options)
        text = system_json(specs) if as_json else system_table(specs, options)
    else:
        values = tree_values(name, flags, options)
        trees = tree_specs(name, in_features, out_features, values)
        text = tree_json(trees) if as_json else tree_table(trees, values)
    click.echo(text)


def _refuse(flags: dict[str, Any], layer: str) -> None:
    """Raise InputError for a flag of trees that was given for another system, with the way to write it."""
    from capratio.cost.systems.contract import defaults
    from capratio.cost.systems.table import SYSTEMS
    from capratio.errors import InputError

    for key, value in flags.items():
        if value is None:
            continue
        words = SYSTEMS[layer].words.get(key, (value,))
        if key in defaults(SYSTEMS[layer]):
            written = value if value in words else "|".join(words)
            raise InputError(f"--{key} is the flag of trees; for {layer} write --set {key}={written}.")
        raise InputError(f"--{key} was given for {layer}, which does not have it; its options are --set key=value.")
