"""``capratio gate init``: the files by which a repository of its own gets a gate."""

from pathlib import Path

import click


@click.command(short_help="Write the files that a repository of your own needs.")
@click.option(
    "--layer", "layers", multiple=True, metavar="MODULE:CLASS", help="A layer to measure, package.module:Class."
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path("."),
    help="A folder of the repository; this one if left out.",
)
def init(layers: tuple[str, ...], folder: Path) -> int:
    """Write policy, cases, script, workflow and asv's configuration into the repository that you are in.

    A file that is there already is left as it is.

    \b
    Example:
      capratio gate init --layer mypackage.layers:Tree --layer mypackage.layers:Mixture
    """
    from capratio.gate.commits import repository_root
    from capratio.gate.starter import CASES, write_starter

    root = repository_root(folder)
    started = write_starter(root, layers)
    for file in started.written:
        click.echo(f"written            {file}")
    for file in started.left:
        click.echo(f"was there, is left {file}")
    steps = [f"say in {CASES} how each layer is built, and what goes into it"] if CASES in started.written else []
    steps += ["see that asv.conf.json names and builds your project"] if "asv.conf.json" in started.written else []
    steps += [
        "capratio gate HEAD --exact    counts both sides, in a minute: shows that the layers build",
        "capratio gate HEAD            holds the working tree against HEAD, clock and all",
        "see that 'install' in .github/workflows/gate.yml gets capratio and what your project needs",
        "commit these files; from then on a pull request is gated, and ci/gate.sh gates it in any other CI",
    ]
    click.echo("\nNext:")
    for number, step in enumerate(steps, start=1):
        click.echo(f"  {number}. {step}")
    return 0
