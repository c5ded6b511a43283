"""What the gate asks of a side: a case by its description, made ready to be timed by the gate's own clock.

This is the protocol between the gate and the commits that it compares, kept small: ``PROTOCOL`` and ``ready_case``. A
commit of this repository builds its own layers by it; for a user's commit the installed capratio does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from capratio.measure.eviction import CacheEvictor
from capratio.measure.flop_counter import count_operations
from capratio.measure.machine import last_level_cache_bytes
from capratio.measure.memory import measure_memory
from capratio.records.record import Point
from capratio.sweep.case import Case, Sampling
from capratio.sweep.code_warmer import CodeWarmer, evict_data
from capratio.sweep.measure_case import count_exactly
from capratio.sweep.prepare import build_layer, prepare_trial
from capratio.sweep.trial import Trial
from capratio.sweep.user_layer import UserLayer, UserTrial, prepare_user_trial

PROTOCOL = 1


@dataclass(frozen=True, slots=True)
class ReadyCase:
    """A case whose layer is built and verified.

    call, prepare, check, evict: as ``measure_latency`` takes them. cold: whether data is evicted before each sample.
    counts: counts the exact quantities of one call, integers by name.
    """

    call: Callable[[Any], Any]
    prepare: Callable[[int], Any]
    check: Callable[[int, Any], None]
    evict: Callable[[], None] | None
    device: str
    cold: bool
    counts: Callable[[], dict[str, int]]


def ready_case(described: Mapping[str, Any], seed: int, inside: list[Path]) -> ReadyCase:
    """Build and verify what a description names: ``point`` for a layer of ours, ``layer`` for a user's.

    Args: seed: of weights and inputs, the same on both sides. inside: folders of which one must hold a user's layer.

    Raises InputError and WrongAnswerError as ``prepare_trial`` and ``prepare_user_trial``.
    """
    if "layer" in described:
        return _ready_user_layer(UserLayer(**described["layer"]), seed, inside)
    return _ready_point(Point(**described["point"]), Sampling(**described["sampling"]), seed, inside)


def _ready_point(point: Point, sampling: Sampling, seed: int, inside: list[Path]) -> ReadyCase:
    case = Case(point, "gate", "gate", 1, sampling=sampling)
    layer = build_layer(point, seed, inside)
    trial = prepare_trial(layer, case, seed)
    cold = point.cache == "cold"
    evict = evict_data(_evictor(), CodeWarmer(case, trial.order, seed)) if cold and point.device == "cpu" else None

    def counts() -> dict[str, int]:
        counted = count_exactly(layer, trial, case).counts
        return counted | _allocated(trial, point.device)

    return ReadyCase(trial.call, trial.prepare, trial.check, evict, point.device, cold, counts)


def _ready_user_layer(asked: UserLayer, seed: int, inside: list[Path]) -> ReadyCase:
    trial = prepare_user_trial(asked, seed, inside)

    def counts() -> dict[str, int]:
        argument = trial.prepare(0)
        counted = count_operations(lambda: trial.call(argument), strict=False).cost
        return {
            "flop": sum(counted.flop.as_dict().values()),
            "op_bytes": counted.read_bytes + counted.written_bytes,
            "parameters": sum(parameter.numel() for parameter in trial.module.parameters()),
            "routing_operations": counted.routing_operations,
        } | _allocated(trial, asked.device)

    return ReadyCase(trial.call, trial.prepare, trial.check, None, asked.device, False, counts)


def _allocated(trial: Trial | UserTrial, device: str) -> dict[str, int]:
    first = trial.prepare(0)
    called = measure_memory(lambda: trial.call(first), device, prepare=lambda: trial.prepare(0))
    peak_bytes = called.allocated_peak_bytes
    return {} if peak_bytes is None else {"allocated_peak_bytes": peak_bytes}


@cache
def _evictor() -> CacheEvictor:
    return CacheEvictor(last_level_cache_bytes())
