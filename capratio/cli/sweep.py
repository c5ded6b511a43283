"""``capratio sweep``: measure the cases of some files into a run."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from capratio.cli.layer_file import layer_file, without_place
from capratio.cli.option_values import option_values
from capratio.errors import InputError

if TYPE_CHECKING:
    from capratio.sweep.plan import Plan

NOTHING_MEASURED = 5
REPLICATES = 3
LEFT = ["case", "status", "reason"]


@click.command(short_help="Measure cases into a run, or go on with one.")
@click.argument("cases", nargs=-1)
@click.option(
    "--layer", metavar="PACKAGE.MODULE:CLASS", help="A layer of yours instead of CASES, or one of ours by its id."
)
@click.option(
    "--set",
    "options",
    multiple=True,
    callback=option_values,
    metavar="KEY=VALUE[,VALUE…]",
    help="An argument of the layer's constructor; several values are several cases.",
)
@click.option(
    "--in-features", multiple=True, type=click.IntRange(1), help="Of the layer: p, the input's last dimension."
)
@click.option("--out-features", multiple=True, type=click.IntRange(1), show_default="p", help="Of the layer: q.")
@click.option("--tokens", multiple=True, type=click.IntRange(0), show_default="1", help="Of the layer: N.")
@click.option(
    "--pass",
    "passes",
    multiple=True,
    type=click.Choice(["forward", "decode", "train"]),
    show_default="forward",
    help="Of the layer.",
)
@click.option(
    "--dtype",
    "dtypes",
    multiple=True,
    type=click.Choice(["float32", "float64", "bfloat16", "float16"]),
    show_default="float32",
    help="Of the layer.",
)
@click.option("--threads", multiple=True, type=click.IntRange(1), show_default="1", help="Of the layer.")
@click.option(
    "--replicates", type=click.IntRange(1), show_default=f"{REPLICATES}", help="Of the layer: fresh processes a case."
)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder of the run; needed unless --plan."
)
@click.option("--only", metavar="PATTERN", help="Only cases whose id matches: *, ? and [] as in a shell.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), help="Where all cases run, whatever their files say.")
@click.option("--plan", "only_plan", is_flag=True, help="Print cases, estimated time and memory, and measure nothing.")
def sweep(
    cases: tuple[str, ...],
    layer: str | None,
    options: dict[str, list[str]],
    in_features: tuple[int, ...],
    out_features: tuple[int, ...],
    tokens: tuple[int, ...],
    passes: tuple[str, ...],
    dtypes: tuple[str, ...],
    threads: tuple[int, ...],
    replicates: int | None,
    out: Path | None,
    only: str | None,
    device: str | None,
    only_plan: bool,
) -> int:
    """Measure CASES (TOML files, or names such as quick, tree, systems, threads) into a run, or a layer of yours.

    A run that was interrupted goes on where it stopped: give the same command again. A layer of yours is an nn.Module
    that takes (N, p) and returns (N, q); it needs no base class. It has no closed form, so that what is counted and
    measured is reported, and nothing is promised.

    \b
    Example:
      capratio sweep quick --plan
      capratio sweep quick --out runs/quick
      capratio sweep my_cases.toml --out runs/mine --only 'tree-shared*/decode/*'
      capratio sweep tree --device cuda --out runs/cuda
      capratio sweep --layer torch.nn:Linear --set in_features=256 --set out_features=512 \\
          --in-features 256 --out-features 512 --tokens 1 --tokens 64 --out runs/linear
    """
    words = {"pass": passes, "dtype": dtypes}
    integers = {"in_features": in_features, "out_features": out_features, "tokens": tokens, "threads": threads}
    if bool(cases) == (layer is not None):
        raise click.UsageError("Give CASES, or a layer of yours as --layer package.module:Class.")
    if layer is None:
        if options or replicates or any(words.values()) or any(integers.values()):
            raise click.UsageError("--set, --replicates, sizes and passes describe a --layer; CASES say their own.")
        return _run(_files(cases), out, only, device, only_plan)
    if not in_features:
        raise click.UsageError("Missing option '--in-features', which a --layer needs.")
    with TemporaryDirectory() as folder:
        path = layer_file(Path(folder), layer, options, replicates or REPLICATES, words, integers)
        try:
            return _run([path], out, only, device, only_plan)
        except InputError as error:
            raise without_place(error, path) from error


def _files(cases: tuple[str, ...]) -> list[Path]:
    """The case files by their names."""
    from capratio.cli.case_names import case_files
    from capratio.sweep.case_file import bundled_case_files

    return case_files(cases, bundled_case_files())


def _run(files: list[Path], out: Path | None, only: str | None, device: str | None, only_plan: bool) -> int:
    from capratio.cli.claim_names import check_claims
    from capratio.scaling.claims import CLAIMS
    from capratio.sweep.case_file import read_claims

    check_claims(read_claims(files), CLAIMS)
    if only_plan:
        return _print_plan(files, only, device)
    if out is None:
        raise click.UsageError("Missing option '--out'", click.get_current_context())
    return _measure(files, out, only, device)


def _print_plan(files: list[Path], only: str | None, device: str | None) -> int:
    from capratio.display import text_table
    from capratio.sweep.plan import plan
    from capratio.units import size

    planned = plan(files, only, device)
    rows = [
        (str(each.case), each.replicates, size(each.estimated_bytes), "" if each.fits else "refused: more than is free")
        for each in planned.cases
    ]
    click.echo(text_table(["case", "replicates", "memory", ""], rows, left=["case", ""]))
    click.echo(_sum_of(planned))
    return 0


def _sum_of(planned: "Plan") -> str:
    """The last line of a plan: what is refused, and what the rest takes."""
    from capratio.units import counted, seconds, size

    fitting = [each for each in planned.cases if each.fits]
    refused = len(planned.cases) - len(fitting)
    cases = counted(len(planned.cases), "case") + (f", {refused} refused" if refused else "")
    if not fitting:
        return f"{cases}: none fits the memory that is free now, so that nothing would be measured"
    return (
        f"{cases}{';' if refused else ','} {counted(sum(each.replicates for each in fitting), 'replicate')} in "
        f"{counted(planned.processes, 'process')}, about {seconds(planned.estimated_s)}, "
        f"at most {size(max(each.estimated_bytes for each in fitting))} at a time"
    )


def _measure(files: list[Path], out: Path, only: str | None, device: str | None) -> int:
    from capratio.cli.progress import sweep_progress
    from capratio.display import text_table
    from capratio.linux import require_linux
    from capratio.sweep.runner import run_sweep

    require_linux()
    with sweep_progress() as progress:
        outcome = run_sweep(files, out, only, progress, device)
    done = f"{outcome.measured} measured, {outcome.skipped} measured before"
    failed = [*outcome.failed_before, *outcome.failed]
    click.echo(f"{out}: {done}, {len(failed)} without a measurement")
    if failed:
        click.echo(text_table(["case", "replicates", "status", "reason"], _failed_rows(failed), left=LEFT))
    if outcome.failed_before:
        click.echo("What ended without a measurement before is not tried again; give a new folder as --out to do so.")
    return NOTHING_MEASURED if failed and not outcome.measured and not outcome.skipped else 0


def _failed_rows(failed: list[tuple[str, int, str, str]]) -> list[tuple[str, int, str, str]]:
    """One row a case and status, with the number of its replicates and the reason of the first."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for case, _, status, reason in failed:
        reasons.setdefault((case, status), []).append(reason)
    return [(case, len(given), status, given[0]) for (case, status), given in reasons.items()]
