"""``capratio sweep``: measure the cases of some files into a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from capratio.cli.layer_command import LayerCommand
from capratio.cli.layer_options import layer_cases, layer_options
from capratio.errors import NothingMeasuredError

if TYPE_CHECKING:
    from capratio.sweep.plan import Plan

REPLICATES = 3


@click.command(cls=LayerCommand, short_help="Measure cases into a run, or go on with one.")
@click.argument("cases", nargs=-1)
@layer_options
@click.option(
    "--replicates", type=click.IntRange(1), show_default=f"{REPLICATES}", help="Fresh processes a case of --layer."
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
    replicates: int | None,
    out: Path | None,
    only: str | None,
    device: str | None,
    only_plan: bool,
    **described: Any,
) -> int:
    """Measure CASES (TOML files, or names such as quick, tree, systems, threads) into a run, or one layer.

    A run that was interrupted goes on where it stopped: give the same command again. A layer is one of `capratio list
    layers`, or yours: an nn.Module that takes (N, p) and returns (N, q), without a base class. Yours has no closed
    form, so that what is counted and measured is reported, and nothing is promised. --set, sizes, passes and the like
    describe a --layer, and each but --set may be given several times.

    \b
    Example:
      capratio sweep quick --plan
      capratio sweep quick --out runs/quick
      capratio sweep my_cases.toml --out runs/mine --only 'tree-shared*/decode/*'
      capratio sweep tree --device cuda --out runs/cuda
      capratio sweep --layer tree --set depth=0:12:4 --set form=path,collapsed --in-features 256 --plan
      capratio sweep --layer moe-sparse --set experts=16,64 --in-features 256 --tokens 64 --cache cold \\
          --routing uniform --backend auto --backend grouped-mm --out runs/moe
      capratio sweep --layer torch.nn:Linear --set in_features=256 --set out_features=512 \\
          --in-features 256 --out-features 512 --tokens 1 --tokens 64 --out runs/linear
    """
    if bool(cases) == (layer is not None):
        raise click.UsageError("Give CASES, or one layer, as --layer ID or --layer package.module:Class.")
    if layer is None:
        if replicates or any(described.values()):
            raise click.UsageError("--set, --replicates, sizes and passes describe a --layer; CASES say their own.")
        return _run(_files(cases), out, only, device, only_plan)
    with layer_cases(layer, described, replicates or REPLICATES) as path:
        return _run([path], out, only, device, only_plan)


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
    from capratio.linux import require_linux
    from capratio.sweep.runner import run_sweep

    require_linux()
    with sweep_progress() as progress:
        outcome = run_sweep(files, out, only, progress, device)
    done = f"{outcome.measured} measured, {outcome.skipped} measured before"
    failed = [*outcome.failed_before, *outcome.failed]
    click.echo(f"{out}: {done}, {len(failed)} without a measurement")
    if failed:
        click.echo("\n".join(_failed_lines(failed)))
    if outcome.failed_before:
        click.echo("What ended without a measurement before is not tried again; give a new folder as --out to do so.")
    return NothingMeasuredError.exit_code if failed and not outcome.measured and not outcome.skipped else 0


def _failed_lines(failed: list[tuple[str, int, str, str]]) -> list[str]:
    """Two lines a case and status: how many of its processes ended so, and the reason of the first."""
    from capratio.units import counted

    reasons: dict[tuple[str, str], list[str]] = {}
    for case, _, status, reason in failed:
        reasons.setdefault((case, status), []).append(reason)
    return [
        line
        for (case, status), given in reasons.items()
        for line in (f"{case}: {status} in {counted(len(given), 'process')}", f"  {given[0]}")
    ]
