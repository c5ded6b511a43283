"""The record of a live module: anybody's ``nn.Module``, counted, its memory read and timed in this process."""

import os
from datetime import UTC, datetime

import torch
from torch import nn

from capratio.errors import InputError
from capratio.measure.clock import PerfClock
from capratio.measure.flop_counter import count_operations
from capratio.measure.latency import measure_latency
from capratio.measure.machine import require_linux
from capratio.measure.memory import measure_memory
from capratio.records.case_id import case_id
from capratio.records.record import Exact, Memory, Point, Record, Timing
from capratio.sweep.case import Sampling
from capratio.sweep.measure_case import sample_policy, state_bytes
from capratio.sweep.verify import check_same


def measure_module(module: nn.Module, input: torch.Tensor, sampling: Sampling | None = None) -> Record:
    """Measure a module's forward pass on one input, warm, under inference mode.

    There is no closed form for a module from outside, so only what is measured is reported; an operation without a
    FLOP rule is named in ``exact.unknown_operations`` and makes ``exact.flop`` a lower bound. Later outputs must be
    bit-equal to the first one. One process is one replicate: call this in several before you compare latencies.

    Args: module: takes (..., p) and returns one tensor (..., q). input: (..., p), on the module's device.

    Returns: a record whose layer is ``package.module:Class`` and whose latencies are in seconds.

    Raises InputError where the input has no dimension or is not on the CPU, or the module does not return a tensor;
    WrongAnswerError where the output changes from call to call.
    """
    require_linux()
    if input.dim() == 0:
        raise InputError("the input has no dimension; give a tensor of shape (..., in_features).")

    if input.device.type != "cpu":
        raise InputError(
            f"the input is on {input.device}; a host clock would time the launch alone, so give both on the CPU."
        )

    def call(x: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            out = module(x)
        if not isinstance(out, torch.Tensor):
            raise InputError(f"the module returned {type(out).__name__}; a single tensor was expected.")
        return out

    first = call(input)
    point = _point(module, input, first)
    counted = count_operations(lambda: call(input), strict=False)
    called = measure_memory(lambda: call(input))
    samples = measure_latency(
        call,
        prepare=lambda _: input,
        check=lambda _, out: check_same(first, out, "output"),
        clock=PerfClock(),
        policy=sample_policy(sampling or Sampling()),
    )
    parameters = sum(parameter.numel() for parameter in module.parameters())
    exact = Exact(
        flop=counted.cost.flop.as_dict(),
        promised_flop=None,
        law_flop=None,
        routing_operations=counted.cost.routing_operations,
        parameters=parameters,
        weight_parameters=sum(one.numel() for one in module.parameters() if one.dim() > 1),
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
    return Record(
        case=case_id(point),
        replicate=0,
        block=0,
        suite="module",
        group="module",
        claims=(),
        status="measured",
        reason=None,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        point=point,
        exact=exact,
        timing=Timing(samples.samples_s, samples.warmup_calls, 0, samples.stopped_because, 0.0),
        memory=Memory(
            state_bytes(module),
            called.allocated_peak_bytes,
            called.reserved_peak_bytes,
            called.device_used_peak_bytes,
            called.resident_peak_bytes,
            dict(called.absent),
        ),
        loadavg=os.getloadavg()[0],
    )


def _point(module: nn.Module, x: torch.Tensor, out: torch.Tensor) -> Point:
    name = type(module)
    return Point(
        layer=f"{name.__module__}:{name.__qualname__}",
        form="path",
        in_features=x.shape[-1],
        out_features=out.shape[-1],
        depth=0,
        tokens=x.shape[:-1].numel(),
        dtype=str(x.dtype).removeprefix("torch."),
        device=x.device.type,
        pass_="forward",
        cache="warm",
        input="given",
        routing="measured",
        backend="module",
        threads=torch.get_num_threads(),
    )
