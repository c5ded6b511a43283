"""``capratio list``: the names that cases and commands understand."""

from collections.abc import Sequence

import click

KINDS = ("layers", "cases", "claims")
# What follows a kind's name in the line above its list.
ABOUT = {
    "layers": ", each with its options and their defaults; of several words the first is the default",
    "cases": ", files that `capratio sweep` takes by these names, and how many cases each holds",
    "claims": ", each with its law",
}
WIDTH = 100
NAME_WIDTH = 18


@click.command("list", short_help="Print the names of layers, case files and claims.")
@click.argument("kinds", nargs=-1, type=click.Choice(KINDS))
def list_names(kinds: tuple[str, ...]) -> None:
    """Print the layers, the bundled case files and the claims, or those KINDS that are named.

    Options of a layer are what `capratio cost ID --set` and `capratio sweep --layer ID --set` take. Without a depth
    `capratio cost` shows a tree at several.

    \b
    Example:
      capratio list
      capratio list claims
    """
    tables = {"layers": _layers, "cases": _cases, "claims": _claims}
    for place, kind in enumerate(kinds or KINDS):
        if place:
            click.echo()
        click.echo(kind + ABOUT.get(kind, ""))
        click.echo(tables[kind]())


def _layers() -> str:
    from inspect import getmodule

    from capratio.cost.closed_forms.table import CLOSED_FORMS
    from capratio.cost.layer_names import LAYER_ALIASES
    from capratio.cost.spec import FORMS_OF, GATES_OF, HIDDEN
    from capratio.cost.systems.contract import defaults, option_text
    from capratio.cost.systems.table import SYSTEMS

    also = {layer: f" Also: {alias}." for alias, layer in LAYER_ALIASES.items()}
    entries = []
    for layer, form in CLOSED_FORMS.items():
        words = {"form": FORMS_OF[layer], "gate": GATES_OF[layer]}
        # A dense layer has neither leaves nor bits.
        tree = ["depth=0", *(f"{name}={'|'.join(known)}" for name, known in words.items())]
        options = [*([] if layer == "dense" else tree), "bias=true"]
        options += [f"hidden={HIDDEN}"] if "leaf" in FORMS_OF[layer] else []
        # The file of a closed form says what the layer is, its class what the layer costs.
        said = _first_sentence(getattr(getmodule(form), "__doc__", None))
        entries.append(_entry(layer, said + also.get(layer, ""), options))
    for layer, system in SYSTEMS.items():
        options = [
            f"{name}={'|'.join([option_text(value), *_others(system.words.get(name, ()), value)])}"
            for name, value in defaults(system).items()
        ]
        entries.append(_entry(layer, _first_sentence(getattr(getmodule(system), "__doc__", None)), options))
    return "\n".join(entries)


def _others(words: Sequence[str], default: str) -> list[str]:
    return [word for word in words if word != default]


def _entry(name: str, sentence: str, options: Sequence[str] = (), width: int = NAME_WIDTH) -> str:
    """A name with what it is, and below that its options, within the lines of a terminal."""
    from textwrap import wrap

    hanging = " " * width
    lines = wrap(sentence, WIDTH, initial_indent=name.ljust(width), subsequent_indent=hanging)
    further = hanging + "  "
    return "\n".join(
        [
            *lines,
            *wrap(
                " ".join(options),
                WIDTH,
                initial_indent=further,
                subsequent_indent=further,
                break_on_hyphens=False,
            ),
        ]
    )


def _cases() -> str:
    from capratio.sweep.case_file import bundled_case_files, read_case_files, read_suites

    entries, files = [], bundled_case_files()
    longest = max(map(len, files))
    for name, path in files.items():
        (suite,) = read_suites([path])
        counted = f"{name:<{longest}}{len(read_case_files([path])):>6}"
        entries.append(_entry(counted, suite.title, width=longest + 8))
    # On a line of its own, since a folder may be wider than a terminal.
    return "\n".join([*entries, "The files lie in", str(next(iter(files.values())).parent)])


def _claims() -> str:
    from capratio.scaling.claims import CLAIMS

    width = max(map(len, CLAIMS)) + 2
    return "\n".join(_entry(claim, _first_sentence(kind.__doc__), width=width) for claim, kind in CLAIMS.items())


def _first_sentence(docstring: str | None) -> str:
    return " ".join((docstring or "").partition("\n\n")[0].split())
