"""``capratio cost``: the closed forms of a layer over its depth."""

import click

from capratio.cli.depths import depths as parse_depths

# A side longer than this could not be stored by any machine at hand, and its figures would not fit a line.
WIDEST = 2**31 - 1

# Heading → key; --json gives every key.
COLUMNS = {
    "depth": "depth",
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


@click.command(short_help="Print the closed forms of a layer over its depth.")
@click.argument("layer")
@click.option("--in-features", type=click.IntRange(1, WIDEST), required=True, help="Input features p.")
@click.option("--out-features", type=click.IntRange(1, WIDEST), required=True, help="Output features q.")
@click.option(
    "--depth",
    "depths",
    callback=parse_depths,
    required=True,
    metavar="K|K:K|K:K:STEP",
    help="Depth k, or a range such as 0:12, its ends included.",
)
@click.option(
    "--form",
    type=click.Choice(["path", "collapsed", "leaf"]),
    default="path",
    show_default=True,
    help="What is stored.",
)
@click.option(
    "--gate",
    type=click.Choice(["signs", "hyperplanes", "thresholds", "descent"]),
    show_default="the layer's first: signs, or descent",
    help="What gives the bits.",
)
@click.option(
    "--hidden",
    type=click.IntRange(1, WIDEST),
    default=32,
    show_default=True,
    help="Units of a leaf's network, where leaves have one.",
)
@click.option(
    "--order",
    type=click.Choice(["leaves", "prefixes", "nodes"]),
    default="leaves",
    show_default=True,
    help="How a shared path is computed; leaves is the paper's accounting.",
)
@click.option("--bias/--no-bias", default=True, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a depth and line.")
def cost(
    layer: str,
    in_features: int,
    out_features: int,
    depths: range,
    form: str,
    gate: str | None,
    hidden: int,
    order: str,
    bias: bool,
    as_json: bool,
) -> None:
    """Print what one token costs in LAYER by its closed form: exact integers, 1 multiply-add = 2 FLOP.

    LAYER is dense, tree-shared (or tree), tree-unit, tree-bias or fast-feedforward.

    \b
    Example:
      capratio cost tree --in-features 512 --out-features 512 --depth 0:12
      capratio cost tree-unit --in-features 512 --out-features 512 --depth 0:12:4 --json
    """
    import json

    from capratio.cost.closed_form import closed_form
    from capratio.cost.layer_names import layer_id
    from capratio.cost.spec import GATES_OF, LayerSpec, check_bits
    from capratio.display import text_table

    name = layer_id(layer)
    gate = gate or GATES_OF[name][0]
    specs = [LayerSpec(name, in_features, out_features, depth, form, bias, gate, hidden=hidden) for depth in depths]
    for spec in specs:
        check_bits(spec)
    costs = [closed_form(spec, order) for spec in specs]
    if as_json:
        sizes = {"in_features": in_features, "out_features": out_features}
        sizes |= {"hidden": hidden} if form == "leaf" else {}
        for each in costs:
            click.echo(json.dumps(sizes | each.as_row()))
        return
    units = f" by {hidden} units a leaf" if form == "leaf" else ""
    click.echo(
        f"{name}, {form} form, {in_features} -> {out_features} features{units}, gate {gate}; parameters and FLOP of "
        "one token"
    )
    rows = [each.as_row() for each in costs]
    click.echo(text_table(list(COLUMNS), [[row[key] for key in COLUMNS.values()] for row in rows]))
