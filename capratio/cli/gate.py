"""``capratio gate``: is head slower than base?"""

import click

from capratio.cli.lazy_group import LazyGroup

COMMITS = "commits"
COMMANDS = {
    "init": ("capratio.cli.gate_init", "init"),
    COMMITS: ("capratio.cli.gate_commits", "commits"),
    "files": ("capratio.cli.gate_files", "files"),
    "history": ("capratio.cli.gate_history", "history"),
    "selftest": ("capratio.cli.gate_selftest", "selftest"),
}

HELP = """Decide whether head is slower than base, with a known chance of a false alarm.

'capratio gate BASE [HEAD]' is short for 'capratio gate commits BASE [HEAD]'.

\b
Example:
  capratio gate init --layer mypackage.layers:Tree
  capratio gate main
  capratio gate files runs/base runs/head
  capratio gate history .asv/results
  capratio gate selftest --runs 10

Exit codes: 0 passed (or undecided, without --strict), 1 regressed, 2 bad input, not a commit or two machines, 3
undecided under --strict, 4 void: the machine itself moved, 5 nothing to compare, a commit that does not build or
import, or a case that failed at head.
"""


class GateGroup(LazyGroup):
    """The group, whose first word may be a commit."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read ``gate BASE`` as ``gate commits BASE``."""
        named = {*COMMANDS, *self.get_help_option_names(ctx)}
        return super().parse_args(ctx, [COMMITS, *args] if args and args[0] not in named else args)


gate = GateGroup(table=COMMANDS, name="gate", help=HELP, short_help="Decide whether head is slower than base.")
