"""The two commits of a gate: what a name stands for, and the working tree, with what is not tracked, as a commit."""

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from capratio.errors import InputError

WORKING_TREE = "working tree"
MOST_UNTRACKED_BYTES = 2**25


@dataclass(frozen=True, slots=True)
class GateCommit:
    """name: as it was given. commit: its full id. tree: of its content."""

    name: str
    commit: str
    tree: str


def repository_root(folder: Path) -> Path:
    """The root of the repository that holds a folder.

    Raises InputError where there is none, or no git.
    """
    try:
        return Path(_git(folder, "rev-parse", "--show-toplevel"))
    except _GitError as error:
        raise InputError(f"{folder} is in no git repository ({error}); run the gate in a checkout.") from None


def find_commit(root: Path, name: str) -> GateCommit:
    """The commit that a name stands for.

    Raises InputError where it stands for none, and says so where the clone is shallow.
    """
    try:
        commit = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    except _GitError:
        raise InputError(f"{name!r} is no commit of this repository{_shallow(root)}.") from None
    return GateCommit(name, commit, _git(root, "rev-parse", f"{commit}^{{tree}}"))


def working_tree(root: Path) -> GateCommit:
    """The working tree as a commit: HEAD itself where nothing differs, else a new one that no branch knows.

    Tracked and untracked files count, ignored ones do not; the index and the branches stay as they are.

    Raises InputError where there is no commit yet, git refuses, or what is not tracked is no part of a project.
    """
    try:
        head = find_commit(root, "HEAD")
        _check_untracked(root)
        with tempfile.TemporaryDirectory() as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            _git(root, "read-tree", "HEAD", **index)
            _git(root, "add", "--all", **index)
            tree = _git(root, "write-tree", **index)
        if tree == head.tree:
            return GateCommit(WORKING_TREE, head.commit, tree)
        # The same content gives the same commit, so that an interrupted gate finds it again.
        date = _git(root, "show", "--no-patch", "--format=%cI", head.commit)
        author = {
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "capratio"), ("EMAIL", "capratio"), ("DATE", date))
        }
        commit = _git(root, "commit-tree", tree, "-p", head.commit, "-m", WORKING_TREE, **author)
    except _GitError as error:
        raise InputError(f"the working tree cannot be taken as a commit ({error}).") from None
    return GateCommit(WORKING_TREE, commit, tree)


def _check_untracked(root: Path) -> None:
    """Raise InputError for a repository inside of the repository, and for files too large to be source."""
    for name in filter(None, _git(root, "ls-files", "--others", "--exclude-standard", "-z").split("\0")):
        if name.endswith("/"):
            raise InputError(f"{root / name} is a repository of its own; add it to .gitignore, or move it away.")
        path = root / name
        if path.is_file() and path.stat().st_size > MOST_UNTRACKED_BYTES:
            raise InputError(
                f"{path} is not tracked and has {path.stat().st_size} bytes; the working tree is taken with untracked "
                f"files of up to {MOST_UNTRACKED_BYTES}: add it to .gitignore, or commit it."
            )


def _shallow(root: Path) -> str:
    try:
        shallow = _git(root, "rev-parse", "--is-shallow-repository") == "true"
    except _GitError:
        shallow = False
    if shallow:
        return ", and the clone is shallow: fetch its history ('git fetch --unshallow'; fetch-depth: 0 in a workflow)"
    return "; give a branch, a tag or a commit id"


class _GitError(Exception):
    """What git said."""


def _git(root: Path, *arguments: str, **environment: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", env=os.environ | environment, check=False
        )
    except OSError as error:
        raise _GitError(f"git cannot be run: {error.strerror}") from None
    if done.returncode:
        raise _GitError(" ".join(done.stderr.split())[-300:] or f"git ended with {done.returncode}")
    return done.stdout.strip()
