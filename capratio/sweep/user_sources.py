"""The content of a user's layer, found without importing it, so that records of two versions are not mixed."""

import hashlib
import os
from collections.abc import Iterable
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

from capratio.errors import InputError
from capratio.units import counted

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


def check_found(layers: Iterable[str]) -> None:
    """Raise InputError where the module of a layer ``package.module:Class`` is nowhere to be found.

    It names the first of those layers. A package that is there answers for its modules itself, when it is imported; a
    folder without ``__init__.py`` does not.
    """
    missing = [layer for layer in layers if not _is_found(layer.partition(":")[0])]
    if not missing:
        return
    others = f" and {counted(len(missing) - 1, 'layer')} more" if len(missing) > 1 else ""
    top = missing[0].partition(":")[0].partition(".")[0]
    raise InputError(
        f"{missing[0]}{others} cannot be found, so that nothing was measured; install {top}, run in the folder that "
        "holds it, or name the other cases by --only."
    )


def _is_found(module: str) -> bool:
    top, _, rest = module.partition(".")
    spec = _found(top)
    if spec is None or spec.origin is not None or not rest:
        return spec is not None
    return PathFinder.find_spec(f"{top}.{rest.partition('.')[0]}", spec.submodule_search_locations) is not None


def _found(top: str) -> ModuleSpec | None:
    """Where a package or module of the top level lies. Finding one there imports nothing."""
    try:
        spec = find_spec(top)
    except ValueError:
        # A module that is loaded and does not say from where, as __main__.
        return None
    return spec or PathFinder.find_spec(top, [os.getcwd()])
