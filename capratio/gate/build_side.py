"""Builds one side in an asv environment of its own. It is a process of its own: asv works in its current folder.

Input: a line of JSON: the configuration's path, the folder of the environments, side and commit, and where links to the
shared packages may be made. Output: a line of JSON with the interpreter.
"""

import json
import sys
from pathlib import Path
from typing import Any

from capratio.gate.shared_packages import link_shared_packages

SIDE = "CAPRATIO_GATE_SIDE"
SHARED = "capratio-gate.pth"


def main() -> None:
    """Build the side that standard input names."""
    asked = json.loads(sys.stdin.readline())
    events = sys.stdout
    sys.stdout = sys.stderr
    print(json.dumps(build(asked)), file=events, flush=True)


def build(asked: dict[str, Any]) -> dict[str, Any]:
    """The environment of a side with its commit installed: its interpreter and the folder of its packages."""
    from asv.config import Config
    from asv.console import log
    from asv.environment import get_environments
    from asv.repo import get_repo

    log.enable(verbose=False)
    conf = Config.load(asked["config"])
    if conf.environment_type == "existing":
        raise SystemExit("environment_type is 'existing' in asv.conf.json, and two commits need two environments.")
    # Whatever the configuration clones: the commits are those of this repository, the working tree's among them.
    conf.repo = str(Path(asked["config"]).parent)
    conf.env_dir = asked["env_dir"]
    conf.matrix = with_side(conf.matrix or {}, asked["side"])
    environment = next(iter(get_environments(conf, "")), None)
    if environment is None:
        raise SystemExit("asv finds no environment of asv.conf.json on this machine; look at its pythons.")
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    if not environment.python.startswith(running):
        raise SystemExit(f"asv.conf.json asks for Python {environment.python}; the gate shares packages of {running}.")
    environment.create()
    packages = environment.run(["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip()
    # What the two commits need is taken from the environment that runs the gate, alike for both, unless they bring it.
    links = link_shared_packages(Path(asked["links"]), conf.project)
    Path(packages, SHARED).write_text(f"{links}\n")
    environment.install_project(conf, get_repo(conf), asked["commit"])
    return {"python": environment.find_executable("python"), "packages": packages, "name": environment.name}


def with_side(matrix: dict[str, Any], side: str) -> dict[str, Any]:
    """asv's matrix with a variable that gives each side an environment of its own."""
    new_style = {"req", "env", "env_nobuild"}
    sections = dict(matrix) if matrix.keys() <= new_style else {"req": dict(matrix)}
    return sections | {"env": {**sections.get("env", {}), SIDE: [side]}}


if __name__ == "__main__":
    main()
