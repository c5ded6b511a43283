"""``capratio report``: one offline page of a run."""

import shlex
from pathlib import Path

import click

PEER_MISSING = 5


@click.command(short_help="Write the page of a run.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the page; RUN/report unless given.")
@click.option("--made-by", metavar="COMMAND", help="The command that the page names for making it again.")
def report(run: Path, out: Path | None, made_by: str | None) -> int:
    """Write the page of RUN (index.html), its Markdown twin and its records into a folder.

    Exits with 5, the page written, where a run beside peers lacks one of them.

    \b
    Example:
      capratio report runs/quick --out reports/local
    """
    from capratio.report.page import write_report

    out = out if out is not None else run / "report"
    files = write_report(run, out, made_by or shlex.join(["capratio", "report", str(run), "--out", str(out)]))
    click.echo(files.index_html)
    for sentence in files.missing_peers:
        click.echo(sentence, err=True)
    return PEER_MISSING if files.missing_peers else 0
