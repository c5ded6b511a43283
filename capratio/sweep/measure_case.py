"""One case measured in this process: counted, its memory read, timed."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import nn

from capratio.cost import (
    closed_form,
    compulsory_bytes,
    executed_flop,
    expected_touched_parameters,
    touched_parameters,
)
from capratio.cost.flop import Flop
from capratio.cost.spec import expected_visited
from capratio.measure.energy import measure_energy
from capratio.measure.flop_counter import count_operations
from capratio.measure.latency import SamplePolicy
from capratio.measure.memory import measure_memory
from capratio.records.record import Energy, Exact, Memory, Timing
from capratio.sweep.case import Case, Sampling
from capratio.sweep.timing import time_call
from capratio.sweep.trial import Trial
from capratio.sweep.verify import WrongAnswerError

ENERGY_CALLS = 10


@dataclass(frozen=True, slots=True)
class CaseMeasurement:
    """What the process read of one case."""

    exact: Exact
    timing: Timing
    memory: Memory
    energy: Energy


def measure_case(
    layer: nn.Module,
    trial: Trial,
    case: Case,
    evict: Callable[[], None] | None,
    run_started_s: float,
    baseline_resident_bytes: int,
) -> CaseMeasurement:
    """Count, read memory and time a case whose layer is verified.

    evict: evicts the data before each sample of a cold case on the CPU, else None. run_started_s: Unix time.
    baseline_resident_bytes: of this process before the layer was built.

    Raises WrongAnswerError where counted FLOP differ from the closed form or a later output from the verified one,
    UnknownOperationError for an operation without a FLOP rule.
    """
    exact = count_exactly(layer, trial, case)
    called = measure_memory(
        lambda: trial.call(trial.prepare(0)), case.point.device, baseline_resident_bytes=baseline_resident_bytes
    )
    started_s = time.time() - run_started_s
    timing = time_call(
        trial.call,
        trial.prepare,
        trial.check,
        sample_policy(case.sampling),
        started_s,
        device=case.point.device,
        cold=case.point.cache == "cold",
        evict=evict,
    )
    # A decode sample is one token, the next of a set; warm-up calls took the first ones.
    sampled = trial.sampled(timing.warmup_calls + timing.discarded_calls + len(timing.samples_s))
    exact = replace(exact, sampled_levels=sampled.levels)
    memory = Memory(
        state_bytes(layer),
        called.allocated_peak_bytes,
        called.reserved_peak_bytes,
        called.device_used_peak_bytes,
        called.resident_peak_bytes,
        dict(called.absent),
    )
    reading = measure_energy(lambda: trial.call(trial.prepare(0)), ENERGY_CALLS, case.point.device)
    energy = Energy(
        reading.energy_j,
        reading.sm_clock_hz,
        reading.temperature_c,
        reading.power_w,
        tuple(reading.throttle_reasons),
        reading.absent_because,
    )
    return CaseMeasurement(exact, timing, memory, energy)


def count_exactly(layer: nn.Module, trial: Trial, case: Case) -> Exact:
    """The exact quantities of one sample, counted while it runs and held against the closed form.

    Raises WrongAnswerError where the two differ, in FLOP by class or in the number of parameters.
    """
    spec, point, visited = case.spec, case.point, trial.visited
    argument = trial.prepare(0)
    counted = count_operations(lambda: trial.call(argument), strict=True).cost
    promised = executed_flop(spec, visited, point.pass_, trial.order)
    if counted.flop != promised:
        raise WrongAnswerError(f"counted FLOP {_named(counted.flop)} differ from the promised {_named(promised)}.")
    law = closed_form(spec)
    parameters = sum(parameter.numel() for parameter in layer.parameters())
    if parameters != law.parameters:
        raise WrongAnswerError(f"the layer has {parameters} parameters; its closed form promises {law.parameters}.")
    return Exact(
        flop=counted.flop.as_dict(),
        promised_flop=promised.as_dict(),
        law_flop=law.flop.as_dict(),
        routing_operations=counted.routing_operations,
        parameters=parameters,
        weight_parameters=weight_parameters(layer),
        touched_parameters=touched_parameters(spec, visited),
        expected_touched_parameters=expected_touched_parameters(spec, visited.tokens),
        compulsory_bytes=compulsory_bytes(spec, visited, point.pass_, itemsize(layer)),
        op_bytes=counted.read_bytes + counted.written_bytes,
        visited_levels=visited.levels,
        expected_visited_levels=expected_visited(spec, visited.tokens),
        capacity_ratio=law.capacity_ratio,
        capacity_ratio_all=law.capacity_ratio_all,
    )


def sample_policy(sampling: Sampling) -> SamplePolicy:
    """How a case's process decides that it has sampled enough."""
    return SamplePolicy(
        min_samples=sampling.min_samples, max_samples=sampling.max_samples, time_limit_s=sampling.time_limit_s
    )


def state_bytes(layer: nn.Module) -> int:
    """What the parameters and buffers of a layer hold."""
    return sum(tensor.numel() * tensor.element_size() for tensor in (*layer.parameters(), *layer.buffers()))


def weight_parameters(layer: nn.Module) -> int:
    """Elements of a layer's own weight tables: its parameters without its bias and its gate."""
    return sum(
        parameter.numel()
        for name, parameter in layer.named_parameters()
        if name != "bias" and not name.startswith("gate.")
    )


def itemsize(layer: nn.Module) -> int:
    """Bytes of one parameter."""
    return next(layer.parameters()).element_size()


def _named(flop: Flop) -> str:
    return ", ".join(f"{name} {count}" for name, count in flop.as_dict().items() if count)
