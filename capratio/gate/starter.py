"""The files by which a repository of its own gets a gate, from the templates of ``starter_files/``."""

import re
import subprocess
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from capratio.errors import InputError

TEMPLATES = Path(__file__).parent / "starter_files"
CASES = "ci/gate_cases.toml"
# File of the repository → template.
FILES = {
    "ci/gate.toml": "gate.toml",
    CASES: "gate_cases.toml",
    "ci/gate.sh": "gate.sh",
    ".github/workflows/gate.yml": "workflow.yml",
    "asv.conf.json": "asv.conf.json",
}
_LAYER = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_LAYER_TABLE = """
[[layers]]
layer = "{layer}"
# What {name}(...) is called with, such as {{ out_features = 256, depth = 4 }}.
arguments = {{}}
# The last dimension of its input.
in_features = 256
tokens = [1, 64]
"""


@dataclass(frozen=True, slots=True)
class Started:
    """written: files that were made. left: those that were there, and stay as they were."""

    written: tuple[str, ...]
    left: tuple[str, ...]


def write_starter(root: Path, layers: Sequence[str]) -> Started:
    """Write what the gate needs into a repository; a file that is there is left.

    Args: root: of the repository. layers: ``package.module:Class`` each; a name to be replaced where there is none.

    Raises InputError for a repository that holds no Python project, and for a layer of another form.
    """
    for layer in layers:
        if not _LAYER.fullmatch(layer):
            raise InputError(f"the layer {layer!r} has another form; name it package.module:Class.")
    project = project_name(root)
    package = re.sub(r"\W", "_", project)
    texts = {file: (TEMPLATES / template).read_text(encoding="utf-8") for file, template in FILES.items()}
    texts[CASES] += "".join(
        _LAYER_TABLE.format(layer=layer, name=layer.partition(":")[2])
        for layer in (layers or [f"{package}.module:Class"])
    )
    texts["asv.conf.json"] = texts["asv.conf.json"].replace("PROJECT", project).replace("BRANCH", _branch(root))
    written = [file for file in FILES if _write_new(root / file, texts[file])]
    return Started(tuple(written), tuple(file for file in FILES if file not in written))


def project_name(root: Path) -> str:
    """The name of the distribution that a folder builds: of its ``pyproject.toml``, else the folder's own.

    Raises InputError where the folder holds none, or its ``pyproject.toml`` is not TOML.
    """
    file = root / "pyproject.toml"
    if not file.is_file() and not (root / "setup.py").is_file():
        raise InputError(f"{root} has no pyproject.toml and no setup.py; the gate builds a Python project with either.")
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is not TOML ({error}).") from None
    project = table.get("project")
    name = project.get("name") if isinstance(project, dict) else None
    for known in (name, root.resolve().name):
        if isinstance(known, str) and _NAME.fullmatch(known):
            return known
    return "project"


def _branch(root: Path) -> str:
    """The branch that changes go into: the remote's own, else the one that is checked out."""
    for name in ("refs/remotes/origin/HEAD", "HEAD"):
        command = ["git", "-C", str(root), "symbolic-ref", "--short", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        branch = done.stdout.strip().removeprefix("origin/")
        if done.returncode == 0 and '"' not in branch:
            return branch
    return "main"


def _write_new(path: Path, text: str) -> bool:
    """Write a file unless it is there, and say whether it was written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return False
    if path.suffix == ".sh":
        path.chmod(0o755)
    return True
