"""What ``capratio cost`` prints: a table of rows, or a JSON object a row."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from capratio.cost.closed_form import Cost, closed_form
from capratio.cost.spec import LayerSpec
from capratio.cost.systems.contract import SystemSpec, defaults, option_text
from capratio.display import text_table

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

Tree = tuple[LayerSpec, str]


def tree_json(trees: Sequence[Tree]) -> str:
    """A line a tree, each with the order of its path."""
    lines = []
    for spec, order in trees:
        cost = closed_form(spec, order)
        leaf = {"hidden": spec.hidden} if spec.form == "leaf" else {}
        lines.append(_json_line(cost, {"gate": spec.gate, "bias": spec.bias, "order": cost.order, **leaf}))
    return "\n".join(lines)


def system_json(specs: Sequence[SystemSpec]) -> str:
    """A line a system, with what the law is taken over."""
    visits = [spec.law_visits() for spec in specs]
    return "\n".join(
        _json_line(closed_form(spec), {"visits": {"tokens": reached.tokens, **reached.counts}})
        for spec, reached in zip(specs, visits, strict=True)
    )


def tree_table(trees: Sequence[Tree], values: Mapping[str, Sequence[Any]]) -> str:
    """A row a tree. Args: values: of each option, several of those that have a column."""
    spec, order = trees[0]
    varied = [name for name, known in values.items() if name == "depth" or len(known) > 1]
    fixed = {
        "form": f"{spec.form} form",
        "hidden": f"{spec.hidden} units a leaf" if spec.form == "leaf" else "",
        "gate": f"gate {spec.gate}",
        "order": f"order {order}" if order != "leaves" else "",
        "bias": "" if spec.bias else "without bias",
    }
    words = [text for name, text in fixed.items() if text and name not in varied]
    rows = [[order if name == "order" else getattr(spec, name) for name in varied] for spec, order in trees]
    costs = [closed_form(spec, order) for spec, order in trees]
    return _table([spec.layer, _features(spec), *words], costs, varied, rows)


def system_table(specs: Sequence[SystemSpec], options: Mapping[str, Sequence[str]]) -> str:
    """A row a system, and below it what a token reaches. Args: options: as given, those of several values varied."""
    first, known = specs[0], defaults(type(specs[0]))
    varied = [name for name, values in options.items() if len(values) > 1]
    fixed = [f"{name} {option_text(getattr(first, name))}" for name in known if name not in varied]
    features = _features(first)
    if len({spec.out_features for spec in specs}) > 1:
        features, varied = f"{first.in_features} features", [*varied, "out_features"]
    rows = [[getattr(spec, name) for name in varied] for spec in specs]
    table = _table([first.layer, features, *fixed], [closed_form(spec) for spec in specs], varied, rows)
    return "\n".join([table, "One token reaches:", *_reached(specs, varied)])


def _table(title: Sequence[str], costs: Sequence[Cost], varied: Sequence[str], options: Sequence[Sequence[Any]]) -> str:
    # Only a tree has overhead that is a unit's, and only a ratio may be missing: that of a layer without FLOP.
    columns = {heading: key for heading, key in COLUMNS.items() if all(key in cost.as_row() for cost in costs)}
    rows = []
    for values, cost in zip(options, costs, strict=True):
        numbers = [cost.as_row()[key] for key in columns.values()]
        rows.append([*map(_plain, values), *("no FLOP" if number is None else number for number in numbers)])
    words = [name for name, value in zip(varied, options[0], strict=True) if isinstance(value, str | bool)]
    of = "one token" if all(cost.tokens == 1 for cost in costs) else "one token, its share of what tokens share"
    said = f"{', '.join(title)}; parameters and FLOP of {of}"
    return "\n".join([said, text_table([*varied, *columns], rows, left=words)])


def _reached(specs: Sequence[SystemSpec], varied: Sequence[str]) -> list[str]:
    """What one token visits in the paper's accounting, once where all are alike; where it varies, what is expected."""
    said = []
    for spec in specs:
        visits = spec.law_visits()
        counts = ", ".join(f"{name} {count}" for name, count in visits.counts.items())
        said.append(counts if visits.tokens == 1 else f"{counts} for {visits.tokens} tokens")
    if len(set(said)) == 1:
        return [f"  {said[0]}"]
    rows = [", ".join(f"{name} {_plain(getattr(spec, name))}" for name in varied) for spec in specs]
    return [f"  {row}: {counts}" for row, counts in zip(rows, said, strict=True)]


def _plain(value: object) -> object:
    """A truth value as it is given, and anything else as it is."""
    return option_text(value) if isinstance(value, bool) else value


def _features(spec: LayerSpec | SystemSpec) -> str:
    return f"{spec.in_features} -> {spec.out_features} features"


def _json_line(cost: Cost, also: Mapping[str, Any]) -> str:
    sizes = {"in_features": cost.spec.in_features, "out_features": cost.spec.out_features}
    return json.dumps({**sizes, **cost.as_row(), **also})
