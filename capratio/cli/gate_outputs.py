"""What every command of the gate does with a comparison: print it, write it where asked, and leave with its code."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING

import click

from capratio.errors import InputError

if TYPE_CHECKING:
    from capratio.gate.comparison import Comparison
    from capratio.gate.policy import Policy

EXIT_CODES = {"passed": 0, "regressed": 1, "undecided": 0, "void": 4, "nothing": 5, "failed": 5}
UNDECIDED_STRICT = 3
_OPTIONS = (
    click.option("--strict", is_flag=True, help="Exit 3 when nothing regressed, but a case is undecided."),
    click.option("--json", type=click.Path(path_type=Path), help="Write the decisions as JSON."),
    click.option("--junit", type=click.Path(path_type=Path), help="Write them as JUnit's XML: a test for each case."),
    click.option("--markdown", type=click.Path(path_type=Path), help="Write them as Markdown, for a comment."),
    click.option("--html", type=click.Path(path_type=Path), help="Write them as one offline page, with a forest plot."),
)


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the options say: the files to write, each a path or None, and whether undecided is an error of its own."""

    strict: bool = False
    json: Path | None = None
    junit: Path | None = None
    markdown: Path | None = None
    html: Path | None = None


def with_outputs(command: Callable[..., int]) -> Callable[..., int]:
    """Add ``--strict --json --junit --markdown --html`` to a command, which takes them as one argument, ``outputs``."""

    @wraps(command)
    def gathered(
        *,
        strict: bool,
        json: Path | None,
        junit: Path | None,
        markdown: Path | None,
        html: Path | None,
        **given: object,
    ) -> int:
        return command(outputs=Outputs(strict, json, junit, markdown, html), **given)

    for option in reversed(_OPTIONS):
        gathered = option(gathered)
    return gathered


def check_paths(outputs: Outputs) -> None:
    """Refuse what cannot be written before anything is measured or compared.

    Raises InputError for a path whose folder is not there, or that is a folder itself.
    """
    named = {"json": outputs.json, "junit": outputs.junit, "markdown": outputs.markdown, "html": outputs.html}
    for option, path in named.items():
        if path is None:
            continue
        if not path.parent.is_dir():
            raise InputError(f"--{option} {path}: there is no folder {path.parent}; make it, or give another path.")
        if path.is_dir():
            raise InputError(f"--{option} {path} is a folder; give the path of a file in it.")
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise InputError(f"--{option} {path} cannot be written; give another path.")


def tell(
    comparison: "Comparison", policy: "Policy", outputs: Outputs, made_by: str, *, independent: bool = False
) -> int:
    """Print a comparison, write the files that are asked for, and return the exit code.

    Args: made_by: the command line that makes it again, shown on the page. independent: whether samples were taken as
    independent, as their owner declares.

    Raises InputError for a page over its size.
    """
    from capratio.cli.gate_text import lines, markdown_lines
    from capratio.gate.outcome_json import outcome_json
    from capratio.gate.outcome_junit import outcome_junit

    for line in lines(comparison, policy, independent):
        click.echo(line)
    _write(outputs.json, lambda: outcome_json(comparison, policy))
    _write(outputs.junit, lambda: outcome_junit(comparison))
    _write(outputs.markdown, lambda: "\n".join(markdown_lines(comparison, policy, independent)) + "\n")
    if outputs.html is not None:
        from capratio.report.gate_page import gate_page

        _write(outputs.html, lambda: gate_page(comparison, policy, made_by, independent=independent))
    if comparison.verdict == "undecided" and outputs.strict:
        return UNDECIDED_STRICT
    return EXIT_CODES[comparison.verdict]


def _write(path: Path | None, text: Callable[[], str]) -> None:
    if path is not None:
        # The name of a file may hold bytes that are no text.
        path.write_text(text(), encoding="utf-8", errors="replace")
