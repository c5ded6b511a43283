"""Every case, built and verified as a sweep does, under pytest-benchmark's own protocol.

Its statistics are never compared with those of a sweep. What was counted stands beside them in ``extra_info``: FLOP by
class, bytes, parameters, what a system reached, the limit of the machine in the same run, and on CUDA the time of the
device by its events.
"""

import statistics
from typing import Any

import torch

from capratio.cost.roofline import Ceilings
from capratio.measure.cuda_device import require_cuda
from capratio.records.record import Exact
from capratio.sweep.case import Case
from capratio.sweep.measure_case import count_exactly, sample_policy
from capratio.sweep.prepare import build_layer, prepare_trial
from capratio.sweep.profile_case import layer_limit
from capratio.sweep.timing import time_call
from capratio.sweep.trial import Trial

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
    by_class = {f"{name}_flop": count for name, count in exact.flop.items()}
    reached = {} if exact.visits is None else {"visits": exact.visits}
    benchmark.extra_info.update(exact.counts | by_class | reached)
    latency_s = benchmark.stats.stats.median if case.point.device == "cpu" else device_latency_s(case, trial)
    benchmark.extra_info.update(against_limit(case, exact, ceilings, latency_s))


def device_latency_s(case: Case, trial: Trial) -> float:
    """The median time of the device, by events, with the launches hidden."""
    timing = time_call(
        trial.call, trial.prepare, trial.check, sample_policy(case.sampling), 0.0, device=case.point.device
    )
    return statistics.median(timing.device_samples_s or timing.samples_s)


def against_limit(case: Case, exact: Exact, ceilings: Ceilings, latency_s: float) -> dict[str, float]:
    """The roofline of a case and how much of it a call reaches; nothing for a call that has nothing to do."""
    roof = layer_limit(exact, case, ceilings)
    if roof is None:
        return {}
    told = {"limit_s": roof.limit_s, "efficiency": roof.limit_s / latency_s}
    return told if case.point.device == "cpu" else told | {"device_latency_s": latency_s}
