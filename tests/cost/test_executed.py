"""Executed FLOP and routing of a batch, by hand for each layer and pass, and between bounds for any batch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capratio.cost import LayerSpec, VisitedNodes, executed_flop, executed_routing
from capratio.cost.flop import Flop
from capratio.cost.spec import FORMS_OF, LAYERS, ORDERS, PASSES
from capratio.errors import InputError

TREES = [layer for layer in LAYERS if layer.startswith("tree-")]
FORMS = FORMS_OF["tree-shared"]

# N = 3 tokens with the bits 00, 01, 00, and p = 3, q = 2, k = 2: a product is 3 * 12 = 36 FLOP.
SHARED = VisitedNodes(3, (1, 1, 2))
# The same bits for each of the three units: every count three times.
UNIT = VisitedNodes(3, (3, 3, 6))


@pytest.mark.parametrize(
    "order, forward, train",
    [
        # adds of 6 elements: 2 leaves * 2 nodes forward and for the input gradient, 2 * 3 for the weight gradient
        ("leaves", 4 * 6, (4 + 4 + 6) * 6),
        ("prefixes", 3 * 6, (3 + 3 + 3) * 6),
        # 2 levels of products (36) in each of three operations; outputs of 2 and inputs of 3 elements added for 3
        # tokens
        ("nodes", 2 * 36 + 12, 3 * 2 * 36 + 12 + 18),
    ],
)
def test_shared_path_by_hand(order: str, forward: int, train: int) -> None:
    spec = LayerSpec("tree-shared", 3, 2, 2)

    # The bias: 3 * 2 adds, and its gradient sums 3 rows of 2 by 2 * 2 adds.
    for pass_ in ("forward", "forward-grad"):
        assert Flop(product=36, overhead=forward, bias=6) == executed_flop(spec, SHARED, pass_, order)
    assert Flop(product=108, overhead=train, bias=6 + 4) == executed_flop(spec, SHARED, "train", order)


@pytest.mark.parametrize(
    "layer, form, visited, forward, train",
    [
        ("tree-shared", "collapsed", SHARED, 0, 0),
        ("tree-unit", "path", UNIT, 9 * 2 * 2, 3 * 9 * 2 * 2),
        ("tree-unit", "collapsed", UNIT, 0, 0),
        ("tree-bias", "path", SHARED, 3 * 3 * 2, 2 * 3 * 3 * 2),
        ("tree-bias", "collapsed", SHARED, 3 * 2, 2 * 3 * 2),
    ],
)
def test_layers_without_orders_by_hand(layer: str, form: str, visited: VisitedNodes, forward: int, train: int) -> None:
    spec = LayerSpec(layer, 3, 2, 2, form)

    assert Flop(product=36, overhead=forward, bias=6) == executed_flop(spec, visited, "forward")
    assert Flop(product=108, overhead=train, bias=10) == executed_flop(spec, visited, "train")


@pytest.mark.parametrize(
    "layer, form, forward, train",
    [
        ("dense", "path", 0, 0),
        # compares 6; leaf index 3 * 3 and sort 3 * 2, found anew in each of three operations
        ("tree-shared", "path", 6 + 15, 6 + 3 * 15),
        # compares 6; leaf index 9 once; the sort in each operation
        ("tree-shared", "collapsed", 6 + 9 + 6, 6 + 9 + 3 * 6),
        # nine patterns: compares 18, leaf index 27, three nodes of two steps 54 or one offset 9; no sort
        ("tree-unit", "path", 18 + 27 + 54, 18 + 27 + 54),
        ("tree-unit", "collapsed", 18 + 27 + 9, 18 + 27 + 9),
        # compares 6, leaf index 9, three nodes of two steps for each token in path_bias and in its table gradient
        ("tree-bias", "path", 6 + 9 + 18, 6 + 9 + 2 * 18),
        ("tree-bias", "collapsed", 6 + 9, 6 + 9),
    ],
)
def test_routing_by_hand(layer: str, form: str, forward: int, train: int) -> None:
    spec = LayerSpec(layer, 3, 2, 0 if layer == "dense" else 2, form)

    assert forward == executed_routing(spec, 3, "forward")
    assert train == executed_routing(spec, 3, "train")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layer", LAYERS[1:3])
@pytest.mark.parametrize("pass_", ["forward", "train"])
def test_depth_zero_executes_what_dense_executes(layer: str, form: str, pass_: str) -> None:
    dense, tree = LayerSpec("dense", 5, 3), LayerSpec(layer, 5, 3, 0, form)

    expected = executed_flop(dense, VisitedNodes(4, (1,)), pass_)

    assert expected == executed_flop(tree, VisitedNodes(4, (tree.trees,)), pass_)
    assert 0 == executed_routing(tree, 4, pass_)


def test_depth_zero_of_a_tree_bias_adds_its_root_by_index() -> None:
    spec = LayerSpec("tree-bias", 5, 3, 0)

    assert Flop(product=2 * 4 * 15, overhead=4 * 3, bias=12) == executed_flop(spec, VisitedNodes(4, (1,)), "forward")
    assert 2 * 4 == executed_routing(spec, 4, "forward")
    assert 2 * 2 * 4 == executed_routing(spec, 4, "train")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layer", TREES)
@pytest.mark.parametrize("pass_", ["forward", "train"])
def test_no_tokens_execute_nothing(layer: str, form: str, pass_: str) -> None:
    spec = LayerSpec(layer, 5, 3, 2, form)

    assert Flop() == executed_flop(spec, VisitedNodes(0, (0, 0, 0)), pass_, "prefixes")
    assert 0 == executed_routing(spec, 0, pass_)


def test_hyperplanes_are_evaluated_once_a_call() -> None:
    # Three tokens, two hyperplanes of 3 features; the gate has no gradient, so training costs it no more.
    spec = LayerSpec("tree-shared", 3, 2, 2, gate="hyperplanes")

    assert 36 == executed_flop(spec, SHARED, "forward", "leaves").gating
    assert 36 == executed_flop(spec, SHARED, "train", "leaves").gating
    assert executed_routing(LayerSpec("tree-shared", 3, 2, 2), 3, "train") == executed_routing(spec, 3, "train")


@pytest.mark.parametrize("tokens", [0, 2])
def test_decode_is_one_token(tokens: int) -> None:
    spec = LayerSpec("dense", 3, 2)

    with pytest.raises(InputError, match=f"{tokens} tokens were given to a decode pass"):
        executed_flop(spec, VisitedNodes(tokens, (min(tokens, 1),)), "decode")
    with pytest.raises(InputError, match="decode"):
        executed_routing(spec, tokens, "decode")


def test_a_path_without_an_order_and_an_unknown_pass_are_refused() -> None:
    spec = LayerSpec("tree-shared", 3, 2, 2)

    with pytest.raises(InputError, match="order=None is not known; tree-shared runs in one of leaves, prefixes, nodes"):
        executed_flop(spec, SHARED, "forward")
    with pytest.raises(
        InputError, match="pass='backward' is not known; it must be one of forward, forward-grad, decode, train"
    ):
        executed_flop(spec, SHARED, "backward", "leaves")
    with pytest.raises(InputError, match="-1 tokens"):
        executed_routing(spec, -1, "forward")


@st.composite
def batches(draw: st.DrawFn) -> tuple[LayerSpec, VisitedNodes]:
    """A layer and the nodes of a batch of drawn leaves (the same leaves in every unit's tree)."""
    depth = draw(st.integers(1, 8))
    spec = LayerSpec(
        draw(st.sampled_from(TREES)),
        draw(st.integers(1, 30)),
        draw(st.integers(1, 30)),
        depth,
        draw(st.sampled_from(FORMS)),
        draw(st.booleans()),
    )
    leaves = draw(st.lists(st.integers(0, 2**depth - 1), min_size=1, max_size=40))
    distinct = [spec.trees * len({leaf >> (depth - level) for leaf in leaves}) for level in range(depth + 1)]
    return spec, VisitedNodes(len(leaves), tuple(distinct))


@pytest.mark.parametrize("pass_", ["forward", "train"])
@given(batch=batches())
def test_forming_prefixes_never_costs_more_than_forming_leaves_nor_leaves_than_nodes(
    pass_: str, batch: tuple[LayerSpec, VisitedNodes]
) -> None:
    spec, visited = batch

    prefixes, leaves, nodes = (executed_flop(spec, visited, pass_, o).total for o in ("prefixes", "leaves", "nodes"))

    assert prefixes <= leaves
    assert leaves <= nodes


@given(batch=batches(), order=st.sampled_from(ORDERS))
def test_classes_of_a_batch_are_within_bounds(batch: tuple[LayerSpec, VisitedNodes], order: str) -> None:
    spec, visited = batch
    product = 2 * visited.tokens * spec.in_features * spec.out_features

    forward, train = (executed_flop(spec, visited, pass_, order) for pass_ in ("forward", "train"))

    assert product == forward.product
    assert forward.total <= train.total
    assert 0 == forward.padded == train.padded
    if spec.layer == "tree-bias":
        assert product == train.product - 2 * product
    assert (forward.bias > 0) == spec.bias


def test_passes_and_orders_are_the_documented_ones() -> None:
    assert ("forward", "forward-grad", "decode", "train") == PASSES
    assert ("leaves", "prefixes", "nodes") == ORDERS
