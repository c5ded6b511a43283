"""``capratio gate``: is head slower than base?"""

from capratio.cli.lazy_group import LazyGroup

COMMANDS = {"files": ("capratio.cli.gate_files", "files")}

HELP = """Decide whether head is slower than base, with a known chance of a false alarm.

\b
Example:
  capratio gate files runs/base runs/head

Exit codes: 0 passed (or undecided, without --strict), 1 regressed, 2 bad input or two machines, 3 undecided under
--strict, 4 void: the machine itself moved, 5 nothing to compare, or a case that failed at head.
"""

gate = LazyGroup(table=COMMANDS, name="gate", help=HELP, short_help="Decide whether head is slower than base.")
