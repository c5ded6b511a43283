"""What a layer executes is what its closed form promises: FLOP by class and routing steps."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from capratio.cost.executed import executed_flop, executed_routing
from capratio.cost.flop import Flop
from capratio.cost.operation import OperationFormula
from capratio.cost.spec import LAYERS, ORDERS, LayerSpec
from capratio.layers.gated_layer import GatedLayer
from capratio.layers.table import build


class Count(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up operations as torch runs them; ours by their formula."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flop = Flop()
        self.routing = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func._schema.name.removeprefix("aten::")
        formula = flop_registry.get(func._overloadpacket)
        if isinstance(formula, OperationFormula):
            cost = formula.cost(*args, out_val=out)
            self.flop += cost.flop
            self.routing += cost.routing_operations
        elif name == "mm":
            self.flop += Flop(product=2 * args[0].numel() * args[1].shape[1])
        elif name == "addmm":
            self.flop += Flop(product=2 * args[1].numel() * args[2].shape[1], bias=out.numel())
        elif name == "embedding_dense_backward":
            self.flop += Flop(overhead=args[0].numel())
        elif name in ("add", "__lshift__", "__rshift__", "gt", "sum"):
            self._elementwise(args, out, max(args[0].numel() - out.numel(), 0) if name == "sum" else out.numel())
        else:
            assert name in FREE.split(), name
        return out

    def _elementwise(self, args: Any, out: torch.Tensor, count: int) -> None:
        if not out.is_floating_point():
            self.routing += count
        elif len(args) > 1 and isinstance(args[1], torch.Tensor) and args[1].dim() == 2:
            self.flop += Flop(overhead=count)
        else:
            # A vector that is added to every row, or the sum of rows that is its gradient.
            self.flop += Flop(bias=count)


# Views, copies, factories and gathers.
FREE = (
    "alias t view _unsafe_view detach slice select unsqueeze squeeze expand arange index_select _to_copy new_zeros "
    "zeros embedding select_backward slice_backward ones_like transpose new_empty_strided copy_"
)


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(4))


def count(layer: nn.Module, x: torch.Tensor, pass_: str) -> Count:
    counted = Count()
    with counted:
        out = layer(x)
        if pass_ == "train":
            torch.autograd.backward(out, torch.ones_like(out))
    return counted


def check(spec: LayerSpec, tokens: int, pass_: str, order: str) -> None:
    layer, x = build(spec, init="random", order=order), drawn(tokens, spec.in_features).requires_grad_(pass_ == "train")
    visited = layer.visited(x)

    with torch.set_grad_enabled(pass_ == "train"):
        counted = count(layer, x, pass_)

    assert executed_flop(spec, visited, pass_, order) == counted.flop
    assert executed_routing(spec, tokens, pass_) == counted.routing


@pytest.mark.parametrize("pass_", ["forward", "train"])
@pytest.mark.parametrize("tokens", [0, 1, 6])
def test_a_layer_executes_what_its_closed_form_promises(spec: LayerSpec, tokens: int, pass_: str) -> None:
    check(spec, tokens, pass_, "prefixes")


@pytest.mark.parametrize("pass_", ["forward", "train"])
@pytest.mark.parametrize("tokens", [0, 1, 6])
def test_a_layer_of_depth_zero_executes_what_its_closed_form_promises(spec: LayerSpec, tokens: int, pass_: str) -> None:
    check(replace(spec, depth=0), tokens, pass_, "prefixes")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    layer=st.sampled_from(LAYERS[1:]),
    form=st.sampled_from(["path", "collapsed"]),
    sizes=st.tuples(st.integers(1, 9), st.integers(1, 6), st.integers(0, 5), st.integers(0, 9)),
    bias=st.booleans(),
    pass_=st.sampled_from(["forward", "train"]),
    order=st.sampled_from(ORDERS),
)
def test_a_layer_of_any_size_executes_what_its_closed_form_promises(
    layer: str, form: str, sizes: tuple[int, int, int, int], bias: bool, pass_: str, order: str
) -> None:
    p, q, depth, tokens = sizes

    check(LayerSpec(layer, p, q, min(depth, p), form, bias), tokens, pass_, order)


def test_a_layer_that_executes_more_than_promised_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    add_bias = GatedLayer._add_bias
    monkeypatch.setattr(GatedLayer, "_add_bias", lambda self, out: add_bias(self, add_bias(self, out)))

    with pytest.raises(AssertionError):
        check(LayerSpec("tree-shared", 9, 5, 3), 6, "forward", "leaves")
