"""One case measured in this process: counted, its memory read, timed."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import nn

from capratio.cost import promise
from capratio.cost.flop import Flop
from capratio.cost.systems.contract import SystemSpec
from capratio.measure.energy import measure_energy
from capratio.measure.flop_counter import OperationCount, count_operations
from capratio.measure.latency import SamplePolicy
from capratio.measure.memory import measure_memory
from capratio.records.record import Energy, Exact, Memory, Timing
from capratio.sweep.case import Case, Sampling, spec_of
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
    first = trial.prepare(0)
    called = measure_memory(
        lambda: trial.call(first), case.point.device, baseline_resident_bytes, lambda: trial.prepare(0)
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
    if sampled is not None:
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
    """The exact quantities of one sample, counted while it runs and held against the closed form, where it has one.

    Raises WrongAnswerError where the two differ, in FLOP by class or in the number of parameters.
    """
    argument = trial.prepare(0)
    if trial.visited is None:
        counted = count_operations(lambda: trial.call(argument), strict=False)
        return counted_alone(layer, counted)
    spec = spec_of(case.point)
    cost = count_operations(lambda: trial.call(argument), strict=True).cost
    promised = promise(spec, trial.visited, case.point.pass_, trial.order, itemsize(layer))
    if cost.flop != promised.flop:
        raise WrongAnswerError(f"counted FLOP {_named(cost.flop)} differ from the promised {_named(promised.flop)}.")
    law = promised.law
    parameters = sum(parameter.numel() for parameter in layer.parameters())
    if parameters != law.parameters:
        raise WrongAnswerError(f"the layer has {parameters} parameters; its closed form promises {law.parameters}.")
    return Exact(
        flop=cost.flop.as_dict(),
        promised_flop=promised.flop.as_dict(),
        law_flop=law.flop.as_dict(),
        routing_operations=cost.routing_operations,
        parameters=parameters,
        weight_parameters=law.weight_parameters if isinstance(spec, SystemSpec) else weight_parameters(layer),
        touched_parameters=promised.touched_parameters,
        expected_touched_parameters=promised.expected_touched_parameters,
        compulsory_bytes=promised.compulsory_bytes,
        op_bytes=cost.read_bytes + cost.written_bytes,
        visited_levels=promised.levels,
        expected_visited_levels=promised.expected_levels,
        capacity_ratio=law.capacity_ratio,
        capacity_ratio_all=law.capacity_ratio_all,
        visits=promised.counts,
        expected_visits=promised.expected_counts,
    )


def counted_alone(module: nn.Module, counted: OperationCount) -> Exact:
    """What is known of a module without a closed form; unknown operations make its FLOP a lower bound."""
    parameters = list(module.parameters())
    return Exact(
        flop=counted.cost.flop.as_dict(),
        promised_flop=None,
        law_flop=None,
        routing_operations=counted.cost.routing_operations,
        parameters=sum(parameter.numel() for parameter in parameters),
        weight_parameters=sum(parameter.numel() for parameter in parameters if parameter.dim() > 1),
        touched_parameters=None,
        expected_touched_parameters=None,
        compulsory_bytes=None,
        op_bytes=counted.cost.read_bytes + counted.cost.written_bytes,
        visited_levels=None,
        expected_visited_levels=None,
        capacity_ratio=None,
        capacity_ratio_all=None,
        flop_is_lower_bound=bool(counted.unknown),
        unknown_operations=counted.unknown,
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
