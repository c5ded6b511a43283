"""A layer from outside, named ``package.module:Class``, made ready to be measured."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import torch
from torch import nn

from capratio.errors import InputError
from capratio.sweep.call_start import CallStart
from capratio.sweep.live_module import FOREIGN, one_tensor, verified_output
from capratio.sweep.verify import check_same

PASSES = ("forward", "train")


@dataclass(frozen=True, slots=True)
class UserLayer:
    """What is built and how it is called.

    layer: ``package.module:name`` of a class or function. arguments: of the call that gives the module. in_features,
    tokens: of the input, standard normal. pass_: ``forward`` (inference mode, ``eval()``) or ``train`` (forward and
    backward to input and parameters, ``train()``), in whatever mode the module was built.
    """

    layer: str
    arguments: Mapping[str, object]
    in_features: int
    tokens: int
    dtype: str = "float32"
    device: str = "cpu"
    pass_: str = "forward"


@dataclass(frozen=True, slots=True)
class UserTrial:
    """module: verified. call, prepare, check: as ``measure_latency`` takes them."""

    module: nn.Module
    call: Callable[[torch.Tensor], torch.Tensor]
    prepare: Callable[[int], torch.Tensor]
    check: Callable[[int, torch.Tensor], None]


def prepare_user_trial(asked: UserLayer, seed: int, inside: list[Path] | None = None) -> UserTrial:
    """Build a layer with seeded weights and input, and verify that its output repeats.

    Args: inside: folders of which one must hold the layer's file, where it matters whose it is.

    Raises InputError for a layer that cannot be imported, built or called, or whose file lies elsewhere;
    WrongAnswerError for an output that changes from call to call.
    """
    module = build_user_layer(asked.layer, asked.arguments, asked.device, asked.dtype, seed, inside)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(asked.tokens, asked.in_features, generator=generator).to(asked.device, getattr(torch, asked.dtype))
    module.train(asked.pass_ == "train")
    start = CallStart(module, seed)
    return training(module, x, start) if asked.pass_ == "train" else forward(module, x, start)


def build_user_layer(
    layer: str, arguments: Mapping[str, object], device: str, dtype: str, seed: int, inside: list[Path] | None = None
) -> nn.Module:
    """The module that ``package.module:name`` gives for some arguments, its weights drawn with a seed.

    Args: inside: as ``prepare_user_trial``.

    Raises InputError for a layer that cannot be imported, built or moved, or whose file lies elsewhere.
    """
    target = _import(layer, inside)
    torch.manual_seed(seed)
    return _build(target, layer, arguments, device, dtype)


def _import(layer: str, inside: list[Path] | None) -> Callable[..., object]:
    module_name, _, name = layer.partition(":")
    try:
        module = import_module(module_name)
    except MemoryError:
        raise
    except FOREIGN as error:
        raise InputError(
            f"{module_name} cannot be imported ({type(error).__name__}: {error}); see that it is installed, or run in "
            "its folder."
        ) from error
    file = Path(getattr(sys.modules[module_name], "__file__", None) or "/")
    if inside is not None and not any(file.resolve().is_relative_to(folder.resolve()) for folder in inside):
        raise InputError(
            f"{module_name} was imported from {file}, which is not of this side; see that the build installs it."
        )
    target = getattr(module, name, None)
    if not callable(target):
        raise InputError(
            f"{module_name} ({file}) has no class or function {name!r}; name the layer package.module:Class."
        )
    return target  # type: ignore[no-any-return]


def _build(
    target: Callable[..., object], layer: str, arguments: Mapping[str, object], device: str, dtype: str
) -> nn.Module:
    try:
        built = target(**arguments)
    except MemoryError:
        raise
    except FOREIGN as error:
        raise InputError(
            f"{layer} cannot be built with {dict(arguments)!r} ({type(error).__name__}: {error})."
        ) from error
    if not isinstance(built, nn.Module):
        raise InputError(f"{layer} gave {type(built).__name__}; an nn.Module is expected.")
    try:
        return built.to(device, getattr(torch, dtype))
    except MemoryError:
        raise
    except FOREIGN as error:
        raise InputError(
            f"{layer} cannot be moved to {dtype} on {device} ({type(error).__name__}: {error})."
        ) from error


def forward(module: nn.Module, x: torch.Tensor, start: CallStart) -> UserTrial:
    """A forward pass under inference mode, verified to repeat. Raises as ``verified_output``."""

    def call(batch: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return one_tensor(module(batch))

    def prepare(_: int) -> torch.Tensor:
        start.again()
        return x

    verified = verified_output(call, module, x, start)
    return UserTrial(module, call, prepare, lambda _, out: check_same(verified, out, "output"))


def training(module: nn.Module, x: torch.Tensor, start: CallStart) -> UserTrial:
    """Forward and backward to input and parameters, verified to repeat. Raises as ``verified_output``."""
    incoming = torch.ones(())

    def prepare(_: int) -> torch.Tensor:
        x.grad = None
        module.zero_grad(set_to_none=True)
        start.again()
        return x

    def call(batch: torch.Tensor) -> torch.Tensor:
        out = one_tensor(module(batch))
        if not out.requires_grad:
            raise InputError(
                "the module's output has no gradient, and a training pass goes back from it; give one that depends on "
                "the input or on parameters, and is not detached."
            )
        torch.autograd.backward(out, incoming.to(out.device, out.dtype).expand_as(out))
        return out.detach()

    verified = verified_output(call, module, x.requires_grad_(), start)
    return UserTrial(module, call, prepare, lambda _, out: check_same(verified, out, "output"))
