"""``--set key=value``: options of a layer as a person writes them, each with one value or several."""

from collections.abc import Sequence

import click

# These would be taken for texts, and a text is true.
NO_TEXTS = {
    "True": "write true",
    "False": "write false",
    "None": "leave the option out",
    "null": "leave the option out",
}


def option_values(ctx: click.Context, param: click.Parameter, given: Sequence[str]) -> dict[str, list[str]]:
    """The values of each option: ``("experts=16,64", "top_k=2")`` → ``{"experts": ["16", "64"], "top_k": ["2"]}``.

    Raises BadParameter for anything that is not ``key=value``, an option or a value that is given twice, or a value
    that would be taken for a text and is none.
    """
    options: dict[str, list[str]] = {}
    for text in given:
        key, equals, values = text.partition("=")
        if not equals or not key.isidentifier() or not all(values.split(",")):
            raise click.BadParameter(f"{text!r} is not key=value, or key=value,value such as experts=16,64.")
        if key in options:
            raise click.BadParameter(f"{key} is given twice; give all its values at once, {key}=value,value.")
        options[key] = values.split(",")
        if len(set(options[key])) < len(options[key]):
            raise click.BadParameter(f"{text!r} holds a value twice; give each once.")
        for value in options[key]:
            _check_plain(text, value)
    return options


def _check_plain(text: str, value: str) -> None:
    if value in NO_TEXTS:
        raise click.BadParameter(f"{text!r} holds {value}; {NO_TEXTS[value]}.")
    if value.startswith(("[", "{", "(")):
        raise click.BadParameter(f"{text!r} holds a list or a table; an option is a number, true, false or a text.")
