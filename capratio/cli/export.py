"""``capratio export``: the records of a run as a table for other programs."""

from pathlib import Path

import click


@click.command(short_help="Write the records of a run as CSV or Parquet.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--csv", type=click.Path(path_type=Path), help="Write comma-separated values.")
@click.option("--parquet", type=click.Path(path_type=Path), help="Write Parquet.")
def export(run: Path, csv: Path | None, parquet: Path | None) -> None:
    """Write the records of RUN as one flat table, a row a record.

    \b
    Example:
      capratio export runs/quick --csv quick.csv
      capratio export runs/quick --parquet quick.parquet
    """
    if csv is None and parquet is None:
        raise click.UsageError("Give --csv FILE or --parquet FILE", click.get_current_context())
    from capratio.records.export import write_csv, write_parquet
    from capratio.records.store import read_run
    from capratio.units import counted

    records = read_run(run).records
    for path, write in ((csv, write_csv), (parquet, write_parquet)):
        if path is not None:
            write(records, path)
            click.echo(f"{path}: {counted(len(records), 'record')}")
