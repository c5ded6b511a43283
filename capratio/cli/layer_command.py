"""A command whose layers have options of their own: one that was given as if it were the command's is told apart."""

import click


class LayerCommand(click.Command):
    """A command that takes ``--set key=value``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click's. Raises UsageError, with the way to write it, for an option that is a layer's."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            key = error.option_name.lstrip("-").replace("-", "_")
            if not _is_a_systems(key):
                raise
            raise click.UsageError(
                f"{error.option_name} is an option of a layer: write --set {key}=VALUE", ctx=ctx
            ) from None


def _is_a_systems(key: str) -> bool:
    from capratio.cost.systems.contract import defaults
    from capratio.cost.systems.table import SYSTEMS

    return any(key in defaults(system) for system in SYSTEMS.values())
