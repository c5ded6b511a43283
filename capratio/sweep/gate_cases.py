"""The cases of a gate: layers of ours by a case file, or a user's own layers by ``[[layers]]``."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from itertools import product
from pathlib import Path
from typing import Any

from capratio.errors import InputError
from capratio.names import check_keys, one_of
from capratio.records.record import Point
from capratio.sweep.case import Case, Sampling
from capratio.sweep.case_file import read_case_files
from capratio.sweep.case_group import DEVICES, SWEPT_WORDS
from capratio.sweep.ranges import integers, strings

LAYER_KEYS = ("layer", "arguments", "in_features", "tokens", "dtype", "device", "pass", "threads")
# One process measures all cases, in some tenths of a second each: many short processes say more than few long ones.
SAMPLING: Mapping[str, Any] = {"min_samples": 10, "max_samples": 200, "time_limit_s": 0.2, "case_time_limit_s": 60.0}


@dataclass(frozen=True, slots=True)
class GateCase:
    """described: what ``side_cases.ready_case`` takes, of JSON alone. threads: torch's. sampling: of the clock."""

    id: str
    described: Mapping[str, Any]
    threads: int
    sampling: Mapping[str, Any]


def read_gate_cases(path: Path) -> list[GateCase]:
    """The cases of a file with ``[[cases]]`` (docs/case_files.md) or ``[[layers]]`` (docs/gate.md).

    Raises InputError, which names the file and the key, for anything else.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"the gate's cases {path} cannot be read ({error.strerror}); give a TOML file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML ({error}).") from None
    if "layers" not in table:
        return [_of_case(case) for case in read_case_files([path])]
    check_keys(table, ("layers", "sampling"), str(path))
    layers, sampling = table["layers"], _sampling(table.get("sampling", {}), f"{path}: [sampling]")
    if not isinstance(layers, list) or not layers:
        raise InputError(f"{path}: layers is {layers!r}; write [[layers]] tables, one at least.")
    found: dict[str, GateCase] = {}
    for place, layer in enumerate(layers, start=1):
        for case in _of_layer(layer, f"{path}: layers[{place}]", sampling):
            if case.id in found:
                raise InputError(f"{path}: layers[{place}] gives the case {case.id} a second time.")
            found[case.id] = case
    return list(found.values())


def _of_case(case: Case) -> GateCase:
    # An older commit knows no later field: what has its default value is left out.
    point = {f.name: value for f in fields(Point) if (value := getattr(case.point, f.name)) != _default(f)}
    sampling = asdict(case.sampling)
    return GateCase(case.id, {"point": point, "sampling": sampling}, case.point.threads, sampling)


def _default(field: Any) -> object:
    return field.default if field.default is not MISSING else MISSING


def _of_layer(table: object, where: str, sampling: Mapping[str, Any]) -> list[GateCase]:
    if not isinstance(table, dict):
        raise InputError(f"{where} is {table!r}; write a [[layers]] table.")
    check_keys(table, LAYER_KEYS, where)
    layer, arguments = table.get("layer"), table.get("arguments", {})
    if not isinstance(layer, str) or layer.count(":") != 1 or not all(layer.split(":")):
        raise InputError(f"{where} has layer = {layer!r}; name it package.module:Class.")
    if not isinstance(arguments, dict) or not _is_json(arguments):
        raise InputError(
            f"{where} has arguments = {arguments!r}; give a table of numbers, text and lists, such as "
            "{ out_features = 256 }."
        )
    if "in_features" not in table:
        raise InputError(f"{where} has no in_features; give the last dimension of the layer's input.")
    words = {
        key: _words(table.get(key, known[0]), known, f"{where}: {key}")
        for key, known in (("dtype", SWEPT_WORDS["dtype"]), ("device", DEVICES), ("pass", ("forward", "train")))
    }
    numbers = {key: integers(table.get(key, 1), f"{where}: {key}") for key in ("in_features", "tokens", "threads")}
    if any(value < 1 for values in numbers.values() for value in values):
        raise InputError(f"{where}: in_features, tokens and threads are 1 or more.")
    return [
        _layer_case(layer, arguments, dict(zip([*words, *numbers], chosen, strict=True)), sampling)
        for chosen in product(*words.values(), *numbers.values())
    ]


def _layer_case(
    layer: str, arguments: Mapping[str, object], chosen: dict[str, Any], sampling: Mapping[str, Any]
) -> GateCase:
    options = ",".join(f"{key}={arguments[key]}" for key in sorted(arguments))
    place = f"p{chosen['in_features']}/n{chosen['tokens']}/{chosen['dtype']}/{chosen['device']}/{chosen['pass']}"
    name = f"{layer}[{options}]/{place}" if options else f"{layer}/{place}"
    threads = chosen.pop("threads")
    if threads != 1:
        name += f"/t{threads}"
    described = {"layer": layer, "arguments": dict(arguments), "pass_": chosen.pop("pass"), **chosen}
    return GateCase(name, {"layer": described}, threads, sampling)


def _is_json(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _words(given: object, known: tuple[str, ...], where: str) -> tuple[str, ...]:
    words = strings(given, where)
    for word in words:
        one_of(word, known, where)
    return words


def _sampling(given: object, where: str) -> Mapping[str, Any]:
    if not isinstance(given, dict):
        raise InputError(f"{where} is {given!r}; write a table.")
    check_keys(given, tuple(SAMPLING), where)
    chosen = {**SAMPLING, **given}
    try:
        Sampling(**chosen)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return chosen
