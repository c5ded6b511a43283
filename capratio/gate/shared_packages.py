"""The packages of the environment that runs the gate, for both sides: all but the project that is compared."""

import shutil
import sysconfig
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path


def link_shared_packages(folder: Path, project: str) -> Path:
    """A folder of links to what is installed here, without the project's own files; made anew.

    Both commits then run on the same torch, which is not installed again. Links to paths (``.pth``) are left out: they
    may lead to a checkout of the project.

    Args: project: the name of its distribution.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    own = _own_entries(project)
    # The two are one folder on most systems, on some by a link.
    for packages in sorted({Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")}):
        for entry in packages.iterdir():
            link = folder / entry.name
            if entry.name not in own and entry.suffix != ".pth" and not link.exists():
                link.symlink_to(entry)
    return folder


def _own_entries(project: str) -> set[str]:
    try:
        files = distribution(project).files or []
    except PackageNotFoundError:
        return set()
    return {file.parts[0] for file in files}
