"""A run that was never measured: records from a plausible cost model with log-normal noise, in tree.toml's shape."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from capratio.cost import (
    Ceilings,
    LayerSpec,
    VisitedNodes,
    closed_form,
    compulsory_bytes,
    executed_flop,
    executed_routing,
    expected_touched_parameters,
    has_orders,
    limit,
    touched_parameters,
)
from capratio.cost.spec import expected_visited
from capratio.records.codec import encode
from capratio.records.record import Exact, Limit, Memory, Point, Record, Timing

if TYPE_CHECKING:
    from capratio.scaling.verdict import Verdict

CEILINGS = Ceilings(
    measured_at_s=1.0,
    threads=2,
    device="cpu",
    read_curve=(
        (2.0**14, 160e9),
        (2.0**18, 110e9),
        (2.0**21, 62e9),
        (2.0**24, 40e9),
        (2.0**27, 14e9),
        (2.0**30, 12.5e9),
    ),
    copy_curve=((2.0**14, 90e9), (2.0**18, 70e9), (2.0**21, 40e9), (2.0**24, 26e9), (2.0**27, 9e9), (2.0**30, 8e9)),
    random_row_curve=((2.0**18, 60e9), (2.0**21, 35e9), (2.0**24, 20e9), (2.0**27, 8e9), (2.0**30, 6e9)),
    flop_per_s={"float32": 120e9, "float64": 58e9},
    spread=0.03,
)
MACHINE = {
    "cpu_model": "Example CPU 9000",
    "physical_cores": 2,
    "logical_cores": 2,
    "caches": {"l1d_bytes": 32768, "l2_bytes": 1048576, "l3_bytes": 33554432},
    "memory_bytes": 16 * 2**30,
    "python": "3.12.1",
    "packages": {"torch": "2.13.0", "numpy": "2.4.6"},
    "commit": "0123abc",
    "dirty": False,
}
SERIES = (
    ("dense", "path"),
    ("tree-shared", "path"),
    ("tree-shared", "collapsed"),
    ("tree-unit", "path"),
    ("tree-unit", "collapsed"),
    ("tree-bias", "path"),
    ("tree-bias", "collapsed"),
)
# Seconds that a call takes beside its bytes and FLOP.
_CALL_S = 2.5e-5


def make_record(
    layer: str = "tree-shared",
    form: str = "path",
    p: int = 512,
    q: int = 512,
    depth: int = 8,
    tokens: int = 1,
    pass_: str = "decode",
    cache: str = "cold",
    replicate: int = 0,
    routing: str = "measured",
    claims: tuple[str, ...] = (),
) -> Record:
    """One replicate whose exact figures are the closed forms and whose time is limit × 1.4 + a call, with noise."""
    spec = LayerSpec(layer, p, q, depth, form)
    order = "prefixes" if has_orders(spec) else None
    visited = _visited(spec, tokens, routing)
    flop = executed_flop(spec, visited, pass_, order)
    size = compulsory_bytes(spec, visited, pass_, 4)
    law = closed_form(spec)
    roof = limit(CEILINGS, flop.total, size, cache, "float32")
    case = f"{layer}[{form}]/p{p}-q{q}-k{depth}/n{tokens}/float32/cpu/{pass_}/{cache}/text+{routing}/reference/t2"
    noise = np.random.default_rng([len(case), depth, tokens, p, q, replicate, form == "path", cache == "cold"])
    process_s = (roof.limit_s * 1.4 + _CALL_S) * math.exp(noise.normal(0.0, 0.015))
    samples = process_s * np.exp(noise.normal(0.0, 0.005, 12))
    return Record(
        case=case,
        replicate=replicate,
        block=replicate,
        suite="tree",
        group="k line",
        claims=claims,
        status="measured",
        reason=None,
        started_at=f"2026-05-04T10:{replicate:02d}:00+00:00",
        point=Point(
            layer,
            form,
            p,
            q,
            depth,
            tokens,
            "float32",
            "cpu",
            pass_,
            cache,
            "text",
            routing,
            "reference",
            2,
            order=order,
        ),
        exact=Exact(
            flop=flop.as_dict(),
            promised_flop=flop.as_dict(),
            law_flop=law.flop.as_dict(),
            routing_operations=executed_routing(spec, tokens, pass_),
            parameters=law.parameters,
            weight_parameters=law.weight_parameters,
            touched_parameters=touched_parameters(spec, visited),
            expected_touched_parameters=expected_touched_parameters(spec, tokens),
            compulsory_bytes=size,
            op_bytes=2 * size,
            visited_levels=visited.levels,
            expected_visited_levels=expected_visited(spec, tokens),
            capacity_ratio=law.capacity_ratio,
            capacity_ratio_all=law.capacity_ratio_all,
        ),
        timing=Timing(tuple(float(s) for s in samples), 5, 0, "count", 10.0 * replicate),
        memory=Memory(
            state_bytes=4 * law.parameters,
            allocated_peak_bytes=4 * tokens * q + 4 * p * q * (depth + 1 if order else 0),
            reserved_peak_bytes=None,
            device_used_peak_bytes=None,
            resident_peak_bytes=4 * law.parameters + 9 * 2**20,
            absent={"reserved_peak_bytes": "no CUDA", "device_used_peak_bytes": "no CUDA"},
        ),
        limit=Limit(*roof, 0.03),
        loadavg=0.4,
    )


def make_records(
    replicates: int = 3, depths: tuple[int, ...] = tuple(range(13)), widths: tuple[int, ...] = (128, 256, 512, 1024)
) -> list[Record]:
    """The k line of every layer and form for four kinds of call, dense layers by width, routings, a refusal."""
    calls = ((1, "decode", "cold"), (1, "decode", "warm"), (1024, "forward", "warm"), (1024, "train", "warm"))
    made = []
    for replicate in range(replicates):
        for tokens, pass_, cache in calls:
            common: dict[str, Any] = {"tokens": tokens, "pass_": pass_, "cache": cache, "replicate": replicate}
            made += [make_record("dense", "path", p, p, 0, **common) for p in widths]
            made += [make_record(layer, form, depth=k, **common) for layer, form in SERIES[1:] for k in depths]
        for routing in ("uniform", "zipf", "single"):
            made += [
                make_record(depth=k, tokens=1024, pass_="forward", cache="warm", routing=routing, replicate=replicate)
                for k in depths[::2]
            ]
        made += [
            make_record(depth=k, tokens=n, pass_="forward", cache="warm", replicate=replicate)
            for n in (16, 128)
            for k in depths
        ]
        made.append(
            replace(
                make_record(depth=14, replicate=replicate),
                status="refused",
                reason="the case needs 34 GiB and 12 GiB are free; use a smaller depth.",
                exact=None,
                timing=None,
                memory=None,
                limit=None,
            )
        )
    return made


def write_run(folder: Path, records: list[Record], machine: dict[str, Any] = MACHINE) -> Path:
    """A run folder as a sweep leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "machine.json").write_text(json.dumps(machine))
    (folder / "records.jsonl").write_text("".join(f"{encode(record)}\n" for record in records))
    (folder / "ceilings.jsonl").write_text(json.dumps(CEILINGS.to_dict()) + "\n")
    return folder


def _visited(spec: LayerSpec, tokens: int, routing: str) -> VisitedNodes:
    trees = spec.in_features if spec.layer == "tree-unit" else 1
    skew = {"measured": 0.6, "uniform": 1.0, "zipf": 0.35, "single": 0.0}[routing]
    levels = [trees]
    for level, expected in enumerate(expected_visited(spec, tokens)[1:], start=1):
        above = levels[-1] // trees
        levels.append(trees * max(above, min(2 * above, tokens, 2**level, round(skew * expected / trees))))
    return VisitedNodes(tokens, tuple(levels))


@pytest.fixture(scope="session")
def records() -> list[Record]:
    """The synthetic run's records."""
    return make_records()


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory: pytest.TempPathFactory, records: list[Record]) -> Path:
    """The synthetic run on disk."""
    return write_run(tmp_path_factory.mktemp("run"), records)


@pytest.fixture(scope="session")
def record_maker() -> Callable[..., Record]:
    """Makes one record from the sizes that a test names."""
    return make_record


@pytest.fixture(scope="session")
def run_writer() -> Callable[[Path, list[Record]], Path]:
    """Writes records as a run folder."""
    return write_run


def make_verdict(**given: Any) -> "Verdict":
    """A verdict whose fields are as given, plausible where not."""
    from capratio.scaling.verdict import Verdict

    fields: dict[str, Any] = {
        "claim": "path-latency-over-depth",
        "group": "tree-shared",
        "title": "Overhead latency grows like k",
        "text": "The law.",
        "kind": "fitted",
        "status": "holds",
        "quantity": "exponent",
        "expected": 1.0,
        "estimate": 1.02,
        "low": 0.95,
        "high": 1.08,
        "margin": 0.15,
        "regime": "N = 1, cold",
        "points": (),
        "breaks": (),
        "advice": "",
        "sentence": "It holds.",
    }
    return Verdict(**(fields | given))


@pytest.fixture(scope="session")
def verdict_maker() -> "Callable[..., Verdict]":
    """Makes one verdict from the fields that a test names."""
    return make_verdict


@pytest.fixture(scope="session")
def break_maker() -> Callable[[float, str], object]:
    """Makes one break of a line: the depth and the cache level that is left there."""
    from capratio.scaling.verdict import Break

    return lambda at, name: Break(at=at, name=name)
