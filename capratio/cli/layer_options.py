"""Options that describe one layer on the command line, those of ``sweep`` and of ``profile``."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import click

from capratio.cli.layer_file import layer_file, without_place
from capratio.cli.option_values import option_values
from capratio.errors import InputError

Command = TypeVar("Command", bound=Callable[..., Any])

# Keys of docs/case_files.md with their words, the default first; written out, so that help imports no table of cases.
WORDS: dict[str, tuple[str, ...]] = {
    "pass": ("forward", "forward-grad", "decode", "train"),
    "cache": ("warm", "cold"),
    "dtype": ("float32", "float64", "bfloat16", "float16"),
    "input": ("text", "images", "gaussian"),
    "routing": ("measured", "uniform", "zipf", "single"),
}


def one_layer(ctx: click.Context, param: click.Parameter, given: Sequence[str]) -> str | None:
    """The layer that was given, None without one. Raises BadParameter for a second one."""
    if len(given) > 1:
        raise click.BadParameter(
            f"{' and '.join(given)} were given; give one layer at a time, or several in a case file."
        )
    return given[0] if given else None


_OPTIONS = (
    click.option(
        "--layer",
        multiple=True,
        callback=one_layer,
        metavar="ID|PACKAGE.MODULE:CLASS",
        help="A layer of ours or of yours, in place of what a case file says.",
    ),
    click.option(
        "--set",
        "options",
        multiple=True,
        callback=option_values,
        metavar="KEY=VALUE[,VALUE…]",
        help="An argument of its constructor, an option of a system, or depth, form and the like of a tree; several "
        "values are several cases.",
    ),
    click.option("--in-features", multiple=True, type=click.IntRange(1), help="Its p, the input's last dimension."),
    click.option(
        "--out-features",
        multiple=True,
        type=click.IntRange(1),
        show_default="p; 2p of a memory-table that concatenates",
        help="Its q.",
    ),
    click.option("--tokens", multiple=True, type=click.IntRange(0), show_default="1", help="N of a call."),
    *(
        click.option(f"--{key}", multiple=True, type=click.Choice(words), show_default=words[0])
        for key, words in WORDS.items()
    ),
    click.option(
        "--backend",
        multiple=True,
        metavar="NAME",
        show_default="auto",
        help="auto, reference, cpu, cuda, or a peer such as grouped-mm.",
    ),
    click.option("--threads", multiple=True, type=click.IntRange(1), show_default="1"),
)
KEYS = ("in_features", "out_features", "tokens", *WORDS, "backend", "threads")


def layer_options(command: Command) -> Command:
    """Give a command ``--layer`` and what describes it; the values come as ``layer``, ``options`` and ``KEYS``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@contextmanager
def layer_cases(layer: str, described: Mapping[str, Any], replicates: int) -> Iterator[Path]:
    """The case file that says the same as the options, as long as the context lasts.

    Args: described: the values of the options other than ``--layer``. replicates: fresh processes a case.

    Raises UsageError where the input's features are not given; turns an InputError about the file into one about the
    option.
    """
    if not described["in_features"]:
        raise click.UsageError("Missing option '--in-features', which a --layer needs.")
    with TemporaryDirectory() as folder:
        keys = {key: described[key] for key in KEYS}
        path = layer_file(Path(folder), layer, described["options"], replicates, keys)
        try:
            yield path
        except InputError as error:
            raise without_place(error, path) from error
