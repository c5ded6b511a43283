"""A layer that is named on the command line, as the case file that says the same."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from capratio.errors import InputError

# Messages and runs name a case file: this one is what stood behind the option.
FILE = "--layer"


def layer_file(
    folder: Path,
    layer: str,
    options: Mapping[str, Sequence[str]],
    replicates: int,
    words: Mapping[str, Sequence[str]],
    integers: Mapping[str, Sequence[int]],
) -> Path:
    """Write the case file of one layer into a folder, and give its path.

    Args: layer: ``package.module:Class``, or the id of a layer of ours. options: the values of each argument of its
    constructor, as text. replicates: fresh processes a case. words, integers: keys of docs/case_files.md with their
    values.

    Raises InputError for a name or a text that cannot be printed.
    """
    lines = [
        f"name = {_quoted(layer)}",
        f"replicates = {replicates}",
        "",
        "[[cases]]",
        f"group = {_quoted(layer)}",
        f"layer = {_quoted(layer)}",
    ]
    lines += [f"{key} = [{', '.join(map(_quoted, values))}]" for key, values in words.items() if values]
    lines += [f"{key} = {list(values)}" for key, values in integers.items() if values]
    if options:
        lines += ["", "[cases.options]"]
        lines += [f"{_quoted(key)} = [{', '.join(map(_toml, values))}]" for key, values in options.items()]
    path = folder / FILE
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def without_place(error: InputError, path: Path) -> InputError:
    """The same error without the place in a file that nobody wrote by hand."""
    return InputError(str(error).replace(f"{path}: cases[1]: ", f"{FILE}: ").replace(f"{path}: ", f"{FILE}: "))


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
