"""The state of the source that runs: its commit, whether it was edited since, and a hash of its content."""

import hashlib
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

GIT_TIME_LIMIT_S = 20


@dataclass(frozen=True, slots=True)
class SourceState:
    """commit: None where the folder is no checkout. dirty: whether tracked or new files differ from it."""

    commit: str | None
    dirty: bool | None


def checkout_of(package: Path, candidates: Iterable[Path]) -> Path | None:
    """The first checkout among some folders whose ``capratio/`` is the package that runs, byte for byte; or None.

    A package that is installed from a checkout and run in it has the checkout's commit.
    """
    content = content_hash(package)
    checkouts = (folder for folder in candidates if (folder / ".git").exists())
    return next((folder for folder in checkouts if content_hash(folder / package.name) == content), None)


def source_state(source: Path | None) -> SourceState:
    """The state of a checkout.

    Args: source: its root. A folder without a ``.git`` of its own is none, even inside of another checkout: an
    installed package must not be given the commit of the project that it is installed in.
    """
    if source is None or not (source / ".git").exists():
        return SourceState(None, None)
    commit = _git(source, "rev-parse", "--verify", "HEAD")
    changes = _git(source, "status", "--porcelain")
    return SourceState(commit, None if changes is None else bool(changes))


def content_hash(package: Path) -> str:
    """SHA-256 over names and bytes of a package's Python files."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(f"{path.relative_to(package).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _git(source: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(source), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_TIME_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
