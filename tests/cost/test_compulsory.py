"""Compulsory bytes by hand for each pass, and what they leave out."""

import pytest

from capratio.cost import LayerSpec, VisitedNodes, compulsory_bytes
from capratio.cost.spec import LAYERS
from capratio.errors import InputError

# p = 3, q = 2, k = 2, three tokens with the bits 00, 01, 00.
VISITED = VisitedNodes(3, (1, 1, 2))


def test_shared_path_by_hand() -> None:
    spec = LayerSpec("tree-shared", 3, 2, 2)

    # x 9, four matrices of 6, bias 2, y 6: 41 elements; two features that give bits: 16 bytes.
    assert 41 * 4 + 16 == compulsory_bytes(spec, VISITED, "forward", 4)
    # dy 6 read, dx 9 written, and the dense gradients of seven matrices 42 and of the bias 2.
    assert (41 + 6 + 9 + 44) * 4 + 16 == compulsory_bytes(spec, VISITED, "train", 4)


def test_recording_moves_what_forward_moves() -> None:
    spec = LayerSpec("tree-shared", 3, 2, 2)

    assert 41 * 4 + 16 == compulsory_bytes(spec, VISITED, "forward-grad", 4)


def test_touched_rows_alone_are_written_by_hand() -> None:
    spec = LayerSpec("tree-shared", 3, 2, 2, weight_gradient="touched")

    # Of the 100 elements in training the gradients of four visited matrices 24 instead of seven 42.
    assert (41 + 6 + 9 + 26) * 4 + 16 == compulsory_bytes(spec, VISITED, "train", 4)
    assert 41 * 4 + 16 == compulsory_bytes(spec, VISITED, "forward", 4)


def test_the_dense_product_of_a_tree_bias_has_a_whole_gradient() -> None:
    dense = LayerSpec("tree-bias", 3, 2, 2)
    touched = LayerSpec("tree-bias", 3, 2, 2, weight_gradient="touched")

    # Three of seven rows of 2 are not visited, and not written.
    saved = compulsory_bytes(dense, VISITED, "train", 4) - compulsory_bytes(touched, VISITED, "train", 4)
    assert 3 * 2 * 4 == saved


def test_without_bits_every_row_is_touched() -> None:
    dense, touched = LayerSpec("tree-shared", 3, 2), LayerSpec("tree-shared", 3, 2, weight_gradient="touched")

    for tokens in (0, 3):
        visited = VisitedNodes(tokens, (min(tokens, 1),))

        assert compulsory_bytes(dense, visited, "train", 4) == compulsory_bytes(touched, visited, "train", 4)


def test_decode_is_forward() -> None:
    spec, visited = LayerSpec("tree-shared", 3, 2, 2), VisitedNodes(1, (1, 1, 1))

    assert compulsory_bytes(spec, visited, "forward", 2) == compulsory_bytes(spec, visited, "decode", 2)


def test_own_bits_read_an_index_for_each_unit_and_bit() -> None:
    visited = VisitedNodes(3, (3, 3, 6))

    # x 9, 12 nodes of 2, bias 2, y 6: 41; indices 3 * 2 * 8. Thresholds are 6 parameters more, on features chosen
    # alike.
    assert 41 * 4 + 48 == compulsory_bytes(LayerSpec("tree-unit", 3, 2, 2), visited, "forward", 4)
    assert 47 * 4 + 48 == compulsory_bytes(LayerSpec("tree-unit", 3, 2, 2, gate="thresholds"), visited, "forward", 4)


def test_hyperplanes_are_parameters_without_an_index() -> None:
    spec = LayerSpec("tree-shared", 3, 2, 2, gate="hyperplanes")

    assert (41 + 6) * 4 == compulsory_bytes(spec, VISITED, "forward", 4)
    # The gate has no gradient: training adds what it adds without hyperplanes.
    assert (41 + 6 + 6 + 9 + 44) * 4 == compulsory_bytes(spec, VISITED, "train", 4)


def test_dense_by_hand() -> None:
    assert (9 + 8 + 6) * 4 == compulsory_bytes(LayerSpec("dense", 3, 2), VisitedNodes(3, (1,)), "forward", 4)


@pytest.mark.parametrize("layer", LAYERS[1:3])
def test_depth_zero_moves_what_dense_moves(layer: str) -> None:
    dense, tree = LayerSpec("dense", 5, 3), LayerSpec(layer, 5, 3, 0)

    for pass_ in ("forward", "train"):
        expected = compulsory_bytes(dense, VisitedNodes(4, (1,)), pass_, 4)

        assert expected == compulsory_bytes(tree, VisitedNodes(4, (tree.trees,)), pass_, 4)


def test_no_tokens_move_nothing_forward_and_write_zero_gradients_in_training() -> None:
    spec, visited = LayerSpec("tree-shared", 3, 2, 2), VisitedNodes(0, (0, 0, 0))

    assert 0 == compulsory_bytes(spec, visited, "forward", 4)
    assert 44 * 4 == compulsory_bytes(spec, visited, "train", 4)


def test_an_unvisited_leaf_more_is_seen() -> None:
    spec = LayerSpec("tree-shared", 3, 2, 2)

    assert compulsory_bytes(spec, VISITED, "forward", 4) != compulsory_bytes(
        spec, VisitedNodes(3, (1, 2, 2)), "forward", 4
    )


def test_bad_input_is_refused() -> None:
    spec = LayerSpec("dense", 3, 2)

    with pytest.raises(InputError, match="itemsize=0 was given"):
        compulsory_bytes(spec, VisitedNodes(1, (1,)), "forward", 0)
    with pytest.raises(InputError, match="pass='sideways' is not known"):
        compulsory_bytes(spec, VisitedNodes(1, (1,)), "sideways", 4)
