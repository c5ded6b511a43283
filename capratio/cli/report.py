"""``capratio report``: one offline page of a run."""

import shlex
from pathlib import Path

import click


@click.command(short_help="Write the page of a run.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the page; RUN/report unless given.")
@click.option("--made-by", metavar="COMMAND", help="The command that the page names for making it again.")
def report(run: Path, out: Path | None, made_by: str | None) -> None:
    """Write the page of RUN (index.html), its Markdown twin and its records into a folder.

    \b
    Example:
      capratio report runs/quick --out reports/local
    """
    from capratio.report.page import write_report

    out = out if out is not None else run / "report"
    write_report(run, out, made_by or shlex.join(["capratio", "report", str(run), "--out", str(out)]))
    click.echo(out / "index.html")
