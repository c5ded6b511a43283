"""``capratio gate selftest``: measure the gate's own false alarms and power on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from capratio.gate.selftest_json import SelftestRecord

# What says how to measure, and has no part in reading what was measured.
MEASURING = ("runs", "slow_runs", "policy", "out")


@click.command(short_help="Measure the gate's own false alarms and power on this machine.")
@click.option(
    "--runs", type=click.IntRange(1), default=10, show_default=True, help="Whole runs of a commit against itself."
)
@click.option(
    "--slow-runs",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Whole runs for each slowdown of 10, 5 and 2 %.",
)
@click.option("--policy", type=click.Path(path_type=Path), help="Cases, budgets and blocks; ci/gate.toml if left out.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder of the runs; under .asv/gate if left out."
)
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, file_okay=False),
    help="Measure nothing: read the runs, or the report, of that folder.",
)
@click.option(
    "--peers", type=click.Path(path_type=Path), help="What benchmarks/gate_peers.py measured, to show beside it."
)
@click.option(
    "--report", type=click.Path(path_type=Path, file_okay=False), help="Write a page, its figure and its data there."
)
@click.pass_context
def selftest(
    context: click.Context,
    runs: int,
    slow_runs: int,
    policy: Path | None,
    out: Path | None,
    source: Path | None,
    peers: Path | None,
    report: Path | None,
) -> int:
    """Hold the commit that is checked out against itself, with and without a slowdown put in, as whole gates.

    It takes hours. What is finished is kept, so that the same command goes on where it stopped, and with a larger
    --runs adds to it. The blocks without a slowdown are then dealt out anew, 1,000 times, as gates that might have
    been.

    \b
    Example:
      capratio gate selftest --runs 10 --report reports/my-machine-gate
      capratio gate selftest --from reports/my-machine-gate --report reports/my-machine-gate

    Exit codes: 0 done, whatever was found, 2 bad input, 5 a commit that does not build, or that cannot be measured.
    """
    from capratio.cli.gate_selftest_text import lines
    from capratio.gate.selftest_peers import find_peers

    if source is not None:
        given = [name for name in MEASURING if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
        if given:
            raise click.UsageError(f"--from measures nothing; leave out --{given[0].replace('_', '-')}.")
    # Before hours are spent.
    others = find_peers(peers, source)
    record, folder = (_read(source), source) if source else _measured(runs, slow_runs, policy, out)
    if others is not None:
        others.check_machine(record.machine)
    for line in lines(record.result, others):
        click.echo(line)
    if report is not None:
        from capratio.report.selftest_files import write_selftest_report

        click.echo(write_selftest_report(record, others, folder, report))
    return 0


def _measured(runs: int, slow_runs: int, policy: Path | None, out: Path | None) -> "tuple[SelftestRecord, Path]":
    """The selftest of the commit that is checked out, and the folder of its runs, which then holds the outcome too."""
    from capratio.cli.gate_selftest_runs import measured_runs, planned_runs
    from capratio.cli.gate_session import open_session, work_folder
    from capratio.gate.selftest import selftest as summarised
    from capratio.gate.selftest_json import SELFTEST, SelftestRecord, encode_selftest
    from capratio.measure.machine import describe_machine
    from capratio.records.whole_file import write_whole

    session = open_session("HEAD", "HEAD", policy, None, None, None, exact=False)
    folder = out or work_folder(session.root) / f"selftest-{session.base.commit[:12]}"
    made = measured_runs(session, folder, planned_runs(runs, slow_runs), _say)
    result = summarised(made, session.policy, _say)
    # The checkout that runs is not what is measured.
    machine = {name: value for name, value in describe_machine().items() if name not in ("commit", "dirty")}
    record = SelftestRecord(session.base.commit, session.policy, machine, result)
    write_whole(folder / SELFTEST, encode_selftest(record).encode())
    return record, folder


def _read(folder: Path) -> "SelftestRecord":
    """The selftest of a folder, from its processes alone; machine, commit and policy are as they were noted."""
    from dataclasses import replace

    from capratio.gate.selftest import selftest as summarised
    from capratio.gate.selftest_json import read_selftest
    from capratio.gate.selftest_runs import read_stored, replay

    record = read_selftest(folder)
    stored = read_stored(folder, [run.name for run in record.result.runs], record.policy)
    made = {run.name: replay(run, record.policy) for run in stored}
    return replace(record, result=summarised(made, record.policy, _say))


def _say(message: str) -> None:
    click.echo(message, err=True)
