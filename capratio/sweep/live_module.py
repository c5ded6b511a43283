"""The record of a live module: anybody's ``nn.Module``, counted, its memory read and timed in this process."""

import os
from collections.abc import Callable
from datetime import UTC, datetime

import torch
from torch import nn

from capratio.errors import CapratioError, InputError
from capratio.linux import require_linux
from capratio.measure.flop_counter import count_operations
from capratio.measure.memory import measure_memory
from capratio.records.case_id import case_id
from capratio.records.record import Memory, Point, Record
from capratio.sweep.call_start import CallStart
from capratio.sweep.case import Sampling
from capratio.sweep.measure_case import counted_alone, sample_policy, state_bytes
from capratio.sweep.timing import time_call
from capratio.sweep.verify import WrongAnswerError, check_same

# Whatever code from outside may raise; one that asks Python to end is no reason to end a sweep.
FOREIGN = (Exception, SystemExit)


def measure_module(module: nn.Module, input: torch.Tensor, sampling: Sampling | None = None) -> Record:
    """Measure a module's forward pass on one input, warm, under inference mode.

    There is no closed form for a module from outside, so only what is measured is reported; an operation without a
    FLOP rule is named in ``exact.unknown_operations`` and makes ``exact.flop`` a lower bound. Later outputs must be
    bit-equal to the first one. One process is one replicate: call this in several before you compare latencies. The
    record names no form, depth or gate, also of a layer of ours: cases of a sweep do.

    Args: module: takes (..., p) and returns one tensor (..., q). input: (..., p), on the module's device, which is the
    CPU or CUDA.

    Returns: a record whose layer is ``package.module:Class`` and whose latencies are in seconds.

    Raises InputError where the input has no dimension, lies on neither, is not taken by the module, or gives something
    else than a tensor; WrongAnswerError where the output changes from call to call.
    """
    require_linux()
    if not isinstance(module, nn.Module):
        raise InputError(f"the module is {type(module).__name__}; give an nn.Module.")
    if not isinstance(input, torch.Tensor):
        raise InputError(f"the input is {type(input).__name__}; give a tensor of shape (..., in_features).")
    if input.layout != torch.strided:
        raise InputError(f"the input's layout is {input.layout}; give a dense tensor.")
    if input.dim() == 0:
        raise InputError("the input has no dimension; give a tensor of shape (..., in_features).")

    device = input.device.type
    if device not in ("cpu", "cuda"):
        raise InputError(f"the input is on {input.device}; latency can be read on the CPU and on CUDA.")

    def call(x: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return one_tensor(module(x))

    first = verified_output(call, module, input)
    point = _point(module, input, first)
    counted = count_operations(lambda: call(input), strict=False)
    called = measure_memory(lambda: call(input), device)
    timing = time_call(
        call,
        lambda _: input,
        lambda _, out: check_same(first, out, "output"),
        sample_policy(sampling or Sampling()),
        0.0,
        device=device,
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
        exact=counted_alone(module, counted),
        timing=timing,
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


def one_tensor(out: object) -> torch.Tensor:
    """What a module gave, where it is one tensor with a dimension; raise InputError where it is not."""
    if isinstance(out, torch.Tensor) and out.dim() > 0:
        return out
    given = "a tensor without a dimension" if isinstance(out, torch.Tensor) else type(out).__name__
    raise InputError(
        f"the module returned {given}; one tensor of shape (..., out_features) was expected, wrap it in a module that "
        "gives that one."
    )


def verified_output(
    call: Callable[[torch.Tensor], torch.Tensor],
    module: nn.Module,
    x: torch.Tensor,
    start: CallStart | None = None,
) -> torch.Tensor:
    """The output of a call that gives the same one twice and leaves its input as it was.

    Args: start: what each call starts from; None for whatever the one before left.

    Raises InputError where the module does not take x, WrongAnswerError where its output cannot be repeated.
    """
    try:
        given_x = x.clone()
        first = _started(call, x, start).clone()
        if start is not None:
            start.note_changes()
        second = _started(call, x, start)
    except (CapratioError, MemoryError):
        raise
    except FOREIGN as error:
        given = f"shape {tuple(x.shape)}, {x.dtype} on {x.device}"
        raise InputError(f"{type(module).__name__} does not take an input of {given}: {_said(error)}") from error
    if not torch.allclose(given_x, x, rtol=0.0, atol=0.0, equal_nan=True):
        raise WrongAnswerError("the module changes its own input, so that no call can be repeated; give it a copy.")
    if first.isnan().any():
        raise WrongAnswerError("the output holds NaN, which equals nothing; give an input that is mapped to numbers.")
    if not torch.equal(first, second):
        raise WrongAnswerError(
            f"the output changes from call to call, and only a fixed one can be verified, bit-equal; {_way_out(start)}."
        )
    return first


def _started(call: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, start: CallStart | None) -> torch.Tensor:
    if start is not None:
        start.again()
    return call(x)


def _way_out(start: CallStart | None) -> str:
    if start is not None:
        return "let the module draw by torch's own generator, and keep what a call changes in buffers"
    return (
        "where the module draws at random in training, as dropout does, call module.eval() first, or build it without"
    )


def _said(error: BaseException) -> str:
    """What went wrong, on one line; those that torch and Python raise for a wrong tensor need no name."""
    sentence, name = " ".join(str(error).split()), type(error).__name__
    if sentence and isinstance(error, (RuntimeError, ValueError, TypeError)):
        return sentence
    return f"{name}: {sentence}" if sentence else name


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
