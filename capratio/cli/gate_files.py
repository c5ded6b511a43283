"""``capratio gate files``: a decision from two runs of ours, or two files of asv or pytest-benchmark."""

import shlex
from pathlib import Path

import click

from capratio.cli.gate_outputs import Outputs, check_paths, tell, with_outputs


@click.command(short_help="Decide from two runs, or two files of asv or pytest-benchmark.")
@click.argument("base", type=click.Path(path_type=Path))
@click.argument("head", type=click.Path(path_type=Path))
@click.option(
    "--policy", type=click.Path(path_type=Path), help="Budgets by case and quantity, TOML; 2 % of latency if left out."
)
@click.option(
    "--independent-samples",
    is_flag=True,
    help="Declare that the samples of an asv or pytest-benchmark file are independent of one another.",
)
@with_outputs
def files(base: Path, head: Path, policy: Path | None, independent_samples: bool, outputs: Outputs) -> int:
    """Compare HEAD with BASE: folders of two runs, or two result files of asv or of pytest-benchmark.

    Two runs carry a verdict by their processes. Files of asv and pytest-benchmark do not say which process a sample is
    of, and are undecided unless you declare the samples independent.

    \b
    Example:
      capratio gate files runs/base runs/head --html gate.html
      capratio gate files base.json head.json --independent-samples --strict
    """
    from capratio.gate.comparison import compare
    from capratio.gate.files import read_side
    from capratio.gate.policy import read_policy

    check_paths(outputs)
    chosen = read_policy(policy)
    comparison = compare(read_side(base), read_side(head), chosen, independent=independent_samples)
    made_by = ["capratio", "gate", "files", str(base), str(head)]
    made_by += ["--policy", str(policy)] if policy is not None else []
    made_by += ["--independent-samples"] if independent_samples else []
    made_by += ["--html", str(outputs.html)] if outputs.html is not None else []
    return tell(comparison, chosen, outputs, shlex.join(made_by), independent=independent_samples)
