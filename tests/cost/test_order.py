"""The order that a layer chooses: its reasons at each end, the cap, and that it never depends on luck."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capratio.cost import LayerSpec, choose_order
from capratio.cost.order import NOMINAL_CACHE_BYTES, nominal_time, temporary_bytes, working_set_bytes
from capratio.cost.spec import ORDERS
from capratio.errors import InputError

SQUARE = LayerSpec("tree-shared", 512, 512, 8)
# A matrix of 16 MiB: forming works on more than a cache holds.
LARGE = LayerSpec("tree-shared", 2048, 2048, 4)


def test_one_token_forms_its_leaf() -> None:
    assert "leaves" == choose_order(SQUARE, 1, 4)


@pytest.mark.parametrize("tokens", [16, 64, 256, 1024, 4096])
def test_a_batch_forms_shared_prefixes_once(tokens: int) -> None:
    assert "prefixes" == choose_order(SQUARE, tokens, 4)


def test_matrices_that_no_cache_holds_are_applied_to_few_tokens_and_formed_for_many() -> None:
    assert "nodes" == choose_order(LARGE, 1, 4)
    assert "nodes" == choose_order(LARGE, 64, 4)
    assert "prefixes" == choose_order(LARGE, 1024, 4)


def test_depth_one_ties_and_takes_the_first_order() -> None:
    # One add a leaf either way; many tokens make applying dearer.
    assert "leaves" == choose_order(LayerSpec("tree-shared", 512, 512, 1), 4096, 4)


@pytest.mark.parametrize("tokens", [1, 16, 64, 256])
def test_tiles_of_paths_cost_more_than_reading_nodes_so_that_few_tokens_a_node_apply_them(tokens: int) -> None:
    assert "nodes" == choose_order(SQUARE, tokens, 4, tiled=True)


@pytest.mark.parametrize("spec", [SQUARE, LARGE])
def test_tiles_of_paths_are_formed_for_many_tokens_a_node(spec: LayerSpec) -> None:
    assert "prefixes" == choose_order(spec, 4096, 4, tiled=True)


def test_the_nominal_time_of_tiles_by_hand() -> None:
    # As below, but the 3 matrices of 6 elements count one and a half times: 27 and 5 elements, 128 bytes.
    assert (128.0, 24) == nominal_time(LayerSpec("tree-shared", 3, 2, 2), 1, 4, "leaves", tiled=True)
    # Applying nodes reads each once: 18 and 5 elements; 3 products of 12 FLOP and 2 adds of 2.
    assert (92.0, 40) == nominal_time(LayerSpec("tree-shared", 3, 2, 2), 1, 4, "nodes", tiled=True)


def test_temporaries_by_hand() -> None:
    spec = LayerSpec("tree-shared", 3, 2, 2)

    assert (24, 48, 5 * 2 * 4) == tuple(temporary_bytes(spec, 5, 4, order) for order in ORDERS)
    assert (4 * 24, 3 * 24, 5 * (3 + 4) * 4) == tuple(working_set_bytes(spec, 5, 4, order) for order in ORDERS)


def test_nominal_time_by_hand() -> None:
    # N = 1, p = 3, q = 2, k = 2, in cache: 3 matrices of 6 and 5 token elements, 92 bytes; 24 FLOP / 10 is less.
    assert (92.0, 24) == nominal_time(LayerSpec("tree-shared", 3, 2, 2), 1, 4, "leaves")


def test_nominal_time_counts_every_operand_where_no_cache_holds_them() -> None:
    # N = 1, k = 4: four adds of matrices read two and write one each, and the product reads one, at 16 MiB a matrix.
    matrix = 2048 * 2048 * 4

    time, _ = nominal_time(LARGE, 1, 4, "leaves")

    assert working_set_bytes(LARGE, 1, 4, "leaves") > NOMINAL_CACHE_BYTES
    assert pytest.approx((4 * (2 + 1) + 1) * matrix, rel=1e-3) == time


def test_an_order_over_the_cap_is_out() -> None:
    matrix = 512 * 512 * 4

    # Eight partial sums do not fit under a cap of two matrices; one formed matrix does, and so do 512 tokens' outputs.
    assert choose_order(SQUARE, 512, 4, memory_cap_bytes=2 * matrix) != "prefixes"
    # Only the outputs of 64 tokens fit under half a matrix.
    assert "nodes" == choose_order(SQUARE, 64, 4, memory_cap_bytes=matrix // 2)


def test_where_every_order_is_over_the_cap_the_smallest_temporaries_win() -> None:
    assert "nodes" == choose_order(SQUARE, 4, 4, memory_cap_bytes=0)
    assert "leaves" == choose_order(SQUARE, 100_000, 4, memory_cap_bytes=0)


@pytest.mark.parametrize(
    "spec",
    [
        LayerSpec("dense", 3, 2),
        LayerSpec("tree-shared", 3, 2, 0),
        LayerSpec("tree-shared", 3, 2, 2, "collapsed"),
        LayerSpec("tree-unit", 3, 2, 2),
        LayerSpec("tree-bias", 3, 2, 2),
    ],
)
def test_a_layer_without_orders_is_refused(spec: LayerSpec) -> None:
    with pytest.raises(InputError, match="has no orders"):
        choose_order(spec, 1, 4)


def test_negative_tokens_and_empty_elements_are_refused() -> None:
    with pytest.raises(InputError, match="tokens=-1"):
        choose_order(SQUARE, -1, 4)
    with pytest.raises(InputError, match="itemsize=0"):
        choose_order(SQUARE, 1, 0)


@given(
    features=st.sampled_from([1, 7, 64, 511, 1536, 4096]),
    depth=st.integers(1, 62),
    tokens=st.integers(0, 10**6),
    itemsize=st.sampled_from([2, 4, 8]),
    cap=st.integers(0, 2**40),
    tiled=st.booleans(),
)
def test_every_layer_gets_the_least_time_among_those_that_fit(
    features: int, depth: int, tokens: int, itemsize: int, cap: int, tiled: bool
) -> None:
    spec = LayerSpec("tree-shared", features, features, depth)

    chosen = choose_order(spec, tokens, itemsize, cap, tiled=tiled)

    fitting = [order for order in ORDERS if temporary_bytes(spec, tokens, itemsize, order) <= cap]
    if fitting:
        assert chosen in fitting
        assert min(nominal_time(spec, tokens, itemsize, o, tiled) for o in fitting) == nominal_time(
            spec, tokens, itemsize, chosen, tiled
        )
