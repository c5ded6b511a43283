"""``capratio profile``: where the time of one case goes, with a trace."""

from pathlib import Path

import click


@click.command(short_help="Say where the time of one case goes, and write a trace.")
@click.argument("case")
@click.option(
    "--cases",
    "files",
    multiple=True,
    metavar="FILE",
    help="Case files or names to look in; the bundled ones unless given.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("profile"),
    show_default=True,
    help="Folder of the trace and the tables.",
)
@click.option("--calls", type=click.IntRange(1, 1000), default=10, show_default=True, help="Calls that are profiled.")
def profile(case: str, files: tuple[str, ...], out: Path, calls: int) -> None:
    """Profile CASE, an id as 'capratio sweep FILE --plan' prints it, and say where its time goes.

    The case is built and verified as a sweep does. The folder gets trace.json, which opens in ui.perfetto.dev,
    operations.csv in base units, and profile.txt, which is what is printed.

    \b
    Example:
      capratio profile tree-shared/p256-q256-k4/n256/float32/cpu/forward/warm/text+measured/auto/t1
      capratio profile CASE --cases my_cases.toml --out profiles/mine
    """
    import os

    # Before torch is imported: its profiler talks of its stages on the error stream below this level.
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")
    from capratio.cli.case_names import case_files
    from capratio.cli.profile_text import operations_csv, operations_table, sentences
    from capratio.records.whole_file import write_whole
    from capratio.sweep.case_file import bundled_case_files
    from capratio.sweep.find_case import find_case
    from capratio.sweep.profile_case import profile_case

    bundled = bundled_case_files()
    found = find_case(case, case_files(files or tuple(bundled), bundled))
    done = profile_case(found, out, calls)
    shown = "\n".join([found.id, "", operations_table(done), "", *sentences(done)]) + "\n"
    write_whole(out / "profile.txt", shown.encode())
    write_whole(out / "operations.csv", operations_csv(done).encode())
    click.echo(shown, nl=False)
    click.echo(f"{out}: trace.json (open it in ui.perfetto.dev), operations.csv, profile.txt")
