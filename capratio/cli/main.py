"""The one place that catches errors and sets exit codes."""

import errno
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

import click

import capratio
from capratio.cli.lazy_group import LazyGroup
from capratio.errors import CapratioError

BAD_INPUT = 2
# As a shell reports a process that SIGINT or SIGTERM ended (128 + the signal).
INTERRUPTED = 130
TERMINATED = 143
# As a shell reports a process whose reader went away (128 + SIGPIPE).
READER_GONE = 141

_GO_ON = "what was written before stays, and to go on, give the same command again."

COMMANDS = {
    "cost": ("capratio.cli.cost", "cost"),
    "list": ("capratio.cli.list", "list_names"),
    "sweep": ("capratio.cli.sweep", "sweep"),
    "profile": ("capratio.cli.profile", "profile"),
    "verdict": ("capratio.cli.verdict", "verdict"),
    "report": ("capratio.cli.report", "report"),
    "export": ("capratio.cli.export", "export"),
    "gate": ("capratio.cli.gate", "gate"),
    "doctor": ("capratio.cli.doctor", "doctor"),
}

HELP = """What a parameter costs in conditional-computation layers, measured and held against its law.

\b
Example:
  capratio sweep quick --out runs/quick
  capratio verdict runs/quick

Exit codes: 0 done, 1 a law is broken or a case regressed, 2 bad input, 3 undecided or unfinished under --strict,
4 void: the machine moved, 5 nothing was measured, 130 interrupted, 143 terminated.
"""

capratio_group = LazyGroup(
    table=COMMANDS,
    name="capratio",
    help=HELP,
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=lambda ctx, _, asked: _print_version(ctx) if asked else None,
            help="Show the version and exit.",
        )
    ],
)


class Terminated(KeyboardInterrupt):
    """SIGTERM, by which a scheduler stops a job; it unwinds like Ctrl-C, so that workers end and files are closed."""


def main() -> None:
    """Run the command line with the arguments of this process, and leave with its exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """The exit code of one command; an error is one sentence on the error stream.

    Args: arguments: without the program's name.
    """
    try:
        code = _invoke(list(arguments))
        # What is still in the buffer may meet a reader that is gone; better here than when the interpreter ends.
        sys.stdout.flush()
        return code
    except CapratioError as error:
        return _fail(str(error), error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return BAD_INPUT
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "capratio"
        return _fail(f"{error.format_message().rstrip('.')}; see '{where} --help'.", BAD_INPUT)
    except click.ClickException as error:
        return _fail(error.format_message(), BAD_INPUT)
    except Terminated:
        return _fail(f"terminated; {_GO_ON}", TERMINATED)
    except (KeyboardInterrupt, click.Abort):
        return _fail(f"interrupted; {_GO_ON}", INTERRUPTED)
    except OSError as error:
        if error.errno == errno.EPIPE:
            _forget_stdout()
            return READER_GONE
        what = f"{error.filename}: " if error.filename is not None else ""
        return _fail(
            f"{what}{error.strerror or error}; the file system or the system refused, mend it and run again.", BAD_INPUT
        )


def _invoke(arguments: list[str]) -> int:
    """Run a command without click's own ``main``, which ends a broken pipe with 1, and 1 means a broken law here."""
    try:
        with capratio_group.make_context("capratio", arguments) as context:
            code = capratio_group.invoke(context)
    except click.exceptions.Exit as left:
        return left.exit_code
    return code if isinstance(code, int) else 0


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def _fail(sentence: str, code: int) -> int:
    click.echo(f"capratio: {sentence}", err=True)
    return code


def _forget_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's last flush does not complain about the reader that is gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _print_version(context: click.Context) -> None:
    click.echo(f"capratio {capratio.__version__}")
    context.exit()


if __name__ == "__main__":
    main()
