"""The import arrows of the architecture hold: who may import whom, and which folders stay free of torch."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "capratio"

# folder → folders that it may import beside itself.
ARROWS = {
    "cli": {"report", "gate", "sweep", "cost", "scaling", "measure", "records"},
    "report": {"scaling", "gate", "records", "cost"},
    "scaling": {"records", "cost"},
    "gate": {"records"},
    "sweep": {"records", "measure", "cost", "inputs", "layers", "kernels"},
    "measure": {"cost"},
    "layers": {"kernels", "cost"},
    "kernels": {"cost"},
    "inputs": set(),
    "records": set(),
    "cost": set(),
}
# Small files that every folder may import, and that import none.
GROUND_FLOOR = {"errors", "units", "display", "linux", "names", "threading_layer", "watched_process"}
# The reading half imports these nowhere, not even inside a function.
TORCH_FREE = {"cost", "records", "scaling", "report", "gate"}
# The command line answers --help before any of these is imported.
HEAVY = {"torch", "numpy", "pandas", "scipy", "seaborn", "matplotlib", "sklearn", "pyarrow"}


def imported_modules(source: str, module: str, is_package: bool) -> Iterator[tuple[str, bool]]:
    """(absolute module name, whether it is imported when the file is) of each import, relative ones included."""
    tree = ast.parse(source)
    inside_functions = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        eager = id(node) not in inside_functions
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, eager
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, module, is_package)
            yield base, eager
            # `from capratio import layers` names the folder only here.
            for alias in node.names:
                yield f"{base}.{alias.name}", eager
        elif isinstance(node, ast.Call) and _is_dynamic_import(node) and isinstance(node.args[0], ast.Constant):
            yield str(node.args[0].value), eager


def _absolute(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    if node.level == 0:
        return node.module or ""
    here = module.split(".") if is_package else module.split(".")[:-1]
    base = here[: len(here) - (node.level - 1)]
    return ".".join([*base, *([node.module] if node.module else [])])


def _is_dynamic_import(node: ast.Call) -> bool:
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return called in {"import_module", "__import__"} and bool(node.args)


def violations(package: Path) -> list[str]:
    """Every import of a package that its arrows or its torch-free folders forbid, one sentence each."""
    found = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        names = parts[:-1] if is_package else parts
        room = parts[0] if len(parts) > 1 else None
        label = "/".join(path.relative_to(package).parts)
        if room is not None and room not in ARROWS:
            found.append(f"{label}: the folder {room} has no row in the table of arrows")
            continue
        for name, _ in imported_modules(path.read_text(), ".".join((package.name, *names)), is_package):
            found += _judge(label, room, name.split("."), package.name)
    return list(dict.fromkeys(found))


def _judge(label: str, room: str | None, target: list[str], package: str) -> list[str]:
    if target[0] == "torch" and room in TORCH_FREE:
        return [f"{label}: imports torch, and {room} is free of it"]
    if target[0] != package or len(target) < 2:
        return []
    to = target[1]
    if to in GROUND_FLOOR or to not in ARROWS or to == room:
        return []
    if room is None:
        return [f"{label}: imports {to}, and a file of the ground floor imports no folder"]
    return [] if to in ARROWS[room] else [f"{label}: imports {to}; there is no arrow {room} -> {to}"]


def write_tree(root: Path, files: dict[str, str]) -> Path:
    """A package of these files under ``root``."""
    package = root / "capratio"
    for name, source in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return package


def test_no_import_of_the_package_goes_against_an_arrow() -> None:
    assert [] == violations(PACKAGE)


def test_every_folder_of_the_package_is_a_row_of_the_table() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/*.py")}

    assert folders <= set(ARROWS)


def test_the_arrows_have_no_circle() -> None:
    def reach(room: str, seen: tuple[str, ...] = ()) -> Iterator[str]:
        assert room not in seen, f"{' -> '.join(seen)} -> {room}"
        for target in ARROWS[room]:
            yield target
            yield from reach(target, (*seen, room))

    assert all(room not in set(reach(room)) for room in ARROWS)


@pytest.mark.parametrize(
    "name, source, expected",
    [
        ("cost/a.py", "from capratio.layers import dense", "there is no arrow cost -> layers"),
        ("cost/a.py", "import capratio.layers.dense", "there is no arrow cost -> layers"),
        ("cost/a.py", "from capratio import layers", "there is no arrow cost -> layers"),
        ("cost/a.py", "from ..layers import dense", "there is no arrow cost -> layers"),
        ("cost/a.py", "from .. import layers", "there is no arrow cost -> layers"),
        ("cost/deep/a.py", "from ...layers.dense import Dense", "there is no arrow cost -> layers"),
        ("cost/deep/__init__.py", "from ...layers import dense", "there is no arrow cost -> layers"),
        ("records/a.py", "def f():\n    from capratio.cost import spec", "there is no arrow records -> cost"),
        (
            "records/a.py",
            "import importlib\nimportlib.import_module('capratio.cost')",
            "there is no arrow records -> cost",
        ),
        ("measure/a.py", "from capratio.layers.table import build", "there is no arrow measure -> layers"),
        ("layers/a.py", "from capratio.sweep.case_file import x", "there is no arrow layers -> sweep"),
        ("scaling/a.py", "import torch.nn as nn", "scaling is free of it"),
        ("report/a.py", "def f():\n    import torch", "report is free of it"),
        ("errors.py", "from capratio.cost import spec", "a file of the ground floor imports no folder"),
        ("tools/a.py", "x = 1", "the folder tools has no row"),
    ],
)
def test_a_forbidden_import_is_found_in_whatever_way_it_is_written(
    tmp_path: Path, name: str, source: str, expected: str
) -> None:
    package = write_tree(tmp_path, {name: source})

    found = violations(package)

    assert 1 <= len(found)
    assert expected in found[0]


@pytest.mark.parametrize(
    "name, source",
    [
        ("cli/a.py", "from capratio.report.page import write_report"),
        ("sweep/a.py", "import torch\nfrom capratio.layers.table import build"),
        ("cost/a.py", "from capratio.errors import InputError\nfrom capratio.cost.flop import Flop"),
        ("cost/deep/a.py", "from ..flop import Flop\nfrom . import b"),
        ("kernels/a.py", "import capratio\nimport torch"),
    ],
)
def test_an_allowed_import_is_not_reported(tmp_path: Path, name: str, source: str) -> None:
    package = write_tree(tmp_path, {name: source})

    assert [] == violations(package)


def test_the_command_line_imports_nothing_heavy_when_a_file_of_it_is_imported() -> None:
    eager = {
        (path.name, name.split(".")[0])
        for path in (PACKAGE / "cli").glob("*.py")
        for name, at_import in imported_modules(path.read_text(), f"capratio.cli.{path.stem}", path.stem == "__init__")
        if at_import
    }

    assert set() == {(path, name) for path, name in eager if name in HEAVY}
