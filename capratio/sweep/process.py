"""A fresh process for a job: a module of this package, run by this interpreter."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import capratio
from capratio.watched_process import Death, watch, with_threads


def run_process(module: str, message: str, threads: int, silence_limit_s: float) -> Iterator[dict[str, Any] | Death]:
    """The events of ``python -m module``, as :func:`capratio.watched_process.watch` gives them."""
    package_home = str(Path(capratio.__file__).parent.parent)
    path = os.pathsep.join(filter(None, [package_home, os.environ.get("PYTHONPATH")]))
    # -P: the package is the caller's own, never a folder that happens to be the working directory.
    command = [sys.executable, "-P", "-m", module]
    return watch(command, message, with_threads(os.environ, threads) | {"PYTHONPATH": path}, silence_limit_s)
