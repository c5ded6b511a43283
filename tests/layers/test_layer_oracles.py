"""Every layer computes its formula, for every gate, dtype and shape; a node that is off by one is seen in each."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from capratio.cost.spec import ORDERS, LayerSpec
from capratio.kernels import routing
from capratio.kernels.leaf_index import leaf_index
from capratio.kernels.path_bias import reference as path_bias_reference
from capratio.kernels.path_linear import path_matrices
from capratio.kernels.path_linear import reference as path_reference
from capratio.layers import gate, sign_gate, unit_sign_gate
from capratio.layers.table import build
from capratio.layers.tree_gated_linear import TreeGatedLinear

Oracle = Callable[..., torch.Tensor]

# Weights have the size 1/3 and inputs 1, so outputs are near 1: half precision rounds at 2^-8 and 2^-11 of that.
TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 0.03, torch.float16: 0.004}


def close(expected: torch.Tensor, actual: torch.Tensor) -> bool:
    return torch.allclose(expected, actual.double(), rtol=0, atol=TOLERANCES[actual.dtype])


def drawn(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def built(spec: LayerSpec, dtype: torch.dtype = torch.float64, order: str = "auto", backend: str = "auto") -> nn.Module:
    """The layer with every parameter drawn, those of the gate too."""
    torch.manual_seed(11)
    layer = build(spec, init="random", order=order, backend=backend, dtype=dtype)
    for name, parameter in layer.named_parameters():
        if name == "gate.threshold":
            nn.init.normal_(parameter)
    return layer


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("tokens", [0, 1, 7])
def test_a_layer_computes_its_formula(oracle: Oracle, spec: LayerSpec, dtype: torch.dtype, tokens: int) -> None:
    layer, x = built(spec, dtype), drawn(tokens, spec.in_features, dtype=dtype)

    out = layer(x)

    assert dtype == out.dtype
    assert close(oracle(layer, spec, x), out)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    layer_id=st.sampled_from(["tree-shared", "tree-unit", "tree-bias"]),
    form=st.sampled_from(["path", "collapsed"]),
    sizes=st.tuples(st.integers(1, 11), st.integers(1, 7), st.integers(0, 5), st.integers(0, 6)),
    bias=st.booleans(),
)
def test_a_layer_of_any_size_computes_its_formula(
    oracle: Oracle, layer_id: str, form: str, sizes: tuple[int, int, int, int], bias: bool
) -> None:
    p, q, depth, tokens = sizes
    spec = LayerSpec(layer_id, p, q, min(depth, p), form, bias)
    layer, x = built(spec), drawn(tokens, p)

    assert close(oracle(layer, spec, x), layer(x))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_every_order_computes_the_same_formula(oracle: Oracle, order: str, dtype: torch.dtype) -> None:
    spec = LayerSpec("tree-shared", 9, 5, 4)
    layer, x = built(spec, dtype, order), drawn(30, 9, dtype=dtype)

    assert isinstance(layer, TreeGatedLinear)
    assert order == layer.order_for(30)
    assert close(oracle(layer, spec, x), layer(x))


def test_a_layer_can_be_gated_by_another_tensor(oracle: Oracle, spec: LayerSpec) -> None:
    own = built(spec)
    gate = type(own.get_submodule("gate"))
    sizes = (20, 3, 9) if spec.layer == "tree-unit" else (20, 3)
    layer = type(own)(9, 5, 3, bias=spec.bias, gate=gate(*sizes).double(), init="random", dtype=torch.float64)
    x, hidden = drawn(7, 9), drawn(7, 20, seed=1)

    assert close(oracle(layer, spec, x, hidden), layer(x, gate_input=hidden))


def test_a_shared_path_by_hand() -> None:
    layer = TreeGatedLinear(2, 1, 2, bias=False, gate_seed=0)
    first, second = layer.gate.get_buffer("chosen").tolist()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([10.0**node for node in range(7)]).view(7, 1, 1).expand(7, 1, 2))
    x = torch.empty(1, 2)
    x[0, first], x[0, second] = 2.0, -1.0

    # Bits "10": root 0, node 1 + 1, node 3 + 2; the inputs sum to 1.
    assert [[1.0 + 100.0 + 100000.0]] == layer(x).tolist()
    assert [[True, False]] == layer.bits(x).tolist()


def test_a_value_of_zero_gives_no_bit(spec: LayerSpec) -> None:
    layer = build(spec, init="random")

    assert not layer.get_submodule("gate")(torch.zeros(1, 9)).any()


def plant(spec: LayerSpec, order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plant an error by one in the last bit of the node index of a layer."""

    if spec.form == "collapsed" or spec.layer == "tree-unit":
        for module, name in ((gate, "leaf_index"), (sign_gate, "sign_leaf"), (unit_sign_gate, "sign_leaf")):
            find = getattr(module, name)
            monkeypatch.setattr(module, name, lambda *given, find=find: find(*given) ^ 1)
    elif spec.layer == "tree-bias":
        monkeypatch.setattr(path_bias_reference, "node_rows", lambda leaf, k: routing.node_rows(leaf ^ 1, k))
    elif order == "leaves":
        monkeypatch.setattr(path_matrices, "path_rows", lambda leaf, k: routing.path_rows(leaf ^ 1, k))
    else:
        monkeypatch.setattr(path_reference, "group_by_leaf", lambda b: routing.group_by_key(leaf_index(b) ^ 1))


@pytest.mark.parametrize("tokens", [1, 7])
def test_a_node_off_by_one_is_seen(
    oracle: Oracle, spec: LayerSpec, tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = "nodes" if tokens > 1 else "leaves"
    layer, x = built(spec, order=order, backend="reference"), drawn(tokens, 9)
    assert close(oracle(layer, spec, x), layer(x))

    plant(spec, order, monkeypatch)

    assert not close(oracle(layer, spec, x), layer(x))


def test_gradients_of_a_layer_equal_those_of_its_formula(oracle: Oracle, spec: LayerSpec) -> None:
    layer, x = built(spec), drawn(7, 9).requires_grad_()
    learned = [parameter for name, parameter in layer.named_parameters() if not name.startswith("gate.")]

    def evaluate(x: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = layer(x)
        return out

    assert torch.autograd.gradcheck(evaluate, (x, *learned))


def test_a_gate_gets_no_gradient(spec: LayerSpec) -> None:
    layer, x = built(spec), drawn(7, 9)
    hidden = drawn(7, 9, seed=1).requires_grad_()

    torch.autograd.backward(layer(x, gate_input=hidden).sum())

    assert hidden.grad is None
    for name, parameter in layer.named_parameters():
        assert name.startswith("gate.") == (parameter.grad is None)
