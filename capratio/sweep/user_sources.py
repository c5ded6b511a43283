"""The content of a user's layer, found without importing it, so that records of two versions are not mixed."""

import hashlib
import os
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

# Of the virtual environment's packages too, a hash takes less than a second.
MOST_FILES = 5000


def user_source_hash(layer: str) -> str | None:
    """The SHA-256 of the Python files of the package or module that a layer ``package.module:Class`` comes from.

    It is looked for as a worker does: where this interpreter looks, then in the working directory; nothing of it runs.
    None where it is not found, or has more than MOST_FILES files.
    """
    spec = _found(layer.partition(":")[0].partition(".")[0])
    if spec is None:
        return None
    if spec.submodule_search_locations:
        roots = [Path(place) for place in spec.submodule_search_locations]
    elif spec.origin is not None and Path(spec.origin).is_file():
        roots = [Path(spec.origin)]
    else:
        return None
    files = sorted(path for root in roots for path in (root.rglob("*.py") if root.is_dir() else [root]))
    if len(files) > MOST_FILES:
        return None
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _found(top: str) -> ModuleSpec | None:
    """Where a package or module of the top level lies. Finding one there imports nothing."""
    try:
        spec = find_spec(top)
    except ValueError:
        # A module that is loaded and does not say from where, as __main__.
        return None
    return spec or PathFinder.find_spec(top, [os.getcwd()])
