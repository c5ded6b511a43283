"""A layer that is named on the command line, as the case file that says the same."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from capratio.cli.cost_specs import TREE_OPTIONS
from capratio.errors import InputError

# Messages and runs name a case file: this one is what stood behind the option.
FILE = "--layer"
# What a tree has in place of options: keys of a case file's group.
TREE_KEYS = (*TREE_OPTIONS, "weight_gradient")


def layer_file(
    folder: Path,
    layer: str,
    options: Mapping[str, Sequence[str]],
    replicates: int,
    keys: Mapping[str, Sequence[str | int]],
) -> Path:
    """Write the case file of one layer into a folder, and give its path; one of ours claims its exact counts.

    Args: layer: ``package.module:Class``, or the id of a layer of ours. options: the values of each argument of its
    constructor, as text; of a tree those of TREE_KEYS, of which the form is the tree's first where it is not given.
    replicates: fresh processes a case. keys: of docs/case_files.md, with their values; one without is left out.

    Raises InputError for a name or a text that cannot be printed, or an option that a tree does not have.
    """
    lines = [
        f"name = {_quoted(layer)}",
        f"replicates = {replicates}",
        "",
        "[[cases]]",
        f"group = {_quoted(layer)}",
        f"layer = {_quoted(layer)}",
        f"claims = [{', '.join(map(_quoted, _usual_claims(layer)))}]",
    ]
    lines += [
        f"{key} = [{', '.join(str(value) if isinstance(value, int) else _quoted(value) for value in values)}]"
        for key, values in keys.items()
        if values
    ]
    # Without features of the output each case has those of its input; what appends to its input has more by itself.
    if (
        len(keys.get("in_features", ())) > 1
        and not keys.get("out_features")
        and "concat" not in options.get("consumption", ())
    ):
        lines.append("square = true")
    given = [f"{_quoted(key)} = [{', '.join(map(_toml, values))}]" for key, values in options.items()]
    usual_form = _usual_form(layer)
    if usual_form is not None:
        _check_tree(layer, options)
        lines += given if "form" in options else [*given, f"form = {_quoted(usual_form)}"]
    elif given:
        lines += ["", "[cases.options]", *given]
    path = folder / FILE
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def without_place(error: InputError, path: Path) -> InputError:
    """The same error without the place in a file that nobody wrote by hand."""
    return InputError(str(error).replace(f"{path}: cases[1]: ", f"{FILE}: ").replace(f"{path}: ", f"{FILE}: "))


def _usual_form(layer: str) -> str | None:
    """The form of a tree, or of the dense layer, where none is given; None of another layer."""
    from capratio.cost.layer_names import LAYER_ALIASES
    from capratio.cost.spec import FORMS_OF

    forms = FORMS_OF.get(LAYER_ALIASES.get(layer, layer))
    return None if forms is None else forms[0]


def _usual_claims(layer: str) -> tuple[str, ...]:
    """The exact laws of what any case of a layer counts; none of a layer from outside."""
    from capratio.cost.layer_names import LAYER_ALIASES
    from capratio.cost.spec import LAYERS
    from capratio.cost.systems.table import SYSTEMS

    name = LAYER_ALIASES.get(layer, layer)
    if name in SYSTEMS:
        return ("system-counts",)
    if name == "fast-feedforward":
        return ("fast-feedforward-counts",)
    return ("executed-flop", "touched-parameters") if name in LAYERS else ()


def _check_tree(layer: str, options: Mapping[str, Sequence[str]]) -> None:
    from capratio.names import check_keys

    check_keys(dict(options), TREE_KEYS, f"{FILE}: the options of {layer}")


def _toml(text: str) -> str:
    """A number, a truth value or a text in JSON's quotes is the value that it says; everything else is a text."""
    from capratio.sweep.options import value_of

    value = value_of(text)
    if isinstance(value, str):
        return _quoted(value)
    return json.dumps(value) if isinstance(value, bool) else repr(value)


def _quoted(text: str) -> str:
    if not text.isprintable():
        raise InputError(f"{FILE}: {text!r} holds what cannot be printed; give names and values in plain text.")
    return json.dumps(text, ensure_ascii=False)
