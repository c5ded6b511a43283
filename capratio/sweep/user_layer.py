"""A layer from outside, named ``package.module:Class``, made ready to be measured."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import torch
from torch import nn

from capratio.errors import InputError
from capratio.sweep.live_module import verified_output
from capratio.sweep.verify import check_same

PASSES = ("forward", "train")


@dataclass(frozen=True, slots=True)
class UserLayer:
    """What is built and how it is called.

    layer: ``package.module:name`` of a class or function. arguments: of the call that gives the module. in_features,
    tokens: of the input, standard normal. pass_: ``forward`` (inference mode, ``eval()``) or ``train`` (forward and
    backward to input and parameters).
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
    target = _import(asked.layer, inside)
    torch.manual_seed(seed)
    module = _build(target, asked)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(asked.tokens, asked.in_features, generator=generator).to(asked.device, getattr(torch, asked.dtype))
    return _training(module, x) if asked.pass_ == "train" else _forward(module.eval(), x)


def _import(layer: str, inside: list[Path] | None) -> Callable[..., object]:
    module_name, _, name = layer.partition(":")
    try:
        module = import_module(module_name)
    except Exception as error:
        raise InputError(f"{module_name} cannot be imported ({type(error).__name__}: {error}).") from error
    file = Path(getattr(sys.modules[module_name], "__file__", None) or "/")
    if inside is not None and not any(file.resolve().is_relative_to(folder.resolve()) for folder in inside):
        raise InputError(
            f"{module_name} was imported from {file}, which is not of this side; see that the build installs it."
        )
    target = getattr(module, name, None)
    if not callable(target):
        raise InputError(f"{module_name} has no class or function {name!r}; name the layer package.module:Class.")
    return target  # type: ignore[no-any-return]


def _build(target: Callable[..., object], asked: UserLayer) -> nn.Module:
    try:
        built = target(**asked.arguments)
    except Exception as error:
        raise InputError(
            f"{asked.layer} cannot be built with {dict(asked.arguments)!r} ({type(error).__name__}: {error})."
        ) from error
    if not isinstance(built, nn.Module):
        raise InputError(f"{asked.layer} gave {type(built).__name__}; an nn.Module is expected.")
    return built.to(asked.device, getattr(torch, asked.dtype))


def _forward(module: nn.Module, x: torch.Tensor) -> UserTrial:
    def call(batch: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return module(batch)  # type: ignore[no-any-return]

    verified = verified_output(call, module, x)
    return UserTrial(module, call, lambda _: x, lambda _, out: check_same(verified, out, "output"))


def _training(module: nn.Module, x: torch.Tensor) -> UserTrial:
    incoming = torch.ones(())

    def prepare(_: int) -> torch.Tensor:
        x.grad = None
        module.zero_grad(set_to_none=True)
        return x

    def call(batch: torch.Tensor) -> torch.Tensor:
        out = module(batch)
        out.backward(incoming.to(out.device, out.dtype).expand_as(out))
        return out.detach()  # type: ignore[no-any-return]

    verified = verified_output(call, module, x.requires_grad_())
    return UserTrial(module, call, prepare, lambda _, out: check_same(verified, out, "output"))
