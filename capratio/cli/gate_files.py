"""``capratio gate files``: a decision from two runs of ours, or two files of asv or pytest-benchmark."""

from pathlib import Path

import click

EXIT_CODES = {"passed": 0, "regressed": 1, "undecided": 0, "void": 4, "nothing": 5, "failed": 5}
UNDECIDED_STRICT = 3


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
@click.option("--strict", is_flag=True, help="Exit 3 when nothing regressed, but a case is undecided.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the decisions as JSON.")
@click.option("--junit", type=click.Path(path_type=Path), help="Write them as JUnit's XML: a test for each case.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Write them as Markdown, for a comment.")
def files(
    base: Path,
    head: Path,
    policy: Path | None,
    independent_samples: bool,
    strict: bool,
    json_path: Path | None,
    junit: Path | None,
    markdown: Path | None,
) -> int:
    """Compare HEAD with BASE: folders of two runs, or two result files of asv or of pytest-benchmark.

    Two runs carry a verdict by their processes. Files of asv and pytest-benchmark do not say which process a sample is
    of, and are undecided unless you declare the samples independent.

    \b
    Example:
      capratio gate files runs/base runs/head
      capratio gate files base.json head.json --independent-samples --strict
    """
    from capratio.cli.gate_text import lines, markdown_lines
    from capratio.gate.comparison import compare
    from capratio.gate.files import read_side
    from capratio.gate.outcome_json import outcome_json
    from capratio.gate.outcome_junit import outcome_junit
    from capratio.gate.policy import read_policy

    chosen = read_policy(policy)
    comparison = compare(read_side(base), read_side(head), chosen, independent=independent_samples)
    for line in lines(comparison, chosen, independent_samples):
        click.echo(line)
    if json_path is not None:
        json_path.write_text(outcome_json(comparison, chosen), encoding="utf-8")
    if junit is not None:
        junit.write_text(outcome_junit(comparison), encoding="utf-8")
    if markdown is not None:
        markdown.write_text("\n".join(markdown_lines(comparison, chosen, independent_samples)) + "\n", encoding="utf-8")
    if comparison.verdict == "undecided" and strict:
        return UNDECIDED_STRICT
    return EXIT_CODES[comparison.verdict]
