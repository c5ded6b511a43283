"""Case files: TOML with the points to sweep, the answers to expect and the claims to serve."""

import tomllib
from dataclasses import fields
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any

from capratio.cost.layer_names import layer_id
from capratio.cost.spec import FORMS, GATES, ORDERS, PASSES
from capratio.errors import InputError
from capratio.records.record import Point
from capratio.sweep.case import Case, Sampling, spec_of
from capratio.sweep.expected import check_expected
from capratio.sweep.names import check_keys, one_of
from capratio.sweep.ranges import integers, strings

DEVICES = ("cpu", "cuda")
FILE_KEYS = ("name", "title", "analysis", "replicates", "sampling", "defaults", "cases")
SWEPT_INTEGERS = ("in_features", "out_features", "depth", "tokens", "threads")
SWEPT_WORDS: dict[str, tuple[str, ...]] = {
    "form": FORMS,
    "dtype": ("float32", "float64", "bfloat16", "float16"),
    "device": DEVICES,
    "pass": PASSES,
    "cache": ("warm", "cold"),
    "input": ("gaussian", "text", "images"),
    "routing": ("measured", "uniform", "zipf", "single"),
    "backend": ("reference",),
    "gate": GATES,
    "order": ("auto", *ORDERS),
}
GROUP_KEYS = (
    "group",
    "layer",
    "bias",
    "claims",
    "analysis",
    "expected",
    "square",
    "replicates",
    *SWEPT_INTEGERS,
    *SWEPT_WORDS,
)
DEFAULTS: dict[str, Any] = {
    "form": "path",
    "depth": 0,
    "tokens": 1,
    "dtype": "float32",
    "device": "cpu",
    "pass": "forward",
    "cache": "warm",
    "input": "text",
    "routing": "measured",
    "backend": "reference",
    "threads": 1,
    "gate": "signs",
    "order": "auto",
    "bias": True,
    "square": False,
}


def bundled_case_files() -> dict[str, Path]:
    """The case files that come with the package, by name."""
    folder = Path(str(files("capratio") / "benchmark_cases"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def read_case_files(paths: list[Path], device: str | None = None) -> list[Case]:
    """The cases of some files in their order; a case that stands in several groups serves the claims of all.

    Args: device: where all of them run, whatever the files say.

    Raises InputError, which names the file and the key, for anything that is not as docs/case_files.md says.
    """
    cases: dict[str, Case] = {}
    for path in paths:
        for case in _read(path, device):
            known = cases.get(case.id)
            cases[case.id] = known.joined(case) if known else case
    return list(cases.values())


def _read(path: Path, device: str | None) -> list[Case]:
    content = _parse(path)
    check_keys(content, FILE_KEYS, f"{path}")
    groups = content.get("cases")
    if not isinstance(groups, list) or not groups:
        raise InputError(f"{path} has no cases; give at least one [[cases]] table.")
    defaults = DEFAULTS | content.get("defaults", {})
    check_keys(defaults, GROUP_KEYS, f"{path}: [defaults]")
    suite = str(content.get("name", path.stem))
    replicates = _replicates(content.get("replicates", 7), f"{path}")
    sampling = _sampling(content.get("sampling", {}), path)
    cases = []
    for place, group in enumerate(groups, start=1):
        where = f"{path}: cases[{place}]"
        check_keys(group, GROUP_KEYS, where)
        place_of_all = {} if device is None else {"device": device}
        cases += _group(defaults | group | place_of_all, where, suite, replicates, sampling)
    return cases


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); give the path or the name of a case file."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a TOML file ({error}).") from error


def _sampling(given: dict[str, Any], path: Path) -> Sampling:
    check_keys(given, tuple(f.name for f in fields(Sampling)), f"{path}: [sampling]")
    return Sampling(**given)


def _replicates(given: object, where: str) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or given < 1:
        raise InputError(f"{where}: replicates is {given!r}; give an integer, 1 or more.")
    return given


def _group(group: dict[str, Any], where: str, suite: str, replicates: int, sampling: Sampling) -> list[Case]:
    for key in ("layer", "in_features"):
        if key not in group:
            raise InputError(f"{where}: the key {key!r} is missing.")
    if group["square"] and "out_features" in group:
        raise InputError(f"{where}: square = true makes out_features equal in_features; leave out_features out.")
    group.setdefault("out_features", group["in_features"])
    layers = [_layer(name, where) for name in strings(group["layer"], f"{where}: layer")]
    replicates = _replicates(group.get("replicates", replicates), where)
    claims = tuple(sorted(strings(group["claims"], f"{where}: claims"))) if group.get("claims") else ()
    name = str(group.get("group", where.rpartition(": ")[2]))
    words = {key: strings(group[key], f"{where}: {key}") for key in SWEPT_WORDS}
    for key, given in words.items():
        for word in given:
            one_of(word, SWEPT_WORDS[key], f"{where}: {key}")
    numbers = {key: integers(group[key], f"{where}: {key}") for key in SWEPT_INTEGERS}
    keys = ("layer", *words, *numbers)
    cases: dict[str, Case] = {}
    for values in product(layers, *words.values(), *numbers.values()):
        chosen = dict(zip(keys, values, strict=True))
        if group["square"] and chosen["in_features"] != chosen["out_features"]:
            continue
        point = _point(chosen, bool(group["bias"]), where)
        case = Case(point, suite, name, replicates, claims, sampling)
        cases.setdefault(case.id, case)
    check_expected(group.get("expected", []), [spec_of(case.point) for case in cases.values()], where)
    return list(cases.values())


def _layer(name: str, where: str) -> str:
    try:
        return layer_id(name)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _point(chosen: dict[str, Any], bias: bool, where: str) -> Point:
    if chosen["layer"] == "dense":
        # A dense layer has no path, bits or order: every value of these gives the same case.
        chosen |= {"form": "path", "depth": 0, "gate": "signs", "order": "auto", "routing": "measured"}
    if chosen["pass"] == "decode" and chosen["tokens"] != 1:
        raise InputError(
            f"{where}: pass = 'decode' with tokens = {chosen['tokens']}; decoding is one token, use tokens = 1."
        )
    if chosen["tokens"] < 0 or chosen["threads"] < 1:
        raise InputError(f"{where}: tokens must be 0 or more and threads 1 or more.")
    if chosen["layer"] != "dense" and chosen["gate"] == "signs" and chosen["depth"] > chosen["in_features"]:
        raise InputError(
            f"{where}: depth = {chosen['depth']} with in_features = {chosen['in_features']}; each bit is the sign of a "
            "feature of its own, use a smaller depth."
        )
    chosen["pass_"] = chosen.pop("pass")
    point = Point(**chosen, bias=bias)
    try:
        spec_of(point)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return point
