"""``capratio gate history``: what asv's results lost over many commits, each within the budget of a pull request."""

from pathlib import Path

import click

LOST, NOTHING = 1, 5


@click.command(short_help="Find drift over many commits in asv's results.")
@click.argument("results", type=click.Path(path_type=Path), default=Path(".asv/results"))
@click.option("--machine", help="Which machine's results, where the folder has several.")
@click.option("--policy", type=click.Path(path_type=Path), help="Budgets by case and quantity, TOML, as of the gate.")
@click.option("--benchmarks", metavar="PATTERN", help="Only benchmarks whose name fits, with * and ?.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write levels and steps as JSON.")
def history(
    results: Path, machine: str | None, policy: Path | None, benchmarks: str | None, json_path: Path | None
) -> int:
    """Find steps and drift in RESULTS, asv's folder of results (.asv/results if left out).

    A series is one benchmark over the commits of one machine, by date. Its last level is held against the first, and
    against the best before it: a loss beyond the budget that still stands at the last commit is 1.

    \b
    Example:
      capratio gate history
      capratio gate history .asv/results --machine bench-1 --benchmarks '*track_latency_s*'

    Exit codes: 0 no loss beyond a budget, 1 a drift or step beyond its budget, 2 bad input, 5 nothing to look at.
    """
    from capratio.cli.gate_history_text import LOST as LOSSES
    from capratio.cli.gate_history_text import UNSHOWN, lines
    from capratio.gate.asv_history import read_asv_history
    from capratio.gate.history import histories, level_of_each
    from capratio.gate.history_json import history_json
    from capratio.gate.policy import read_policy
    from capratio.names import fits

    chosen = read_policy(policy)
    series = [each for each in read_asv_history(results, machine) if benchmarks is None or fits(benchmarks, each.case)]
    found = histories(series, chosen)
    if json_path is not None:
        json_path.write_text(history_json(found, chosen), encoding="utf-8")
    if not found:
        fitting = "" if benchmarks is None else f" that fits {benchmarks!r}"
        click.echo(f"Nothing to look at: {results} has no benchmark with a number{fitting}.")
        return NOTHING
    for line in lines(found, chosen, level_of_each(series, chosen)):
        click.echo(line)
    if any(each.status in LOSSES for each in found):
        return LOST
    blind = all(each.status in UNSHOWN and each.status != "steady" for each in found)
    return NOTHING if blind else 0
