"""A group of commands that imports a command's file only when that command is named."""

from collections.abc import Mapping, Sequence
from importlib import import_module

import click


class LazyGroup(click.Group):
    """Commands from a written table: name → (module, attribute)."""

    def __init__(
        self,
        *,
        table: Mapping[str, tuple[str, str]],
        name: str,
        help: str,
        params: Sequence[click.Parameter] = (),
        short_help: str | None = None,
    ) -> None:
        super().__init__(name=name, help=help, params=list(params), short_help=short_help)
        self._table = dict(table)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        if cmd_name not in self._table:
            return None
        module, attribute = self._table[cmd_name]
        command: click.Command = getattr(import_module(module), attribute)
        return command
