"""The operations' formulas against counts written out by hand for N = 3 tokens, p = 3, q = 2, k = 2."""

import pytest

from capratio.cost.flop import Flop
from capratio.cost.op_formulas import (
    hyperplane_bits,
    leaf_index_operations,
    leaf_linear,
    leaf_linear_input_gradient,
    leaf_linear_touched_gradient,
    leaf_linear_weight_gradient,
    node_index_operations,
    path_bias,
    path_bias_table_gradient,
    path_bias_touched_gradient,
    path_linear,
    path_linear_input_gradient,
    path_linear_touched_gradient,
    path_linear_weight_gradient,
    sort_operations,
    sparse_table_operations,
    touched_rows,
    unit_lookup,
    unit_lookup_input_gradient,
    unit_lookup_touched_gradient,
    unit_lookup_weight_gradient,
)
from capratio.errors import InputError

# Three tokens with the bits 00, 01, 00: leaves 0 and 1 under one child of the root, so V = 2 and V_n = 1 + 2 = 3.
TOKENS, P, Q, DEPTH, LEAVES, BELOW_ROOT = 3, 3, 2, 2, 2, 3
# y = W x takes q p multiplies and q p adds of multiply-adds: 2 * 3 * 2 = 12 a token.
PRODUCT = 3 * 12


@pytest.mark.parametrize("tokens, steps", [(0, 0), (1, 0), (2, 2), (3, 6), (4, 8), (5, 15), (1024, 10240)])
def test_sort_takes_tokens_times_log2_rounded_up(tokens: int, steps: int) -> None:
    assert steps == sort_operations(tokens)


def test_leaf_index_multiplies_each_bit_and_adds_all_but_one() -> None:
    # leaf = 4 b_1 + 2 b_2 + 1 b_3: three multiplies, two adds.
    assert 5 == leaf_index_operations(1, 3)
    assert 0 == leaf_index_operations(7, 0)


def test_node_index_shifts_and_adds_once_a_level() -> None:
    # Root, child, leaf: (leaf >> 2) + 0, (leaf >> 1) + 1, (leaf >> 0) + 3.
    assert 6 == node_index_operations(1, 2)


def test_leaf_linear_and_its_gradients_are_one_product_and_one_sort_each() -> None:
    expected = (Flop(product=PRODUCT), 6)

    forward = leaf_linear(TOKENS, P, Q, visited=LEAVES, itemsize=4)
    to_input = leaf_linear_input_gradient(TOKENS, P, Q, visited=LEAVES, itemsize=4)
    to_weight = leaf_linear_weight_gradient(TOKENS, P, Q, visited=LEAVES, rows=4, itemsize=4)

    assert expected == (forward.flop, forward.routing_operations)
    assert expected == (to_input.flop, to_input.routing_operations)
    assert expected == (to_weight.flop, to_weight.routing_operations)


def test_leaf_linear_moves_its_operands_once_a_use() -> None:
    # Elements read: x 9, its sorted copy 9, two matrices of 6, the sorted outputs 6: 36. Indices: the node and the
    # permutation for each of two uses, 3 * 3. Written: the copy 9, the products 6, the outputs 6: 21; the permutation
    # 3.
    cost = leaf_linear(TOKENS, P, Q, visited=LEAVES, itemsize=4)

    assert 36 * 4 + 9 * 8 == cost.read_bytes
    assert 21 * 4 + 3 * 8 == cost.written_bytes
    assert 3 == cost.rows_gathered


def test_leaf_linear_weight_gradient_writes_every_row() -> None:
    # Read: x 9, dy 6 and their copies: 30. Written: the copies 15, zeros 4 * 6, two visited matrices 12: 51.
    cost = leaf_linear_weight_gradient(TOKENS, P, Q, visited=LEAVES, rows=4, itemsize=4)

    assert 30 * 4 + 9 * 8 == cost.read_bytes
    assert 51 * 4 + 3 * 8 == cost.written_bytes


@pytest.mark.parametrize(
    "order, overhead",
    [
        ("leaves", 2 * 2 * 6),  # two leaves, each root + child + leaf: two adds of 6 elements
        ("prefixes", 3 * 6),  # the child is added to the root once, each of the two leaves to the child
        ("nodes", 2 * PRODUCT + 2 * 3 * 2),  # two more products a token, and two adds of 2 outputs for 3 tokens
    ],
)
def test_path_linear_overhead_by_hand(order: str, overhead: int) -> None:
    cost = path_linear(TOKENS, P, Q, DEPTH, LEAVES, BELOW_ROOT, order, itemsize=4)

    assert Flop(product=PRODUCT, overhead=overhead) == cost.flop
    # Leaf index 2 b_1 + b_2, three steps for each of three tokens; sort 3 * 2.
    assert 9 + 6 == cost.routing_operations


@pytest.mark.parametrize(
    "order, overhead",
    [("leaves", 24), ("prefixes", 18), ("nodes", 2 * PRODUCT + 2 * 3 * 3)],  # nodes adds inputs of 3 elements
)
def test_path_linear_input_gradient_overhead_by_hand(order: str, overhead: int) -> None:
    cost = path_linear_input_gradient(TOKENS, P, Q, DEPTH, LEAVES, BELOW_ROOT, order, itemsize=4)

    assert Flop(product=PRODUCT, overhead=overhead) == cost.flop
    assert 15 == cost.routing_operations


@pytest.mark.parametrize(
    "order, overhead",
    [
        ("leaves", 2 * 3 * 6),  # each of two leaf gradients is added into root, child and leaf
        ("prefixes", 3 * 6),  # two leaf gradients into the child's, the child's into the root's
        ("nodes", 2 * PRODUCT),  # a product for each level below the root, nothing to add
    ],
)
def test_path_linear_weight_gradient_overhead_by_hand(order: str, overhead: int) -> None:
    cost = path_linear_weight_gradient(TOKENS, P, Q, DEPTH, LEAVES, BELOW_ROOT, order, itemsize=4)

    assert Flop(product=PRODUCT, overhead=overhead) == cost.flop
    assert 15 == cost.routing_operations


@pytest.mark.parametrize(
    "order, read, written",
    [
        # Beside x and y of the sort, 9 + 6 read and written: x 9; 4 adds read 2 matrices and write 1; 2 products read
        # 1.
        ("leaves", 15 + 9 + (2 * 4 + 2) * 6, 15 + 6 + 4 * 6),
        ("prefixes", 15 + 9 + (2 * 3 + 2) * 6, 15 + 6 + 3 * 6),
        # x for each of three levels, four visited nodes, two adds of outputs 6 + 6 into 6.
        ("nodes", 15 + 3 * 9 + 4 * 6 + 2 * 12, 15 + 3 * 6 + 2 * 6),
    ],
)
def test_path_linear_bytes_by_hand(order: str, read: int, written: int) -> None:
    cost = path_linear(TOKENS, P, Q, DEPTH, LEAVES, BELOW_ROOT, order, itemsize=4)

    # Indices read: 2 bits, leaf, permutation twice a token; written: leaf and permutation.
    assert read * 4 + 3 * (2 + 24) == cost.read_bytes
    assert written * 4 + 3 * 16 == cost.written_bytes


@pytest.mark.parametrize("operation", [path_linear, path_linear_input_gradient])
def test_an_unknown_order_is_refused(operation: object) -> None:
    assert callable(operation)

    with pytest.raises(InputError, match="order='stems' is not known; it must be one of leaves, prefixes, nodes"):
        operation(TOKENS, P, Q, DEPTH, LEAVES, BELOW_ROOT, "stems", itemsize=4)


def test_an_unknown_order_is_refused_by_the_weight_gradient() -> None:
    with pytest.raises(InputError, match="stems"):
        path_linear_weight_gradient(TOKENS, P, Q, DEPTH, LEAVES, BELOW_ROOT, "stems", itemsize=4)


def test_unit_lookup_adds_the_rows_of_each_unit_but_one() -> None:
    # Nine (token, unit) pairs; each adds 3 rows of 2 elements (2 * 2 FLOP), scales (2) and adds to the output (2).
    expected = Flop(product=9 * 4, overhead=9 * 4)

    assert expected == unit_lookup(TOKENS, P, Q, 3, itemsize=4).flop
    assert expected == unit_lookup_input_gradient(TOKENS, P, Q, 3, itemsize=4).flop
    assert expected == unit_lookup_weight_gradient(TOKENS, P, Q, 3, rows=21, itemsize=4).flop
    assert Flop(product=36) == unit_lookup(TOKENS, P, Q, 1, itemsize=4).flop


def test_unit_lookup_bytes_by_hand() -> None:
    # 27 rows of 2 read, 9 sums of 2 written; they are read again with x, 9, and the outputs 6 are written.
    cost = unit_lookup(TOKENS, P, Q, 3, itemsize=4)

    assert (54 + 18 + 9) * 4 + 27 * 8 == cost.read_bytes
    assert (18 + 6) * 4 == cost.written_bytes
    assert 27 == cost.rows_gathered


def test_unit_lookup_gradient_bytes_by_hand() -> None:
    # To the input: the sums, 54 read and 18 written, are read again with dy, 6, and 9 elements written.
    # To the table: x 9 and dy 6 scale into 18; each of three adds reads those and the rows and writes the rows;
    # 21 rows of 2 are zeros first.
    to_input = unit_lookup_input_gradient(TOKENS, P, Q, 3, itemsize=4)
    to_table = unit_lookup_weight_gradient(TOKENS, P, Q, 3, rows=21, itemsize=4)

    assert ((54 + 18 + 6) * 4 + 27 * 8, (18 + 9) * 4) == (to_input.read_bytes, to_input.written_bytes)
    assert ((9 + 6 + 3 * 36) * 4 + 27 * 8, (18 + 54 + 42) * 4) == (to_table.read_bytes, to_table.written_bytes)


def test_path_bias_adds_a_row_a_level() -> None:
    # Three nodes of 2 elements for each of three tokens, all added to the base: 18; two index steps a node: 18.
    forward = path_bias(TOKENS, Q, DEPTH, itemsize=4)
    gradient = path_bias_table_gradient(TOKENS, Q, DEPTH, rows=7, itemsize=4)

    assert (Flop(overhead=18), 18) == (forward.flop, forward.routing_operations)
    assert (Flop(overhead=18), 18) == (gradient.flop, gradient.routing_operations)
    # 9 rows of 2 summed into 3 of 2; those and the base read, the outputs written; a leaf and three nodes a token.
    assert ((18 + 6 + 6) * 4 + (3 + 9) * 8, (6 + 6) * 4 + 9 * 8) == (forward.read_bytes, forward.written_bytes)
    assert (18 * 2 * 4 + (3 + 9) * 8, (18 + 14) * 4 + 9 * 8) == (gradient.read_bytes, gradient.written_bytes)


def test_rows_are_found_by_a_sort() -> None:
    found = touched_rows(5, 3)

    # Five entries sorted in three rounds; their places, and at most three rows.
    assert 15 == found.routing_operations
    assert (5 * 8, (5 + 3) * 8) == (found.read_bytes, found.written_bytes)
    # Rows 0..3 by a binary search of two steps; a stack of trees divides each number and takes its remainder.
    assert (2, 2 + 2 * 3) == (
        sparse_table_operations(5, 3, own_trees=False),
        sparse_table_operations(5, 3, own_trees=True),
    )


def test_a_touched_gradient_has_the_flop_of_the_dense_one_and_writes_the_rows_that_can_be_visited() -> None:
    dense = leaf_linear_weight_gradient(TOKENS, P, Q, visited=LEAVES, rows=99, itemsize=4)
    touched = leaf_linear_touched_gradient(TOKENS, P, Q, visited=LEAVES, rows=99, itemsize=4)

    assert dense.flop == touched.flop
    assert 6 == touched.routing_operations - dense.routing_operations
    # 96 matrices of 6 are not written; three places and three rows are.
    assert 96 * 6 * 4 - 6 * 8 == dense.written_bytes - touched.written_bytes


def test_touched_rows_of_units_and_of_path_biases_by_hand() -> None:
    dense = unit_lookup_weight_gradient(TOKENS, P, Q, 2, rows=99, itemsize=4)
    touched = unit_lookup_touched_gradient(TOKENS, P, Q, 2, rows=99, itemsize=4)
    # 18 look-ups, sorted in five rounds; 81 rows of 2 are not written, 18 places and 18 rows are.
    assert (dense.flop, 18 * 5) == (touched.flop, touched.routing_operations - dense.routing_operations)
    assert 81 * 2 * 4 - 36 * 8 == dense.written_bytes - touched.written_bytes

    whole = path_bias_table_gradient(1, Q, DEPTH, rows=7, itemsize=4)
    alone = path_bias_touched_gradient(1, Q, DEPTH, itemsize=4)
    # One token visits 3 of 7 rows, sorted in two rounds.
    assert (whole.flop, 3 * 2) == (alone.flop, alone.routing_operations - whole.routing_operations)
    assert 4 * 2 * 4 - 6 * 8 == whole.written_bytes - alone.written_bytes


@pytest.mark.parametrize("order", ["leaves", "prefixes", "nodes"])
def test_touched_nodes_of_a_path_by_hand(order: str) -> None:
    dense = path_linear_weight_gradient(1, P, Q, DEPTH, 1, 2, order, itemsize=4)
    touched = path_linear_touched_gradient(1, P, Q, DEPTH, 1, 2, order, itemsize=4)

    assert dense.flop == touched.flop
    # The leaf index again 3, its nodes 6, and 3 of them sorted in two rounds.
    assert 3 + 6 + 6 == touched.routing_operations - dense.routing_operations
    # Four matrices of 6 are not written; the leaf index, three nodes, their places and rows are.
    assert 4 * 6 * 4 - (1 + 3 + 3 + 3) * 8 == dense.written_bytes - touched.written_bytes


def test_hyperplane_bits_multiply_every_feature_and_compare_once() -> None:
    # Six scores of 5 features: 60 gating FLOP, 6 compares.
    cost = hyperplane_bits(TOKENS, 5, DEPTH, itemsize=4)

    assert (Flop(gating=60), 6) == (cost.flop, cost.routing_operations)
    assert (25 + 6) * 4 == cost.read_bytes
    assert 6 * 4 + 6 == cost.written_bytes


def test_no_tokens_execute_nothing() -> None:
    for order in ("leaves", "prefixes", "nodes"):
        for operation in (path_linear, path_linear_input_gradient, path_linear_weight_gradient):
            cost = operation(0, P, Q, DEPTH, 0, 0, order, itemsize=4)

            assert (0, 0, 0) == (cost.flop.total, cost.routing_operations, cost.read_bytes)
