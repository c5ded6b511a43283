"""The cost of a product-key memory: a tiny one counted by hand, and what none can be is refused."""

import pytest

from capratio.cost.flop import Flop
from capratio.cost.systems.contract import Visits
from capratio.cost.systems.product_key import ProductKeySpec
from capratio.cost.systems.table import SYSTEMS
from capratio.errors import InputError

# 3 features in, 5 out; 2 heads, two sets of 4 sub-keys of 6 elements each, of which 2 are chosen.
SPEC = ProductKeySpec(3, 5, heads=2, keys=4, top_k=2, key_features=6)


def test_it_is_in_the_table() -> None:
    assert ProductKeySpec is SYSTEMS["product-key"]


def test_parameters_by_hand() -> None:
    # 16 values of 5; queries of 2·2·6 elements from 3; 2·2·4 sub-keys of 6.
    assert 80 == SPEC.weight_parameters
    assert 80 + 72 + 96 == SPEC.parameters
    # A token reads 2·2 values, and all that finds them.
    assert 20 + 72 + 96 == SPEC.touched_parameters(SPEC.one_token())
    assert 0 == SPEC.touched_parameters(Visits(0, {"rows": 0}))


def test_one_token_by_hand() -> None:
    cost = SPEC.executed(SPEC.one_token(), "forward")

    # 24 elements of queries from 3 features: 144; 16 scores of 6 elements: 192.
    # A head: 3 sums of scores, of the first with both and the second with the first; a softmax of 2, 2 differences,
    # 2 powers, 1 add, 2 divisions. 4 values of 5 are scaled and added.
    assert Flop(gating=144 + 192, overhead=2 * (3 + 7), product=40) == cost.flop
    # A head: two sorts of 4 (4·2 each), one of 3 sums (3·2), a compare of the softmax; of each of 2 pairs a multiply
    # and an add.
    assert 2 * (16 + 6 + 1 + 4) == cost.routing_operations
    assert cost.flop == SPEC.law()


@pytest.mark.parametrize("weight_gradient, found", [("dense", 0), ("touched", 8 * 3 + 4)])
def test_training_by_hand(weight_gradient: str, found: int) -> None:
    spec = ProductKeySpec(3, 5, 2, 4, 2, 6, weight_gradient)

    cost = spec.executed(Visits(2, {"rows": 7}), "train")

    # Two tokens. Each product twice more. Through the softmax 7 a head again; the gradient of each of its 3 sums is
    # added to that of two scores.
    assert Flop(gating=2 * 3 * 336, overhead=2 * 2 * (10 + 7 + 6), product=2 * 3 * 40) == cost.flop
    # Touched: 8 look-ups are sorted, 8·3, and the padding is searched for among 8 rows, 4 steps.
    assert 2 * 54 + found == cost.routing_operations


@pytest.mark.parametrize("top_k", range(1, 40))
def test_pairs_are_those_whose_ranks_multiply_to_at_most_top_k(top_k: int) -> None:
    ranks = range(1, top_k + 1)

    pairs = ProductKeySpec(3, 5, keys=40, top_k=top_k).pairs

    assert sum(i * j <= top_k for i in ranks for j in ranks) == pairs


def test_bytes_by_hand() -> None:
    dense, touched = (ProductKeySpec(3, 5, 2, 4, 2, 6, mode) for mode in ("dense", "touched"))
    both = Visits(2, {"rows": 7})

    # Two tokens in and out, 7 values, and all that finds them.
    read = 2 * 8 + 35 + 168
    assert 4 * read == dense.compulsory_bytes(both, "forward", 4)
    # The tokens' gradients, and those of all parameters, or of what was read.
    assert 4 * (read + 16 + 80 + 168) == dense.compulsory_bytes(both, "train", 4)
    assert 4 * (read + 16 + 35 + 168) == touched.compulsory_bytes(both, "train", 4)
    assert 0 == dense.compulsory_bytes(Visits(0, {"rows": 0}), "forward", 4)


def test_expected_values_by_hand() -> None:
    one_head = ProductKeySpec(3, 5, heads=1, keys=2, top_k=2, key_features=1)

    # A head reads 2 of 4 values; of two tokens each value is missed by both with probability 1/4.
    assert {"rows": 2.0} == one_head.expected_counts(1)
    assert {"rows": 3.0} == one_head.expected_counts(2)
    assert 3 * 5 + 2 * 3 + 4 == one_head.expected_touched_parameters(2)
    assert 0 == one_head.expected_touched_parameters(0)


def test_more_keys_hold_more_values_at_the_cost_of_their_sub_keys() -> None:
    small, large = (ProductKeySpec(256, 256, keys=keys) for keys in (128, 512))

    assert 16 * small.weight_parameters == large.weight_parameters
    assert small.law().product == large.law().product
    assert 2 * 2 * 64 * 4 * (512 - 128) == large.law().gating - small.law().gating


def test_a_twin_is_small_and_of_the_same_kind() -> None:
    twin = ProductKeySpec(256, 300, heads=8, keys=512, top_k=32, weight_gradient="touched").twin()

    assert ProductKeySpec(16, 16, 4, 16, 16, 16, "touched") == twin


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="product-key was given top_k=5 of keys=4; choose at most all sub-keys"):
        ProductKeySpec(3, 5, keys=4, top_k=5)
    with pytest.raises(InputError, match="product-key was given key_features=0; it must be at least 1"):
        ProductKeySpec(3, 5, key_features=0)
    with pytest.raises(InputError, match="weight_gradient='some'; it must be one of dense, touched"):
        ProductKeySpec(3, 5, weight_gradient="some")
