"""Specifications and visited nodes that cannot be are refused, with a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capratio.cost import LayerSpec, VisitedNodes
from capratio.cost.spec import expected_distinct, expected_visited, one_token
from capratio.cost.visited_check import check_visited
from capratio.errors import InputError


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("tree", 3, 2, 2), "layer='tree' is not known; it must be one of dense, tree-shared, tree-unit, tree-bias"),
        (("dense", 0, 2), "in_features=0 and out_features=2 were given; both must be at least 1"),
        (("tree-shared", 3, 2, -1), "depth=-1 was given; a depth is a number of gating bits from 0 to 62"),
        (("tree-shared", 3, 2, 63), "depth=63 was given"),
        (("dense", 3, 2, 1), "a dense layer was given depth=1"),
        (("dense", 3, 2, 0, "collapsed"), "a dense layer was given form='collapsed'"),
        (("tree-shared", 3, 2, 2, "flat"), "form='flat' is not known"),
        (("tree-unit", 3, 2, 2, "path", True, "hyperplanes"), "its gate must be one of signs, thresholds"),
        (("tree-shared", 3, 2, 2, "path", True, "thresholds"), "its gate must be one of signs, hyperplanes"),
        (("dense", 3, 2, 0, "path", True, "hyperplanes"), "its gate must be one of signs"),
    ],
)
def test_a_layer_that_cannot_be_is_refused(arguments: tuple[str, int, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LayerSpec(*arguments)


@pytest.mark.parametrize(
    "tokens, levels, message",
    [
        (-1, (0, 0, 0), "-1 tokens were given"),
        (3, (1, 1), "2 visited levels were given for depth=2; there must be 3"),
        (3, (0, 1, 2), "0 visited roots were given; 3 tokens visit 1"),
        (0, (1, 1, 1), "1 visited roots were given; 0 tokens visit 0"),
        (9, (1, 2, 5), "5 visited nodes were given at level 2; 9 tokens visit at most 4"),
        (1, (1, 2, 2), "2 visited nodes were given at level 1; 1 tokens visit at most 1"),
        (9, (1, 1, 3), "3 visited nodes were given at level 2 under 1 parents"),
        (9, (1, 2, 1), "1 visited nodes were given at level 2 under 2 parents"),
    ],
)
def test_nodes_that_no_batch_visits_are_refused(tokens: int, levels: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_visited(LayerSpec("tree-shared", 3, 2, 2), VisitedNodes(tokens, levels))


def test_own_bits_walk_a_tree_for_each_unit() -> None:
    spec = LayerSpec("tree-unit", 3, 2, 1)

    check_visited(spec, VisitedNodes(2, (3, 5)))

    with pytest.raises(InputError, match="1 visited roots were given; 2 tokens visit 3"):
        check_visited(spec, VisitedNodes(2, (1, 2)))


@given(leaves=st.lists(st.integers(0, 255), max_size=60))
def test_nodes_of_any_batch_are_accepted(leaves: list[int]) -> None:
    levels = tuple(len({leaf >> (8 - level) for leaf in leaves}) for level in range(9))

    check_visited(LayerSpec("tree-shared", 3, 2, 8), VisitedNodes(len(leaves), levels))


def test_leaves_and_nodes_below_the_root_are_read_off_the_levels() -> None:
    visited = VisitedNodes(5, (1, 2, 3))

    assert (3, 5) == (visited.leaves, visited.below_root)


@pytest.mark.parametrize("layer, trees", [("tree-shared", 1), ("tree-unit", 3)])
def test_one_token_visits_one_node_a_level_of_each_tree(layer: str, trees: int) -> None:
    spec = LayerSpec(layer, 3, 2, 2)

    assert VisitedNodes(1, (trees, trees, trees)) == one_token(spec)
    assert pytest.approx((trees, trees, trees)) == expected_visited(spec, 1)


@pytest.mark.parametrize("cells", [1, 2, 2**20, 2**53, 2**62])
def test_expected_distinct_cells_keep_their_precision_in_deep_trees(cells: int) -> None:
    assert 0.0 == expected_distinct(cells, 0)
    assert pytest.approx(1.0, rel=1e-14) == expected_distinct(cells, 1)
    # Two draws collide with probability 1/E.
    assert pytest.approx(2 - 1 / cells, rel=1e-14) == expected_distinct(cells, 2)
