"""Case files: TOML with the points to sweep, the answers to expect and the claims to serve."""

import tomllib
from dataclasses import dataclass, fields, replace
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any

from capratio.cost.executed import has_orders
from capratio.cost.layer_names import layer_id
from capratio.cost.spec import (
    DENSE_GRADIENT,
    FORMS,
    GATES,
    HIDDEN,
    MAX_DEPTH,
    ORDERS,
    PASSES,
    TOUCHED_LAYERS,
    WEIGHT_GRADIENTS,
    check_bits,
)
from capratio.errors import InputError
from capratio.records.record import Point
from capratio.sweep.case import Case, Sampling, spec_of
from capratio.sweep.expected import check_expected
from capratio.sweep.names import check_keys, one_of
from capratio.sweep.ranges import booleans, integers, strings, text

DEVICES = ("cpu", "cuda")
FILE_KEYS = ("name", "title", "analysis", "replicates", "side_by_side", "sampling", "defaults", "cases")
SWEPT_INTEGERS = ("in_features", "out_features", "depth", "hidden", "tokens", "threads")
SWEPT_WORDS: dict[str, tuple[str, ...]] = {
    "form": FORMS,
    "dtype": ("float32", "float64", "bfloat16", "float16"),
    "device": DEVICES,
    "pass": PASSES,
    "cache": ("warm", "cold"),
    # Those of capratio.inputs, which imports torch; a test holds the two equal.
    "input": ("gaussian", "text", "images"),
    "routing": ("measured", "uniform", "zipf", "single"),
    # Those of capratio.kernels, likewise.
    "backend": (
        "auto",
        "reference",
        "cpu",
        "cuda",
        "grouped-mm",
        "gather-bmm",
        "embedding-bag",
        "fastfeedforward",
        "ultrafastbert",
    ),
    "gate": GATES,
    "order": ("auto", *ORDERS),
    "weight_gradient": WEIGHT_GRADIENTS,
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
    "hidden": HIDDEN,
    "tokens": 1,
    "dtype": "float32",
    "device": "cpu",
    "pass": "forward",
    "cache": "warm",
    "input": "text",
    "routing": "measured",
    "backend": "auto",
    "threads": 1,
    "gate": "signs",
    "order": "auto",
    "weight_gradient": "dense",
    "bias": True,
    "square": False,
    "claims": [],
    "analysis": "",
}


@dataclass(frozen=True, slots=True)
class Suite:
    """What a case file says to people; a text that it lacks is empty.

    groups: group → its analysis, for each group that has one.
    """

    name: str
    title: str
    analysis: str
    groups: dict[str, str]


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
        for case in _cases(path, device):
            known = cases.get(case.id)
            cases[case.id] = known.joined(case) if known else case
    return list(cases.values())


def read_suites(paths: list[Path]) -> list[Suite]:
    """What some files say to people, in their order.

    Raises InputError, which names the file and the key, for a file without tables of cases or a text that is none.
    """
    return [_suite(path, *_tables(path)) for path in paths]


def read_claims(paths: list[Path]) -> list[tuple[str, str]]:
    """(Place, claim) of each claim that a group of some files names; whether there is such a claim is not asked.

    Raises InputError, which names the file and the key, for a file without tables of cases or claims that are no words.
    """
    return [
        (where, claim)
        for path in paths
        for where, group in _tables(path)[1].items()
        for claim in _claims(group["claims"], where)
    ]


def _tables(path: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The top level of a file, and its groups by their place, each laid over the defaults."""
    content = _parse(path)
    check_keys(content, FILE_KEYS, f"{path}")
    groups = content.get("cases")
    if not isinstance(groups, list) or not groups:
        raise InputError(f"{path} has no cases; give at least one [[cases]] table.")
    defaults = content.get("defaults", {})
    check_keys(defaults, GROUP_KEYS, f"{path}: [defaults]")
    placed = {f"{path}: cases[{place}]": group for place, group in enumerate(groups, start=1)}
    for where, group in placed.items():
        check_keys(group, GROUP_KEYS, where)
    return content, {where: DEFAULTS | defaults | group for where, group in placed.items()}


def _cases(path: Path, device: str | None) -> list[Case]:
    content, groups = _tables(path)
    suite = _suite(path, content, groups).name
    replicates = _replicates(content.get("replicates", 7), f"{path}")
    sampling = _sampling(content.get("sampling", {}), f"{path}: [sampling]")
    side_by_side = content.get("side_by_side", False)
    if not isinstance(side_by_side, bool):
        raise InputError(f"{path}: side_by_side is {side_by_side!r}; give true or false without quotes.")
    place_of_all = {} if device is None else {"device": device}
    return [
        replace(case, side_by_side=side_by_side)
        for where, group in groups.items()
        for case in _group(group | place_of_all, where, suite, replicates, sampling)
    ]


def _suite(path: Path, content: dict[str, Any], groups: dict[str, dict[str, Any]]) -> Suite:
    name, title, analysis = (
        text(content.get(key, default), f"{path}: {key}")
        for key, default in (("name", path.stem), ("title", ""), ("analysis", ""))
    )
    said: dict[str, list[str]] = {}
    for where, group in groups.items():
        sentence = text(group["analysis"], f"{where}: analysis")
        known = said.setdefault(_name(group, where), [])
        if sentence and sentence not in known:
            known.append(sentence)
    return Suite(name, title, analysis, {group: " ".join(sentences) for group, sentences in said.items() if sentences})


def _name(group: dict[str, Any], where: str) -> str:
    return text(group.get("group", where.rpartition(": ")[2]), f"{where}: group")


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); give the path or the name of a case file."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a TOML file ({error}).") from error


def _sampling(given: dict[str, Any], where: str) -> Sampling:
    check_keys(given, tuple(f.name for f in fields(Sampling)), where)
    try:
        return Sampling(**given)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _replicates(given: object, where: str) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or given < 1:
        raise InputError(f"{where}: replicates is {given!r}; give an integer, 1 or more.")
    return given


def _claims(given: object, where: str) -> tuple[str, ...]:
    return () if given == [] else tuple(sorted(strings(given, f"{where}: claims")))


def _group(group: dict[str, Any], where: str, suite: str, replicates: int, sampling: Sampling) -> list[Case]:
    for key in ("layer", "in_features"):
        if key not in group:
            raise InputError(f"{where}: the key {key!r} is missing; give it here or in [defaults].")
    square = group["square"]
    if not isinstance(square, bool):
        raise InputError(f"{where}: square is {square!r}; give true or false without quotes.")
    if square and "out_features" in group:
        raise InputError(f"{where}: square = true makes out_features equal in_features; leave out_features out.")
    group.setdefault("out_features", group["in_features"])
    replicates = _replicates(group.get("replicates", replicates), where)
    claims, name = _claims(group["claims"], where), _name(group, where)
    swept: dict[str, tuple[object, ...]] = {
        "layer": tuple(_layer(layer, where) for layer in strings(group["layer"], f"{where}: layer"))
    }
    for key, known in SWEPT_WORDS.items():
        words = strings(group[key], f"{where}: {key}")
        for word in words:
            one_of(word, known, f"{where}: {key}")
        swept[key] = words
    swept |= {key: integers(group[key], f"{where}: {key}") for key in SWEPT_INTEGERS}
    swept["bias"] = booleans(group["bias"], f"{where}: bias")
    cases: dict[str, Case] = {}
    for values in product(*swept.values()):
        chosen = dict(zip(swept, values, strict=True))
        if square and chosen["in_features"] != chosen["out_features"]:
            continue
        case = Case(_point(chosen, where), suite, name, replicates, claims, sampling)
        cases.setdefault(case.id, case)
    check_expected(group.get("expected", []), [spec_of(case.point) for case in cases.values()], where)
    return list(cases.values())


def _layer(name: str, where: str) -> str:
    try:
        return layer_id(name)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _point(chosen: dict[str, Any], where: str) -> Point:
    # Before a dense layer loses its depth, whatever that was.
    if not 0 <= chosen["depth"] <= MAX_DEPTH:
        raise InputError(f"{where}: depth = {chosen['depth']}; give a number of gating bits from 0 to {MAX_DEPTH}.")
    if chosen["layer"] == "dense":
        # A dense layer has no path, bits or order: every value of these gives the same case.
        chosen |= {
            "form": "path",
            "depth": 0,
            "gate": "signs",
            "order": "auto",
            "routing": "measured",
            "backend": "auto",
        }
    if chosen["pass"] != "train" or chosen["depth"] == 0 or chosen["layer"] not in TOUCHED_LAYERS:
        # Without a gradient of touched rows every value of the key gives the same case.
        chosen["weight_gradient"] = DENSE_GRADIENT
    if chosen["layer"] == "fast-feedforward":
        # Its nodes decide, whatever other layers are gated by.
        chosen["gate"] = "descent"
    hidden = chosen.pop("hidden")
    if chosen["form"] == "leaf" and hidden != HIDDEN:
        chosen["options"] = {"hidden": str(hidden)}
    if chosen["pass"] == "decode" and chosen["tokens"] != 1:
        raise InputError(
            f"{where}: pass = 'decode' with tokens = {chosen['tokens']}; decoding is one token, use tokens = 1."
        )
    if chosen["tokens"] < 0 or chosen["threads"] < 1:
        raise InputError(
            f"{where}: tokens = {chosen['tokens']} and threads = {chosen['threads']}; give tokens of 0 or more and "
            "threads of 1 or more."
        )
    if chosen["routing"] != "measured" and chosen["gate"] != "signs":
        raise InputError(
            f"{where}: routing = {chosen['routing']!r} with gate = {chosen['gate']!r}; a routing is imposed "
            "through the signs that a gate reads, use gate = 'signs' or routing = 'measured'."
        )
    chosen["pass_"] = chosen.pop("pass")
    point = Point(**chosen)
    try:
        spec = spec_of(point)
        check_bits(spec)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    # Without several orders every value of the key gives the same case.
    return point if has_orders(spec) else replace(point, order="auto")
