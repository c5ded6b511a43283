"""A fresh process for a job, watched: each event as it comes, and how it ended when it does not say so itself."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import capratio
from capratio.sweep.parent import PARENT

STDERR_KEPT = 400


@dataclass(frozen=True, slots=True)
class Death:
    """A worker that ended without finishing: ``timed-out`` or ``crashed``, with one sentence."""

    status: str
    reason: str


def run_process(module: str, message: str, threads: int, silence_limit_s: float) -> Iterator[dict[str, Any] | Death]:
    """Spawn ``python -m module``, hand it one line, and give its events; a :class:`Death` comes last where it died.

    The process is killed when it says nothing for ``silence_limit_s``, and whenever the caller stops listening.
    """
    process = subprocess.Popen(
        # -P: the package is the caller's own, never a folder that happens to be the working directory.
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(threads),
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


def _read_lines(stream: IO[str], lines: "queue.Queue[str | None]") -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _environment(threads: int) -> dict[str, str]:
    environment = dict(os.environ) | {PARENT: str(os.getpid())}
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        environment[variable] = str(threads)
    package_home = str(Path(capratio.__file__).parent.parent)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [package_home, environment.get("PYTHONPATH")]))
    return environment


def _ending(code: int, errors: str) -> str:
    last = " ".join(errors.split())[-STDERR_KEPT:]
    how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return f"the process {how}" + (f": {last}" if last else ".")
