"""``capratio gate BASE [HEAD]``: build two commits, measure them side by side, and decide."""

import shlex
from pathlib import Path

import click

from capratio.cli.gate_outputs import Outputs, check_paths, tell, with_outputs


@click.command(short_help="Build two commits, measure them side by side, and decide.")
@click.argument("base")
@click.argument("head", required=False)
@click.option(
    "--policy", type=click.Path(path_type=Path), help="Cases, budgets and blocks, TOML; ci/gate.toml if left out."
)
@click.option("--only", metavar="PATTERN", help="Only cases whose id matches: * and ? as in a shell.")
@click.option("--budget", type=click.FloatRange(0, 10), help="What a latency may rise, a share: 0.02 for 2 %.")
@click.option(
    "--time-limit",
    type=click.FloatRange(0, min_open=True),
    metavar="MINUTES",
    help="Compare no further block after so long; a confirmation is made all the same.",
)
@click.option("--exact", is_flag=True, help="Count only: compare the exact quantities, and no latency.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder of the run; under .asv/gate if left out."
)
@with_outputs
def commits(
    base: str,
    head: str | None,
    policy: Path | None,
    only: str | None,
    budget: float | None,
    time_limit: float | None,
    exact: bool,
    out: Path | None,
    outputs: Outputs,
) -> int:
    """Hold HEAD against BASE, two commits of the repository that you are in; HEAD is the working tree if left out.

    Both are built in environments of asv, and measured in blocks of fresh processes until every case is decided. An
    interrupted run goes on where it stopped: give the same command again.

    \b
    Example:
      capratio gate main
      capratio gate v1.0 v1.1 --strict --html gate.html
      capratio gate HEAD~1 --only '*/n1/*' --time-limit 10
    """
    from capratio.cli.gate_session import open_session

    check_paths(outputs)
    session = open_session(base, head, policy, only, budget, out, exact)
    comparison = session.run(None if time_limit is None else 60 * time_limit)
    made_by = ["capratio", "gate", base, *([head] if head else [])]
    options = {"--policy": policy, "--only": only, "--budget": budget, "--time-limit": time_limit, "--out": out}
    made_by += [word for name, value in options.items() if value is not None for word in (name, str(value))]
    made_by += ["--exact"] if exact else []
    return tell(comparison, session.policy, outputs, shlex.join(made_by))
