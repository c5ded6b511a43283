"""A case of a user's own layer made ready to run: without a reference, what is verified is that its answers repeat."""

import os
import sys
from pathlib import Path

import torch
from torch import nn

from capratio.errors import InputError
from capratio.inputs.table import make_input
from capratio.records.record import Point
from capratio.sweep.call_start import CallStart
from capratio.sweep.case import Case
from capratio.sweep.case_point import USER_BACKEND
from capratio.sweep.options import values_of
from capratio.sweep.trial import Trial
from capratio.sweep.user_layer import UserTrial, build_user_layer, forward, training


def build_user_point(point: Point, seed: int, inside: list[Path] | None = None) -> nn.Module:
    """The module of a point, whose options are its constructor's arguments.

    It is imported as Python would where the sweep was started: from what is installed, then from that folder.

    Args: inside: folders of which one must hold the layer's file, where it matters whose it is.

    Raises InputError for a layer that cannot be imported, built or moved, or whose file lies elsewhere.
    """
    here = os.getcwd()
    if here not in sys.path:
        sys.path.append(here)
    return build_user_layer(point.layer, values_of(point.options or {}), point.device, point.dtype, seed, inside)


def prepare_user_point(module: nn.Module, case: Case, seed: int) -> Trial:
    """Make the inputs of a case, hold outputs of two calls against one another, and give what is to be measured.

    A training pass runs in training mode, all others in evaluation.

    Raises InputError for an input that the layer does not take, or an output that is not (N, q) of the case's dtype;
    WrongAnswerError for one that changes from call to call, each of which starts from the same ``CallStart``.
    """
    point = case.point
    module.train(point.pass_ == "train")
    start = CallStart(module, seed)
    dtype: torch.dtype = getattr(torch, point.dtype)
    tokens = case.sampling.decode_tokens if point.pass_ == "decode" else point.tokens
    x = make_input(point.input, tokens, point.in_features, seed).to(point.device, dtype)
    if point.pass_ == "train":
        return _trial(module, start, [_shaped(training(module, x, start), point)])
    batches = [x[token : token + 1] for token in range(tokens)] if point.pass_ == "decode" else [x]
    return _trial(module, start, [_shaped(forward(module, batch, start), point) for batch in batches])


def _trial(module: nn.Module, start: CallStart, trials: list[UserTrial]) -> Trial:
    mode = module.training

    def prepare(sample: int) -> torch.Tensor:
        if module.training != mode:
            # Another pass of the same layer was measured in between.
            module.train(mode)
            start.again_after_others()
        return trials[sample % len(trials)].prepare(sample)

    def check(sample: int, out: torch.Tensor) -> None:
        trials[sample % len(trials)].check(sample, out)

    return Trial(trials[0].call, prepare, check, None, lambda _: None, None, USER_BACKEND)


def _shaped(trial: UserTrial, point: Point) -> UserTrial:
    """The trial; raise InputError where the output is not (N, q) of the case's dtype."""
    out = trial.call(trial.prepare(0))
    tokens = 1 if point.pass_ == "decode" else point.tokens
    if tuple(out.shape) != (tokens, point.out_features):
        raise InputError(
            f"{point.layer} gave an output of shape {tuple(out.shape)} for an input of shape "
            f"{(tokens, point.in_features)}; the case says {(tokens, point.out_features)}: mend out_features, or the "
            "layer's arguments."
        )
    if out.dtype != getattr(torch, point.dtype):
        raise InputError(
            f"{point.layer} gave an output of {out.dtype} for an input of torch.{point.dtype}; the case says "
            f"{point.dtype}: give an output of the input's dtype."
        )
    return trial
