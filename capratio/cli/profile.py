"""``capratio profile``: where the time of one case goes, with a trace."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from capratio.cli.layer_command import LayerCommand
from capratio.cli.layer_options import layer_cases, layer_options

if TYPE_CHECKING:
    from capratio.sweep.case import Case


@click.command(cls=LayerCommand, short_help="Say where the time of one case goes, and write a trace.")
@click.argument("case", required=False)
@click.option(
    "--cases",
    "files",
    multiple=True,
    metavar="FILE",
    help="Case files or names to look in; the bundled ones unless given.",
)
@layer_options
@click.option("--device", type=click.Choice(["cpu", "cuda"]), show_default="cpu", help="Where a --layer runs.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("profile"),
    show_default=True,
    help="Folder of the trace and the tables.",
)
@click.option("--calls", type=click.IntRange(1, 1000), default=10, show_default=True, help="Calls that are profiled.")
def profile(
    case: str | None,
    files: tuple[str, ...],
    layer: str | None,
    device: str | None,
    out: Path,
    calls: int,
    **described: Any,
) -> None:
    """Profile CASE, an id as 'capratio sweep FILE --plan' prints it, or one layer, and say where its time goes.

    The case is built and verified as a sweep does. The folder gets trace.json, which opens in ui.perfetto.dev,
    operations.csv in base units, and profile.txt, which is what is printed.

    \b
    Example:
      capratio profile tree-shared/p256-q256-k4/n256/float32/cpu/forward/warm/text+measured/auto/t1
      capratio profile CASE --cases my_cases.toml --out profiles/mine
      capratio profile --layer moe-sparse --set experts=64 --in-features 256 --tokens 64 --pass train
    """
    import os

    # Before torch is imported: its profiler talks of its stages on the error stream below this level.
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")
    from capratio.cli.profile_text import operations_csv, operations_table, sentences
    from capratio.records.whole_file import write_whole
    from capratio.sweep.profile_case import profile_case

    if (case is None) == (layer is None):
        raise click.UsageError("Give CASE, or one layer, as --layer ID or --layer package.module:Class.")
    if layer is not None and files:
        raise click.UsageError("--cases says where CASE is looked for, and a --layer needs no file; leave it out.")
    if layer is not None:
        found = _described(layer, device, described)
    elif device or any(described.values()):
        raise click.UsageError("--set, --device, sizes and passes describe a --layer; the id of CASE says its own.")
    else:
        found = _named(case or "", files)
    done = profile_case(found, out, calls)
    shown = "\n".join([found.id, "", operations_table(done), "", *sentences(done)]) + "\n"
    write_whole(out / "profile.txt", shown.encode())
    write_whole(out / "operations.csv", operations_csv(done).encode())
    click.echo(shown, nl=False)
    click.echo(f"{out}: trace.json (open it in ui.perfetto.dev), operations.csv, profile.txt")


def _named(case_id: str, files: tuple[str, ...]) -> "Case":
    """The case of that id in some files, or in the bundled ones."""
    from capratio.cli.case_names import case_files
    from capratio.sweep.case_file import bundled_case_files
    from capratio.sweep.find_case import find_case

    bundled = bundled_case_files()
    return find_case(case_id, case_files(files or tuple(bundled), bundled))


def _described(layer: str, device: str | None, described: dict[str, Any]) -> "Case":
    """The one case that the options stand for."""
    from capratio.sweep.case_file import read_case_files

    with layer_cases(layer, described, replicates=1) as path:
        cases = read_case_files([path], device)
    if len(cases) > 1:
        raise click.UsageError(
            f"A profile is of one case, and these options describe {len(cases)}; give one value each."
        )
    return cases[0]
