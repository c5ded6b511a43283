"""The cost of fast feedforward layers: tiny ones counted by hand, and equality of the sum with its parts."""

import pytest

from capratio.cost import LayerSpec, VisitedNodes, closed_form, compulsory_bytes, executed_flop, op_formulas
from capratio.cost.flop import Flop
from capratio.cost.parameters import expected_touched_parameters, touched_parameters, touched_weight_parameters
from capratio.cost.spec import check_bits, one_token
from capratio.errors import InputError


def spec(form: str, depth: int = 2, bias: bool = True, hidden: int = 4) -> LayerSpec:
    return LayerSpec("fast-feedforward", 3, 2, depth, form, bias, "descent", hidden=hidden)


def test_a_leaf_network_by_hand() -> None:
    # p = 3, q = 2, h = 4, k = 2. A leaf: 4·3 + 4 + 2·4 + 2 = 26 weights, four of them; three hyperplanes of 3 + 1.
    cost, leaf = closed_form(spec("leaf")), spec("leaf")

    assert (4 * 26, 4 * 26 + 3 * 4) == (cost.weight_parameters, cost.parameters)
    # A token reads a leaf and the two hyperplanes on its way.
    assert (26, 26 + 2 * 4) == (touched_weight_parameters(leaf, one_token(leaf)), cost.touched_parameters)
    # Products 2·4·3 and 2·2·4, biases 4 and 2, and two decisions of 2·3 + 1.
    assert Flop(product=40, overhead=6, gating=14) == cost.flop
    # Two decisions of 4 steps, the leaf's number, and a compare for each of 4 units.
    assert 2 * 4 + 1 + 4 == cost.routing_operations
    assert 6 == cost.overhead_flop_per_unit


def test_without_its_second_bias_a_leaf_lacks_a_vector_and_its_adds() -> None:
    with_bias, without = closed_form(spec("leaf")), closed_form(spec("leaf", bias=False))

    assert with_bias.parameters - 4 * 2 == without.parameters
    assert with_bias.touched_parameters - 2 == without.touched_parameters
    assert with_bias.flop.total - 2 == without.flop.total


def test_a_path_of_neurons_by_hand() -> None:
    # p = 3, q = 2, k = 2: seven neurons of 3 + 2 weights, three on a way; 2·(3 + 2) product and 5 of gelu for each.
    cost, path = closed_form(spec("path")), spec("path")

    assert (35, 37) == (cost.weight_parameters, cost.parameters)
    assert (15, 17) == (touched_weight_parameters(path, one_token(path)), cost.touched_parameters)
    assert Flop(product=30, overhead=15, bias=2) == cost.flop
    assert 2 * 4 == cost.routing_operations


def test_units_of_a_leaf_make_no_difference_to_a_path() -> None:
    assert closed_form(spec("path", hidden=4)).as_row() == closed_form(spec("path", hidden=9)).as_row()


def test_a_batch_touches_the_hyperplanes_above_its_leaves() -> None:
    # Three tokens, two nodes at level 1, three leaves: 3 leaves of 26, and the root's and two nodes' hyperplanes of 4.
    visited = VisitedNodes(3, (1, 2, 3))

    assert 3 * 26 + 3 * 4 == touched_parameters(spec("leaf"), visited)
    assert 6 * 5 + 2 == touched_parameters(spec("path"), visited)
    # Two tokens, uniform: 3/2 nodes at level 1 and 7/4 leaves.
    assert pytest.approx(1.75 * 26 + 2.5 * 4) == expected_touched_parameters(spec("leaf"), 2)


def test_a_descent_has_no_index_to_read() -> None:
    # The token in and out, and what it touches, of four bytes each.
    assert 4 * (3 + 2 + 34) == compulsory_bytes(spec("leaf"), one_token(spec("leaf")), "forward", 4)


@pytest.mark.parametrize("form", ["path", "leaf"])
@pytest.mark.parametrize("tokens", [0, 1, 7])
def test_the_whole_operation_costs_what_the_layer_promises(form: str, tokens: int) -> None:
    whole = (
        op_formulas.leaf_feedforward(tokens, 3, 2, 2, 4, itemsize=4)
        if form == "leaf"
        else op_formulas.path_feedforward(tokens, 3, 2, 2, itemsize=4)
    )

    visited = VisitedNodes(tokens, (min(tokens, 1),) * 3)
    assert executed_flop(spec(form, bias=False), visited, "forward") == whole.flop


def test_training_costs_three_products_and_each_bias_twice() -> None:
    visited = VisitedNodes(7, (1, 2, 4))

    forward, train = (executed_flop(spec("leaf"), visited, pass_) for pass_ in ("forward", "train"))

    assert (3 * forward.product, 2 * forward.overhead, forward.gating) == (train.product, train.overhead, train.gating)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"form": "collapsed"}, "its form must be one of leaf, path"),
        ({"gate": "signs"}, "its gate must be one of descent"),
        ({"form": "leaf", "hidden": 0}, "hidden=0 was given; the network of a leaf has at least 1 unit"),
    ],
)
def test_what_no_such_layer_has_is_refused(given: dict[str, object], sentence: str) -> None:
    options: dict[str, object] = {"form": "path", "gate": "descent", **given}

    with pytest.raises(InputError, match=sentence):
        LayerSpec("fast-feedforward", 3, 2, 2, **options)  # type: ignore[arg-type]


def test_a_tree_has_no_leaf_networks() -> None:
    with pytest.raises(
        InputError, match="form='leaf' was given to tree-shared; its form must be one of path, collapsed"
    ):
        LayerSpec("tree-shared", 3, 2, 2, "leaf")


def test_a_descent_may_be_deeper_than_there_are_features() -> None:
    check_bits(spec("leaf", depth=9))
