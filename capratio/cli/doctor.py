"""``capratio doctor``: whether this machine can measure, and what to do where it cannot."""

import click


@click.command(short_help="Say whether this machine can measure, and what to mend.")
def doctor() -> None:
    """Look at the machine, its threads, ceilings and noise, and at the GPU; say what to do about each warning.

    It takes some seconds, since it measures bandwidth and an A/A pair.

    \b
    Example:
      capratio doctor
    """
    from capratio.linux import require_linux
    from capratio.measure.health import check_health

    require_linux()
    for finding in check_health():
        click.echo(f"{finding.level:<8}{finding.name}: {finding.value}")
        if finding.advice:
            click.echo(f"{'':8}{finding.advice}")
