"""Every case, built and verified as a sweep does, under pytest-benchmark's own protocol.

Its statistics are never compared with those of a sweep. What was counted stands beside them in ``extra_info``: FLOP by
class, bytes, parameters, the limit of the machine in the same run, and on CUDA the time of the device by its events.
"""

import statistics
from typing import Any

import torch

from capratio.cost.roofline import Ceilings, limit
from capratio.measure.cuda_device import require_cuda
from capratio.records.record import Exact
from capratio.sweep.case import Case
from capratio.sweep.measure_case import count_exactly, sample_policy
from capratio.sweep.timing import time_call
from capratio.sweep.trial import Trial, build_layer, prepare_trial

# As the first replicate of a sweep.
SEED = 1000
WARMUP_ROUNDS = 3


def test_case(case: Case, group: str, ceilings: Ceilings, benchmark: Any) -> None:
    """Time one case; its answer is held against float64 before, and against itself after."""
    if case.point.device == "cuda":
        require_cuda()
    torch.set_num_threads(case.point.threads)
    layer = build_layer(case.point, SEED)
    trial = prepare_trial(layer, case, SEED)
    exact = count_exactly(layer, trial, case)
    benchmark.group = group

    # The first sample again and again: a round is set up, which clears gradients, and then timed.
    last = benchmark.pedantic(
        trial.call,
        setup=lambda: ((trial.prepare(0),), {}),
        rounds=case.sampling.max_samples,
        warmup_rounds=WARMUP_ROUNDS,
    )

    trial.check(0, last)
    benchmark.extra_info.update(counted(exact))
    latency_s = benchmark.stats.stats.median if case.point.device == "cpu" else device_latency_s(case, trial)
    benchmark.extra_info.update(against_limit(case, exact, ceilings, latency_s))


def counted(exact: Exact) -> dict[str, int]:
    """The integers of a case, under the names that a record has."""
    numbers = {
        "flop": sum(exact.flop.values()),
        **{f"{name}_flop": count for name, count in exact.flop.items()},
        "op_bytes": exact.op_bytes,
        "compulsory_bytes": exact.compulsory_bytes,
        "parameters": exact.parameters,
        "touched_parameters": exact.touched_parameters,
        "routing_operations": exact.routing_operations,
    }
    return {name: value for name, value in numbers.items() if value is not None}


def device_latency_s(case: Case, trial: Trial) -> float:
    """The median time of the device, by events, with the launches hidden."""
    timing = time_call(
        trial.call, trial.prepare, trial.check, sample_policy(case.sampling), 0.0, device=case.point.device
    )
    return statistics.median(timing.device_samples_s or timing.samples_s)


def against_limit(case: Case, exact: Exact, ceilings: Ceilings, latency_s: float) -> dict[str, float]:
    """The roofline of a case and how much of it a call reaches; nothing for a call that has nothing to do."""
    flop = sum(exact.flop.values())
    if exact.compulsory_bytes is None or not (flop or exact.compulsory_bytes):
        return {}
    limit_s = limit(ceilings, flop, exact.compulsory_bytes, case.point.cache, case.point.dtype).limit_s
    told = {"limit_s": limit_s, "efficiency": limit_s / latency_s}
    return told if case.point.device == "cpu" else told | {"device_latency_s": latency_s}
