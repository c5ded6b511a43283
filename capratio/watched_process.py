"""A fresh process that is told one line and watched: each event as it comes, and how it ended when it does not say so.

Sweeps and the gate start their workers by it.
"""

import json
import os
import queue
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

# Names the process that a worker must not outlive.
PARENT = "CAPRATIO_PARENT"
STDERR_KEPT = 400


@dataclass(frozen=True, slots=True)
class Death:
    """A worker that ended without finishing: ``timed-out`` or ``crashed``, with one sentence."""

    status: str
    reason: str


def watch(
    command: Sequence[str], message: str, environment: Mapping[str, str], silence_limit_s: float
) -> Iterator[dict[str, Any] | Death]:
    """Spawn a command, hand it one line, and give its events; a :class:`Death` comes last where it died.

    An event is a line of JSON on its output. The process is killed when it says nothing for ``silence_limit_s``, and
    whenever the caller stops listening.
    """
    process = subprocess.Popen(
        list(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**environment, PARENT: str(os.getpid())},
        # A Ctrl-C reaches the caller, who then ends the worker.
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    lines: queue.Queue[str | None] = queue.Queue()
    errors: list[str] = []
    readers = (
        threading.Thread(target=_read_lines, args=(process.stdout, lines), daemon=True),
        threading.Thread(target=lambda stream: errors.append(stream.read()), args=(process.stderr,), daemon=True),
    )
    for reader in readers:
        reader.start()
    try:
        with suppress(BrokenPipeError), process.stdin:
            process.stdin.write(message + "\n")
        while True:
            try:
                line = lines.get(timeout=silence_limit_s)
            except queue.Empty:
                yield Death("timed-out", f"the case took more than {silence_limit_s:g} s; its process was killed.")
                return
            if line is None:
                break
            yield json.loads(line)
        code = process.wait()
        if code:
            readers[1].join()
            yield Death("crashed", _ending(code, "".join(errors)))
    finally:
        process.kill()
        for reader in readers:
            reader.join()
        for stream in (process.stdout, process.stderr):
            stream.close()
        process.wait()


def with_threads(environment: Mapping[str, str], threads: int) -> dict[str, str]:
    """The environment in which the libraries that read their number of threads from it start with so many."""
    variables = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return {**environment, **dict.fromkeys(variables, str(threads))}


def _read_lines(stream: IO[str], lines: "queue.Queue[str | None]") -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _ending(code: int, errors: str) -> str:
    last = " ".join(errors.split())[-STDERR_KEPT:]
    how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return f"the process {how}" + (f": {last}" if last else ".")
