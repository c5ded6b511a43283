"""Fast feedforward layers compute their formulas, with nn.Linear's habits, and so do their peers."""

import pickle
from collections.abc import Iterator
from copy import deepcopy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import gelu

from capratio.cost.closed_form import closed_form
from capratio.cost.spec import LayerSpec, VisitedNodes
from capratio.errors import InputError
from capratio.kernels.tree_descent import reference
from capratio.layers import LeafFeedforward, PathFeedforward
from capratio.layers.table import build
from capratio.sweep.prepare import with_backend

Feedforward = LeafFeedforward | PathFeedforward

TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 0.03, torch.float16: 0.004}
SPECS = {
    f"{form}{'' if bias else '-without-bias'}": LayerSpec(
        "fast-feedforward", 9, 5, 3, form, bias, gate="descent", hidden=4
    )
    for form in ("path", "leaf")
    for bias in (True, False)
}


@pytest.fixture(params=list(SPECS.values()), ids=list(SPECS))
def spec(request: pytest.FixtureRequest) -> LayerSpec:
    found: LayerSpec = request.param
    return found


@pytest.fixture(autouse=True)
def _forget_graphs() -> Iterator[None]:
    yield
    torch.compiler.reset()


def drawn(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def built(spec: LayerSpec, dtype: torch.dtype = torch.float32, backend: str = "auto") -> Feedforward:
    torch.manual_seed(11)
    layer = build(spec, backend=backend, dtype=dtype)
    assert isinstance(layer, LeafFeedforward | PathFeedforward)
    return layer


def oracle(layer: Feedforward, x: torch.Tensor) -> torch.Tensor:
    """What the layer computes for (N, p) rows: one token, one node after the other, in float64."""
    state = {name: value.detach().double() for name, value in layer.named_parameters()}
    out = torch.zeros(len(x), layer.out_features, dtype=torch.float64)
    for token, row in enumerate(x.double()):
        node = 0
        if layer.spec.form == "path":
            for _ in range(layer.depth + 1):
                value = (state["weight_in"][node] * row).sum()
                out[token] += gelu(value) * state["weight_out"][node]
                node = 2 * node + (2 if value > 0 else 1)
            out[token] += state.get("bias", torch.zeros(1))
        else:
            for _ in range(layer.depth):
                score = (state["gate.weight"][node] * row).sum() + state["gate.bias"][node]
                node = 2 * node + (2 if score > 0 else 1)
            leaf = node - (2**layer.depth - 1)
            units = (state["weight_in"][leaf] @ row + state["bias_in"][leaf]).clamp(min=0)
            out[token] = state["weight_out"][leaf] @ units
            if "bias_out" in state:
                out[token] += state["bias_out"][leaf]
    return out


def close(expected: torch.Tensor, actual: torch.Tensor) -> bool:
    return torch.allclose(expected, actual.double(), rtol=0, atol=TOLERANCES[actual.dtype])


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("tokens", [0, 1, 7])
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_a_layer_computes_its_formula(spec: LayerSpec, dtype: torch.dtype, tokens: int, backend: str) -> None:
    layer, x = built(spec, dtype, backend), drawn(tokens, 9, dtype=dtype)

    out = layer(x)

    assert dtype == out.dtype
    assert close(oracle(layer, x), out)


@settings(max_examples=30, deadline=None)
@given(
    form=st.sampled_from(["path", "leaf"]),
    sizes=st.tuples(st.integers(1, 11), st.integers(1, 7), st.integers(0, 5), st.integers(1, 5)),
    tokens=st.integers(0, 6),
    bias=st.booleans(),
)
def test_a_layer_of_any_size_computes_its_formula(
    form: str, sizes: tuple[int, int, int, int], tokens: int, bias: bool
) -> None:
    p, q, depth, hidden = sizes
    layer = built(LayerSpec("fast-feedforward", p, q, depth, form, bias, "descent", hidden=hidden), torch.float64)
    x = drawn(tokens, p, dtype=torch.float64)

    assert close(oracle(layer, x), layer(x))


def test_a_wrong_child_is_seen(spec: LayerSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = built(spec, torch.float64, "reference"), drawn(7, 9, dtype=torch.float64)
    assert close(oracle(layer, x), layer(x))

    monkeypatch.setattr(reference, "_child", lambda node, value: 2 * node + 1 + (value <= 0))

    assert not close(oracle(layer, x), layer(x))


def test_gradients_equal_those_of_the_formula(spec: LayerSpec) -> None:
    layer, x = built(spec, torch.float64), drawn(7, 9, dtype=torch.float64).requires_grad_()
    learned = [parameter for name, parameter in layer.named_parameters() if not name.startswith("gate.")]

    def evaluate(x: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = layer(x)
        return out

    assert torch.autograd.gradcheck(evaluate, (x, *learned))


def test_a_gate_gets_no_gradient_and_nodes_off_the_way_get_zero() -> None:
    layer = LeafFeedforward(9, 5, 3, hidden=4)
    x = drawn(1, 9)

    layer(x).sum().backward()

    assert layer.gate.weight.grad is None
    assert layer.gate.bias.grad is None
    assert layer.weight_out.grad is not None
    visited = layer.weight_out.grad.abs().sum((1, 2)) > 0
    bits = "".join(str(int(bit)) for bit in layer.bits(x)[0])
    assert [int(bits, 2)] == visited.nonzero().flatten().tolist()


def test_a_batch_reads_its_visited_nodes_and_no_others(spec: LayerSpec) -> None:
    layer, x = built(spec), drawn(2, 9)
    expected, visited = layer(x), layer.visited(x)
    layer(x).sum().backward()
    grad = layer.get_parameter("weight_out").grad
    assert grad is not None
    read = grad.flatten(1).abs().sum(1) > 0

    with torch.no_grad():
        for name in ("weight_in", "weight_out"):
            layer.get_parameter(name)[~read] = torch.nan

    assert torch.equal(expected, layer(x))
    assert (visited.leaves if spec.form == "leaf" else sum(visited.levels)) == int(read.sum())


def test_visited_nodes_are_distinct_prefixes_of_the_decisions(spec: LayerSpec) -> None:
    layer, x = built(spec), drawn(7, 9)
    bits = layer.bits(x).tolist()

    expected = tuple(len({tuple(row[:level]) for row in bits}) for level in range(4))

    assert VisitedNodes(7, expected) == layer.visited(x.view(7, 1, 9))
    assert VisitedNodes(0, (0, 0, 0, 0)) == layer.visited(x[:0])


@pytest.mark.parametrize("leading", [(), (4,), (2, 3), (0,), (3, 0)])
def test_any_leading_shape_is_kept(spec: LayerSpec, leading: tuple[int, ...]) -> None:
    layer, x = built(spec), drawn(*leading, 9)

    assert (*leading, 5) == tuple(layer(x).shape)
    assert torch.allclose(layer(x.reshape(-1, 9)), layer(x).reshape(-1, 5), atol=1e-6)
    assert (*leading, 3) == tuple(layer.bits(x).shape)


def test_a_repetition_is_equal_to_the_bit(spec: LayerSpec) -> None:
    layer, x = built(spec), drawn(50, 9)

    assert torch.equal(layer(x), layer(x))
    assert torch.allclose(layer(x), layer(drawn(50, 9).t().contiguous().t()), atol=1e-6)


def test_a_layer_is_saved_copied_moved_and_cast_like_any_module(spec: LayerSpec) -> None:
    layer, other, x = built(spec), build(spec), drawn(6, 9)
    other.load_state_dict(layer.state_dict())
    meta = build(spec, device="meta")

    assert (6, 5) == tuple(meta(x.to("meta")).shape)
    meta.to_empty(device="cpu").load_state_dict(layer.state_dict())
    for same in (other, meta, deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(layer(x), same(x))
    assert torch.float64 == layer.double()(x.double()).dtype


def test_every_weight_is_drawn_and_counted(spec: LayerSpec) -> None:
    layer = build(spec, device="meta").to_empty(device="cpu")
    for module in layer.modules():
        module.reset_parameters()  # type: ignore[operator]

    assert all(parameter.abs().min() > 0 for parameter in layer.parameters())
    assert closed_form(spec).parameters == sum(parameter.numel() for parameter in layer.parameters())


def test_repr_names_the_sizes(spec: LayerSpec) -> None:
    assert f"in_features=9, out_features=5, depth=3, bias={spec.bias}, backend=auto" in repr(build(spec))
    assert ("hidden=4" in repr(build(spec))) == (spec.form == "leaf")


@pytest.mark.parametrize("form", ["path", "leaf"])
def test_a_layer_traces_forward_and_backward_in_one_graph(form: str) -> None:
    layer, x = built(SPECS[form]), drawn(6, 9).requires_grad_()
    layer(x).sum().backward()
    expected = [parameter.grad.clone() for parameter in layer.parameters() if parameter.grad is not None]
    layer.zero_grad()

    out = torch.compile(layer, fullgraph=True, backend="aot_eager")(x)
    out.sum().backward()

    assert torch.allclose(layer(x), out, atol=1e-6)
    found = [parameter.grad for parameter in layer.parameters() if parameter.grad is not None]
    assert all(torch.allclose(one, two, atol=1e-6) for one, two in zip(expected, found, strict=True))


@pytest.mark.parametrize("form", ["path", "leaf"])
def test_a_layer_exports_with_a_free_number_of_tokens(form: str) -> None:
    layer, x = built(SPECS[form]).eval(), drawn(11, 9)
    tokens = torch.export.Dim("tokens", min=2, max=1024)

    program = torch.export.export(layer, (drawn(6, 9),), dynamic_shapes={"x": {0: tokens}})

    assert torch.allclose(layer(x), program.module()(x), atol=1e-6)


@pytest.mark.parametrize("form", ["path", "leaf"])
def test_autocast_takes_what_goes_in_and_out_alone(form: str) -> None:
    layer, x = built(SPECS[form]), drawn(6, 9)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(x)
        out.sum().backward()

    assert torch.equal(layer(x).to(torch.bfloat16), out)
    assert torch.float32 == layer.weight_in.grad.dtype  # type: ignore[union-attr]


@pytest.mark.parametrize("form", ["path", "leaf"])
@pytest.mark.parametrize("tokens", [1, 30])
def test_a_peer_gives_what_ours_gives_on_the_same_weights(form: str, tokens: int) -> None:
    pytest.importorskip("fastfeedforward", reason="the extra peers is not installed")
    layer, x = built(SPECS[f"{form}-without-bias"]), drawn(tokens, 9)

    peer = with_backend(layer, layer.peer)

    assert [parameter.data_ptr() for parameter in layer.parameters()] == [one.data_ptr() for one in peer.parameters()]
    assert isinstance(peer, LeafFeedforward | PathFeedforward)
    assert layer.peer == peer.ran_backend != layer.ran_backend
    with torch.inference_mode():
        assert torch.allclose(layer(x), peer(x), atol=1e-6)
        assert torch.equal(layer.bits(x), peer.bits(x))


def test_a_bias_that_the_package_leaves_out_is_refused() -> None:
    layer = LeafFeedforward(9, 5, 3, backend="fastfeedforward")

    with torch.inference_mode(), pytest.raises(InputError, match=r"leaves out the second bias.*use bias=False"):
        layer(drawn(2, 9))


def test_a_peer_of_the_other_form_is_refused() -> None:
    with pytest.raises(InputError, match="'fastfeedforward' was given for unit_lookup"):
        _ = PathFeedforward(9, 5, 3, backend="fastfeedforward").ran_backend
    with pytest.raises(InputError, match="'ultrafastbert' was given for leaf_linear"):
        LeafFeedforward(9, 5, 3, backend="ultrafastbert")(drawn(2, 9))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"depth": 62}, "more than any memory; use a smaller depth"),
        ({"depth": -1}, "a depth is a number of gating bits"),
        ({"in_features": 0}, "both must be at least 1"),
        ({"init": "zeros"}, "init='zeros' is not known"),
        ({"backend": "fast"}, "backend='fast' is not known"),
    ],
)
@pytest.mark.parametrize("cls", [LeafFeedforward, PathFeedforward])
def test_what_cannot_be_built_is_refused(
    cls: type[LeafFeedforward] | type[PathFeedforward], given: dict[str, object], sentence: str
) -> None:
    arguments: dict[str, object] = {"in_features": 9, "out_features": 5, "depth": 3, **given}

    with pytest.raises(InputError, match=sentence):
        cls(**arguments)  # type: ignore[arg-type]


def test_a_wrong_input_is_refused(spec: LayerSpec) -> None:
    layer = build(spec)

    with pytest.raises(InputError, match="its last dimension must be the layer's in_features=9"):
        layer(drawn(2, 8))
    with pytest.raises(InputError, match=r"x is torch\.float64 and the layer's weights are torch.float32"):
        layer(drawn(2, 9, dtype=torch.float64))
