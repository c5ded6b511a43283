"""Both commits, built side by side in asv's environments."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from capratio.errors import CapratioError, InputError
from capratio.gate.commits import GateCommit
from capratio.gate.side_process import HOME, SideEnvironment

CONFIG = "asv.conf.json"
# Characters of what a build said.
MOST_SAID = 300


class BuildError(CapratioError):
    """A commit that does not build."""

    exit_code = 5


def build_side(root: Path, work: Path, side: str, commit: GateCommit) -> SideEnvironment:
    """The environment of a side, with the commit installed as asv's configuration says.

    Args: root: of the repository, with its ``asv.conf.json``. work: folder of the environments and of the log.

    Raises InputError without a configuration, BuildError where asv cannot build.
    """
    config = root / CONFIG
    if not config.is_file():
        raise InputError(f"{root} has no {CONFIG}, by which both commits are built; 'capratio gate init' writes one.")
    asked = {
        "config": str(config),
        "env_dir": str(work / "env"),
        "side": side,
        "commit": commit.commit,
        "links": str(work / f"packages-{side}"),
    }
    log = work / f"build-{side}.log"
    done = _run(asked, root, log)
    if done is None:
        raise BuildError(f"{side} ({commit.name}, {commit.commit[:12]}) does not build: {_last_words(log)} See {log}.")
    packages = Path(done["packages"])
    own = (packages / "capratio" / "__init__.py").is_file()
    return SideEnvironment(done["python"], own, (str(packages.parents[2]),))


def _run(asked: Mapping[str, str], root: Path, log: Path) -> dict[str, str] | None:
    environment = dict(os.environ) | {"PYTHONPATH": str(HOME)}
    command = [sys.executable, "-P", "-m", "capratio.gate.build_side"]
    with log.open("w") as errors:
        done = subprocess.run(
            command,
            input=json.dumps(asked) + "\n",
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=root,
            env=environment,
            check=False,
        )
    if done.returncode or not done.stdout.strip():
        return None
    result: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return result


def _last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    told = [line for line in lines if line.lower().startswith(("error", "fatal"))]
    # asv says that a command failed; what it said itself stands before that.
    last = told[-1] if told else " ".join(lines[-2:])
    return f"{last[:MOST_SAID].rstrip('.')}."
