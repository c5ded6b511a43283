"""What commands of the gate that measure share: cases and policy read, both sides built, the run made or continued."""

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import click

from capratio.errors import InputError, NothingMeasuredError
from capratio.names import those_that_fit

if TYPE_CHECKING:
    from capratio.gate.blocks_run import BlocksRun
    from capratio.gate.commits import GateCommit
    from capratio.gate.comparison import Comparison
    from capratio.gate.policy import Policy
    from capratio.gate.side_process import MeasuredCase, SideEnvironment

WORK = Path(".asv/gate")
FINISHED = "finished"
# What both sides compute with.
PACKAGES = ("torch", "numpy", "numba", "triton")


@dataclass(frozen=True, slots=True)
class GateSession:
    """Two sides of a repository, what is measured of them, and by which policy.

    root: of the repository. folder: of the run; None for one below the repository's work folder.
    """

    root: Path
    base: "GateCommit"
    head: "GateCommit"
    policy: "Policy"
    cases: "tuple[MeasuredCase, ...]"
    folder: Path | None

    def run(self, time_limit_s: float | None) -> "Comparison":
        """Build what is not built, measure what is not measured, and compare.

        Raises BuildError for a commit that does not build, NothingMeasuredError for a side of which nothing can be
        measured, InputError for a folder that holds another run.
        """
        from capratio.gate.block_plan import BASE, HEAD
        from capratio.gate.blocks_comparison import comparison_of
        from capratio.gate.work_lock import alone_in
        from capratio.measure.machine import machine_identity

        if self.folder is not None and (self.folder / FINISHED).exists():
            raise InputError(f"{self.folder} holds a gate that is finished; give a new folder as --out, or remove it.")
        with alone_in(work_folder(self.root)):
            base, head = build_sides(self.root, self.base, self.head)
            run = self.measure(base, head, time_limit_s)
            kept = _finish(self.folder or self._folder(self._identity(base, head)), given=self.folder is not None)
        click.echo(f"every process of this run is kept in {kept}", err=True)
        if run.broken is not None:
            raise NothingMeasuredError(run.broken)
        names = {BASE: self.base.name, HEAD: self.head.name}
        return comparison_of(run, names, {BASE: self.base.commit, HEAD: self.head.commit}, machine_identity())

    def measure(self, base: "SideEnvironment", head: "SideEnvironment", time_limit_s: float | None) -> "BlocksRun":
        """The run of two sides that are built, measured into the session's folder."""
        from capratio.cli.gate_progress import gate_progress
        from capratio.gate.block_plan import BlockPlan
        from capratio.gate.blocks_run import run_blocks
        from capratio.gate.process_store import ProcessStore
        from capratio.gate.side_process import SideProcesses
        from capratio.gate.validity import Block

        processes = SideProcesses(base, head, self.cases)
        seed = random.SystemRandom().getrandbits(31)
        identity = self._identity(base, head)
        folder = self.folder or self._folder(identity)
        with ProcessStore(folder, identity, seed) as store, gate_progress() as progress:

            def measure(plan: BlockPlan) -> Block:
                known = store.block(plan)
                if known is None:
                    known = processes.measure(plan)
                    store.add(known)
                return known

            if len(store):
                progress.note(f"{folder}: going on after {len(store)} processes that were measured before")
            ids = [case.id for case in self.cases]
            return run_blocks(ids, self.policy, store.described["seed"], measure, progress, time_limit_s)

    def _folder(self, identity: dict[str, object]) -> Path:
        # Another capratio, policy or case file is another run.
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        return work_folder(self.root) / f"{self.base.commit[:12]}-{self.head.commit[:12]}-{digest[:8]}"

    def _identity(self, base: "SideEnvironment", head: "SideEnvironment") -> dict[str, object]:
        from capratio.measure.machine import PACKAGE, machine_identity
        from capratio.measure.source_state import content_hash

        return {
            "base": self.base.tree,
            "head": self.head.tree,
            "slowdowns": [dict(base.slowdowns), dict(head.slowdowns)],
            "policy": {"alpha": self.policy.alpha, "anchor": self.policy.anchor, "blocks": list(self.policy.blocks)},
            "budgets": {"latency": self.policy.latency, "budgets": [asdict(each) for each in self.policy.budgets]},
            "cases": [asdict(case) for case in self.cases],
            "packages": {name: _version(name) for name in PACKAGES},
            "machine": machine_identity(),
            "capratio": content_hash(PACKAGE),
        }


def _finish(folder: Path, *, given: bool) -> Path:
    """Mark a run that ended, so that it is not looked at again; one whose folder nobody gave makes way for the next."""
    (folder / FINISHED).touch()
    if given:
        return folder
    places = (folder.with_name(f"{folder.name}-{place}") for place in count(1))
    return folder.rename(next(place for place in places if not place.exists()))


def open_session(
    base: str,
    head: str | None,
    policy_file: Path | None,
    only: str | None,
    budget: float | None,
    out: Path | None,
    exact: bool,
) -> GateSession:
    """Read what a gate needs, before anything is built or measured.

    Raises InputError for a policy, case file or commit that is none, and a pattern without a match.
    """
    from capratio.gate.commits import find_commit, repository_root, working_tree
    from capratio.gate.policy import read_policy
    from capratio.linux import require_linux

    require_linux()
    if find_spec("asv") is None:
        raise InputError("both commits are built by asv, which is not installed here; pip install 'capratio[asv]'.")
    root = repository_root(Path.cwd())
    path = policy_file or root / "ci" / "gate.toml"
    if policy_file is None and not path.is_file():
        raise InputError(f"{root} has no ci/gate.toml; 'capratio gate init' writes one, or give --policy.")
    policy = read_policy(path)
    cases = _cases(path, policy.cases, only)
    first, second = find_commit(root, base), working_tree(root) if head is None else find_commit(root, head)
    policy = replace(policy, latency=policy.latency if budget is None else budget)
    if exact:
        policy = replace(policy, blocks=())
    return GateSession(root, first, second, policy, tuple(cases), out)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def work_folder(root: Path) -> Path:
    """The folder of environments and runs in a repository, which git does not see."""
    folder = root / WORK
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("*\n")
    return folder


def build_sides(root: Path, base: "GateCommit", head: "GateCommit") -> "tuple[SideEnvironment, SideEnvironment]":
    """Both commits in environments of their own.

    Raises BuildError for the one that does not build.
    """
    from capratio.gate.block_plan import BASE, HEAD
    from capratio.gate.environments import build_side

    sides = []
    for side, commit in ((BASE, base), (HEAD, head)):
        click.echo(f"building {side}, {commit.commit[:12]} ({commit.name})", err=True)
        sides.append(build_side(root, work_folder(root), side, commit))
    return sides[0], sides[1]


def _cases(policy_path: Path, name: str | None, only: str | None) -> "Sequence[MeasuredCase]":
    from capratio.gate.side_process import MeasuredCase
    from capratio.sweep.gate_cases import read_gate_cases

    if name is None:
        raise InputError(f"{policy_path} names no cases; write cases = 'gate_cases.toml', a file beside it.")
    chosen = those_that_fit(only, read_gate_cases(policy_path.parent / name))
    return [MeasuredCase(case.id, case.described, case.threads, case.sampling) for case in chosen]
