"""What the counter of `measure` counts in every layer is what `cost` promises: FLOP by class and routing, exactly."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from capratio.cost import closed_form, executed_flop, executed_routing
from capratio.cost.executed import has_orders
from capratio.cost.operation import OperationCost
from capratio.cost.spec import FORMS, GATES_OF, ORDERS, PASSES, TOUCHED_LAYERS, WEIGHT_GRADIENTS, LayerSpec
from capratio.layers.collapsed_tree_bias_linear import CollapsedTreeBiasLinear
from capratio.layers.collapsed_tree_linear import CollapsedTreeLinear
from capratio.layers.gated_layer import GatedLayer
from capratio.layers.hyperplane_gate import HyperplaneGate
from capratio.layers.table import LAYER_CLASSES, build
from capratio.layers.tree_bias_linear import TreeBiasLinear
from capratio.layers.tree_gated_linear import TreeGatedLinear
from capratio.measure.flop_counter import count_operations

TOKENS = (0, 1, 2, 7)
DEPTHS = (0, 1, 2, 3)

# Every layer, form and gate of the table of layers.
KINDS = [(layer, form, gate) for layer, form in LAYER_CLASSES for gate in GATES_OF[layer]]


def count(spec: LayerSpec, tokens: int, pass_: str, order: str, seed: int = 0) -> tuple[OperationCost, OperationCost]:
    """What is promised and what is counted."""
    layer = build(spec, order=order, init="random")
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(tokens, spec.in_features, generator=generator)
    visited = layer.visited(x)

    def train() -> None:
        layer(x.requires_grad_()).backward(torch.ones(tokens, spec.out_features))

    def record() -> object:
        return layer(x.requires_grad_())

    def infer() -> object:
        with torch.inference_mode():
            return layer(x)

    calls = {"train": train, "forward-grad": record}
    counted = count_operations(calls.get(pass_, infer), strict=True)
    promised = OperationCost(
        executed_flop(spec, visited, pass_, order if has_orders(spec) else None),
        executed_routing(spec, tokens, pass_),
    )
    return promised, counted.cost


def check(spec: LayerSpec, tokens: int, pass_: str, order: str, seed: int = 0) -> None:
    promised, counted = count(spec, tokens, pass_, order, seed)

    assert promised.flop == counted.flop
    assert promised.routing_operations == counted.routing_operations


def orders_of(spec: LayerSpec) -> tuple[str, ...]:
    return ORDERS if has_orders(spec) else ORDERS[:1]


@pytest.mark.parametrize("pass_", PASSES)
@pytest.mark.parametrize("layer, form, gate", KINDS)
def test_every_layer_executes_what_is_promised(layer: str, form: str, gate: str, pass_: str) -> None:
    for depth in (0,) if layer == "dense" else DEPTHS:
        for bias in (True, False):
            spec = LayerSpec(layer, 5, 3, depth, form, bias, gate)
            for tokens in (1,) if pass_ == "decode" else TOKENS:
                for order in orders_of(spec):
                    check(spec, tokens, pass_, order)


@settings(max_examples=150)
@given(data=st.data())
def test_a_layer_of_any_size_executes_what_is_promised(data: st.DataObject) -> None:
    layer, form, gate = data.draw(st.sampled_from(KINDS))
    p, q = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 9))
    depth = 0 if layer == "dense" else data.draw(st.integers(0, min(p, 5)))
    pass_, order = data.draw(st.sampled_from(PASSES)), data.draw(st.sampled_from(ORDERS))
    tokens = 1 if pass_ == "decode" else data.draw(st.integers(0, 17))

    mode = data.draw(st.sampled_from(WEIGHT_GRADIENTS if layer in TOUCHED_LAYERS else WEIGHT_GRADIENTS[:1]))
    spec = LayerSpec(layer, p, q, depth, form, data.draw(st.booleans()), gate, weight_gradient=mode)
    check(spec, tokens, pass_, order, tokens)


@pytest.mark.parametrize("layer, form", [kind for kind in LAYER_CLASSES if kind[0] in TOUCHED_LAYERS])
def test_a_gradient_of_touched_rows_executes_what_is_promised(layer: str, form: str) -> None:
    for depth in DEPTHS:
        spec = LayerSpec(layer, 5, 3, depth, form, weight_gradient="touched")
        for tokens in TOKENS:
            for order in orders_of(spec):
                check(spec, tokens, "train", order)


def test_inference_under_no_grad_counts_as_under_inference_mode() -> None:
    layer = build(LayerSpec("tree-shared", 6, 4, 3), order="leaves", init="random")
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(3))

    def run(mode: type[torch.no_grad] | type[torch.inference_mode]) -> OperationCost:
        def call() -> object:
            with mode():
                return layer(x)

        return count_operations(call, strict=True).cost

    assert run(torch.no_grad) == run(torch.inference_mode)


def test_a_layer_that_adds_its_bias_twice_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    add_bias = GatedLayer._add_bias
    monkeypatch.setattr(GatedLayer, "_add_bias", lambda self, out: add_bias(self, add_bias(self, out)))

    promised, counted = count(LayerSpec("tree-shared", 6, 4, 2), 7, "forward", "leaves")

    assert promised.flop.bias * 2 == counted.flop.bias
    assert promised.flop.product == counted.flop.product


def test_a_layer_that_runs_its_operation_twice_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = LAYER_CLASSES["tree-unit", "path"]
    assert issubclass(layer, GatedLayer)
    rows = layer._rows
    monkeypatch.setattr(layer, "_rows", lambda self, x, bits: (rows(self, x, bits), rows(self, x, bits))[0])

    with pytest.raises(AssertionError):
        check(LayerSpec("tree-unit", 6, 4, 2), 7, "forward", "leaves")


def test_an_order_that_is_not_the_one_that_runs_is_caught() -> None:
    spec = LayerSpec("tree-shared", 6, 4, 3)
    layer = build(spec, order="nodes", init="random")
    x = torch.randn(7, 6, generator=torch.Generator().manual_seed(0))

    counted = count_operations(lambda: layer(x.detach()), strict=True).cost

    assert executed_flop(spec, layer.visited(x), "forward", "nodes") == counted.flop
    assert executed_flop(spec, layer.visited(x), "forward", "leaves") != counted.flop


@pytest.mark.parametrize("cls", [TreeGatedLinear, CollapsedTreeLinear, TreeBiasLinear, CollapsedTreeBiasLinear])
def test_a_gate_that_reads_another_width_costs_its_own_width(cls: type[GatedLayer]) -> None:
    layer = cls(13, 7, 4, gate=HyperplaneGate(9, 4), init="random")
    generator = torch.Generator().manual_seed(1)
    x, h = torch.randn(3, 13, generator=generator), torch.randn(3, 9, generator=generator)

    counted = count_operations(lambda: layer(x, gate_input=h), strict=True).cost

    # 4 hyperplanes of 9 features, on 3 tokens.
    assert 3 * 2 * 4 * 9 == counted.flop.gating
    order = layer.order_for(3) if isinstance(layer, TreeGatedLinear) else None
    assert executed_flop(layer.spec, layer.visited(x, h), "forward", order) == counted.flop
    assert closed_form(layer.spec).parameters == sum(parameter.numel() for parameter in layer.parameters())


@pytest.mark.parametrize("layer, form, gate", [kind for kind in KINDS if kind[0].startswith("tree-")])
def test_a_batch_reads_its_visited_nodes_and_no_others(layer: str, form: str, gate: str) -> None:
    made = build(LayerSpec(layer, 5, 3, 3, form, gate=gate), init="random")
    x = torch.randn(2, 5, generator=torch.Generator().manual_seed(2))
    x.requires_grad_()
    made(x).sum().backward()
    table = made.table if layer == "tree-bias" else made.weight
    assert isinstance(table, torch.nn.Parameter)
    assert table.grad is not None
    read = table.grad.abs().sum(-1) > 0 if layer != "tree-shared" else table.grad.abs().sum((-1, -2)) > 0
    expected = made(x.detach())

    with torch.no_grad():
        table[~read] = torch.nan

    assert torch.equal(expected, made(x.detach()))
    assert made.visited(x.detach()).levels[-1 if form == "collapsed" else slice(None)] == (
        int(read.sum()) if form == "collapsed" else _read_levels(read)
    )


def _read_levels(read: torch.Tensor) -> tuple[int, ...]:
    """Nodes that were read, level by level, from a mask over the nodes in level order, or over units and nodes."""
    nodes = read.shape[-1]
    return tuple(
        int(read[..., 2**level - 1 : 2 ** (level + 1) - 1].sum()) for level in range((nodes + 1).bit_length() - 1)
    )


def test_both_forms_are_in_the_table() -> None:
    assert set(FORMS) == {form for _, form, _ in KINDS}
