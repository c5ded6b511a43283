"""What a run may be continued with: the content that measures, the files and inputs it reads, the machine."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import capratio
from capratio.errors import InputError
from capratio.inputs.table import corpus_hash
from capratio.sweep.case import Case, is_user_layer
from capratio.sweep.user_sources import user_source_hash

PACKAGE = Path(capratio.__file__).parent
# What another selection of the same cases reads more of.
WIDENED = ("corpora", "layers")
# The reading half can change without a new measurement.
PRODUCING = ("cost", "inputs", "kernels", "layers", "measure", "records", "sweep")


def run_identity(case_files: list[Path], cases: Iterable[Case], machine: dict[str, object]) -> dict[str, object]:
    """The identity of a run: hashes of the measuring rooms, constraints, case files, corpora and users' layers, and the
    machine.

    The commit is not part of it: an edited comment in the README measures nothing else.
    """
    sources = sorted(path for room in PRODUCING for path in (PACKAGE / room).rglob("*.py"))
    constraints = PACKAGE.parent / "constraints.txt"
    named: dict[str, list[Path]] = {}
    for path in case_files:
        named.setdefault(path.name, []).append(path)
    return {
        "package": _hash((str(path.relative_to(PACKAGE)), path) for path in sources),
        "constraints": _hash([(constraints.name, constraints)]) if constraints.is_file() else None,
        "case_files": {name: _hash((name, path) for path in paths) for name, paths in named.items()},
        "corpora": {name: corpus_hash(name) for name in sorted({case.point.input for case in cases})},
        "layers": {
            layer: user_source_hash(layer)
            for layer in sorted({case.point.layer for case in cases if is_user_layer(case.point.layer)})
        },
        "machine": machine,
    }


def same_identity(known: object, given: dict[str, object], out: Path) -> dict[str, object]:
    """The identity of a run that goes on: the known one, with the corpora and layers that it did not read before.

    Raises InputError, which names what differs, unless the run may go on.
    """
    if not isinstance(known, dict):
        raise InputError(f"{out} holds a machine.json without an identity; give an empty or new folder as --out.")
    widened = known | {key: _table(given[key]) | _table(known.get(key)) for key in WIDENED}
    wanted = given | {key: _table(known.get(key)) | _table(given[key]) for key in WIDENED}
    changed = [_named(key, widened.get(key), value) for key, value in wanted.items() if widened.get(key) != value]
    if changed:
        raise InputError(
            f"{out} was measured with other content ({'; '.join(changed)}); "
            "runs are not mixed, give a new folder as --out."
        )
    return widened


def _table(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _named(key: str, known: object, given: object) -> str:
    """What of the identity differs: the key, with the names in it that differ, where it has some."""
    if not isinstance(known, dict) or not isinstance(given, dict):
        return key
    names = sorted(name for name in known.keys() | given.keys() if known.get(name) != given.get(name))
    return f"{key}: {', '.join(names)}"


def _hash(files: Iterable[tuple[str, Path]]) -> str:
    digest = hashlib.sha256()
    for name, path in files:
        digest.update(f"{name}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
