"""``capratio list``: the names that cases and commands understand."""

import click

KINDS = ("layers", "cases", "claims")


@click.command("list", short_help="Print the names of layers, case files and claims.")
@click.argument("kinds", nargs=-1, type=click.Choice(KINDS))
def list_names(kinds: tuple[str, ...]) -> None:
    """Print the layers, the bundled case files and the claims, or those KINDS that are named.

    \b
    Example:
      capratio list
      capratio list claims
    """
    tables = {"layers": _layers, "cases": _cases, "claims": _claims}
    for place, kind in enumerate(kinds or KINDS):
        if place:
            click.echo()
        click.echo(kind)
        click.echo(tables[kind]())


def _layers() -> str:
    from inspect import getmodule

    from capratio.cost.closed_forms.table import CLOSED_FORMS
    from capratio.cost.layer_names import LAYER_ALIASES
    from capratio.cost.spec import FORMS_OF, GATES_OF
    from capratio.cost.systems.table import SYSTEMS
    from capratio.display import text_table

    also = {layer: alias for alias, layer in LAYER_ALIASES.items()}
    rows = []
    for layer, form in CLOSED_FORMS.items():
        # A dense layer has neither leaves nor bits.
        forms, gates = (None, None) if layer == "dense" else (", ".join(FORMS_OF[layer]), ", ".join(GATES_OF[layer]))
        # The file of a closed form says what the layer is, its class what the layer costs.
        rows.append((layer, also.get(layer), forms, gates, _first_sentence(getattr(getmodule(form), "__doc__", None))))
    for layer, system in SYSTEMS.items():
        rows.append((layer, None, None, None, _first_sentence(getattr(getmodule(system), "__doc__", None))))
    headers = ["layer", "also", "forms", "gates", "what it is"]
    return text_table(headers, rows, left=headers)


def _cases() -> str:
    from capratio.display import text_table
    from capratio.sweep.case_file import bundled_case_files, read_case_files, read_suites

    rows = []
    for name, path in sorted(bundled_case_files().items()):
        (suite,) = read_suites([path])
        rows.append((name, len(read_case_files([path])), suite.title or None, str(path)))
    return text_table(["file", "cases", "title", "path"], rows, left=["file", "title", "path"])


def _claims() -> str:
    from capratio.display import text_table
    from capratio.scaling.claims import CLAIMS

    rows = [(claim, _first_sentence(kind.__doc__)) for claim, kind in CLAIMS.items()]
    return text_table(["claim", "law"], rows, left=["claim", "law"])


def _first_sentence(docstring: str | None) -> str:
    return " ".join((docstring or "").partition("\n\n")[0].split())
