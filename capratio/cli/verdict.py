"""``capratio verdict``: the laws of a run with their intervals, and an exit code for scripts."""

from pathlib import Path

import click

from capratio.errors import NothingMeasuredError

BROKEN = 1
UNDECIDED = 3


@click.command(short_help="Hold a run against its laws; exit 1 if one is broken.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--strict", is_flag=True, help="Exit 3 when none is broken, but a law is undecided or the run is unfinished."
)
def verdict(run: Path, strict: bool) -> int:
    """Hold the records of RUN against the laws that its cases claim; exit 1 if one is broken, 5 if all cases failed.

    \b
    Example:
      capratio verdict runs/quick
      capratio verdict runs/quick --strict
    """
    from capratio.display import text_table
    from capratio.records.store import read_run
    from capratio.report.lead import unfinished
    from capratio.report.tables import failed_table, verdict_headline, verdict_table
    from capratio.scaling.judge import judge
    from capratio.units import counted

    read = read_run(run)
    verdicts = judge(read.records, read.machine)
    rows = verdict_table(verdicts)
    headers = ["", "verdict", "claim", "group", "quantity", "estimate", "expected"]
    cells = [(row.icon, row.status, row.claim, row.group, row.quantity, row.estimate, row.expected) for row in rows]
    if cells:
        click.echo(text_table(headers, cells, left=["", "verdict", "claim", "group", "quantity"]))
    for row in rows:
        if row.status != "holds":
            click.echo(f"{row.icon} {row.claim}, {row.group}: {row.sentence} {row.advice}".rstrip())
    for failed in failed_table(read.records):
        click.echo(f"{failed.case}: {failed.status} in {counted(failed.replicates, 'replicate')}: {failed.reason}")
    click.echo(verdict_headline(verdicts))
    missing = unfinished(read)
    if missing:
        click.echo(missing)
    statuses = {each.status for each in verdicts}
    if "broken" in statuses:
        return BROKEN
    if read.records and not any(record.measured for record in read.records):
        return NothingMeasuredError.exit_code
    # A run without laws has shown nothing and an unfinished one not all; strict takes neither for a yes.
    return UNDECIDED if strict and (missing or statuses != {"holds"}) else 0
