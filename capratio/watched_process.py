"""A fresh process that is watched: what it is told, each event as it comes, and how it ended when it does not say so.

Sweeps and the gate start their workers by it. An event is a line of JSON on the process's output.
"""

import json
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any

# Names the process that a worker must not outlive.
PARENT = "CAPRATIO_PARENT"
STDERR_KEPT = 400


@dataclass(frozen=True, slots=True)
class Death:
    """A worker that ended without finishing: ``timed-out`` or ``crashed``, with one sentence."""

    status: str
    reason: str


class WatchedProcess:
    """A process that is told lines and gives events; a context manager, which kills it at its end."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**environment, PARENT: str(os.getpid())},
            # A Ctrl-C reaches the caller, who then ends the worker.
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._input, self._output, self._error = self._process.stdin, self._process.stdout, self._process.stderr
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._errors: list[str] = []
        self._readers = (
            threading.Thread(target=_read_lines, args=(self._output, self._lines), daemon=True),
            threading.Thread(target=lambda: self._errors.append(self._error.read()), daemon=True),
        )
        for reader in self._readers:
            reader.start()

    def tell(self, line: str) -> None:
        """Hand the process a line; one that is gone says so by its next event."""
        with suppress(BrokenPipeError):
            self._input.write(line + "\n")
            self._input.flush()

    def pause(self) -> None:
        """Stop the process and all that it started, until it is told to go on."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let a process that was paused go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        # The process leads a session of its own, and so a group that has its number.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def tell_no_more(self) -> None:
        """Close what the process reads."""
        with suppress(BrokenPipeError):
            self._input.close()

    def event(self, silence_limit_s: float) -> dict[str, Any] | Death | None:
        """The next event; None where the process ended well, a :class:`Death` where it did not.

        A process that says nothing for ``silence_limit_s`` is killed.
        """
        try:
            line = self._lines.get(timeout=silence_limit_s)
        except queue.Empty:
            self._signal(signal.SIGKILL)
            return Death("timed-out", f"the case took more than {silence_limit_s:g} s; its process was killed.")
        if line is not None:
            event: dict[str, Any] = json.loads(line)
            return event
        code = self._process.wait()
        if not code:
            return None
        self._readers[1].join()
        return Death("crashed", _ending(code, "".join(self._errors)))

    def __enter__(self) -> "WatchedProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._signal(signal.SIGKILL)
        self.tell_no_more()
        for reader in self._readers:
            reader.join()
        for stream in (self._output, self._error):
            stream.close()
        self._process.wait()


def watch(
    command: Sequence[str], message: str, environment: Mapping[str, str], silence_limit_s: float
) -> Iterator[dict[str, Any] | Death]:
    """Spawn a command, hand it one line, and give its events; a :class:`Death` comes last where it died.

    The process is killed when it says nothing for ``silence_limit_s``, and whenever the caller stops listening.
    """
    with WatchedProcess(command, environment) as process:
        process.tell(message)
        process.tell_no_more()
        while (event := process.event(silence_limit_s)) is not None:
            yield event
            if isinstance(event, Death):
                return


def with_threads(environment: Mapping[str, str], threads: int) -> dict[str, str]:
    """The environment in which the libraries that read their number of threads from it start with so many."""
    variables = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return {**environment, **dict.fromkeys(variables, str(threads))}


def _read_lines(stream: IO[str], lines: "queue.Queue[str | None]") -> None:
    for line in stream:
        # One without its end is of a process that was killed while it spoke.
        if line.endswith("\n"):
            lines.put(line)
    lines.put(None)


def _ending(code: int, errors: str) -> str:
    last = " ".join(errors.split())[-STDERR_KEPT:]
    how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return f"the process {how}" + (f": {last}" if last else ".")
