"""The errors that a user can meet, each one sentence: what was given, what was expected, how to mend it."""


class CapratioError(Exception):
    """An error whose message is one sentence for the user; the command line turns it into an exit code."""

    exit_code = 2


class InputError(CapratioError, ValueError):
    """Something given from outside is not usable: a case, an argument, a shape, a run, a machine."""


class UnknownOperationError(CapratioError):
    """A layer of ours ran an operation whose FLOP the counter does not know, so a count would be wrong."""


class NothingMeasuredError(CapratioError):
    """Cases were tried and none of them gave a measurement."""

    exit_code = 5
