"""The cost of the winner-take-all memory, counted by hand: parameters grow with buckets, FLOP do not."""

import pytest

from capratio.cost import closed_form
from capratio.cost.flop import Flop
from capratio.cost.systems.contract import Visits
from capratio.cost.systems.winner_take_all import WinnerTakeAllSpec
from capratio.errors import InputError

# p = 4, q = 2; two tables of 3^2 rows, two probes of each.
SPEC = WinnerTakeAllSpec(4, 2, window=3, hashes=2, tables=2, probes=2)


def visits(tokens: int, rows: int) -> Visits:
    return Visits(tokens, {"rows": rows, "lookups": tokens * 4})


def test_a_token_by_hand() -> None:
    cost = closed_form(SPEC)

    # 4·2 of the dense layer and 2·9 rows of 2; the bias.
    assert (44, 46) == (cost.weight_parameters, cost.parameters)
    # The dense layer with its bias, and four rows.
    assert 10 + 4 * 2 == cost.touched_parameters
    # The product 2·4·2; three adds of rows and one to the product, of 2; a margin of each of 4 hashes.
    assert Flop(product=16, bias=2, overhead=4 * 2 + 4) == cost.flop
    # Of each table: winners and runners-up 2·2·2, margins sorted 2, a flip found and made 2·2, and of both probes a
    # multiply, an add and the table's own.
    assert 2 * (8 + 2 + 4 + 2 * 3) == cost.routing_operations


def test_a_training_step_of_two_tokens_by_hand() -> None:
    cost = SPEC.executed(visits(2, 7), "train")

    # Three products; a bias added twice and summed once; forward overhead 2·12, and 8 rows of 2 are added to.
    assert Flop(product=3 * 32, bias=4 + 2, overhead=24 + 16) == cost.flop


def test_a_single_probe_needs_no_margins() -> None:
    cost = closed_form(WinnerTakeAllSpec(4, 2, window=3, hashes=2, tables=2, probes=1))

    assert Flop(product=16, bias=2, overhead=4) == cost.flop
    assert 2 * (4 + 3) == cost.routing_operations


def test_buckets_cost_parameters_and_no_flop() -> None:
    few, many = (WinnerTakeAllSpec(256, 256, window=window) for window in (4, 8))

    assert 2 * (8**4 - 4**4) * 256 == many.parameters - few.parameters
    assert few.law() == many.law()


def test_rows_are_expected_as_uniform_buckets_are_hit() -> None:
    # Two tokens that take 2 of 9 rows: one is missed with probability (7/9)^2.
    assert pytest.approx(2 * 9 * (1 - 49 / 81)) == SPEC.expected_counts(2)["rows"]
    assert 8 == SPEC.expected_counts(2)["lookups"]
    assert pytest.approx(10 + 2 * 2 * 9 * (1 - 49 / 81)) == SPEC.expected_touched_parameters(2)
    assert 0 == SPEC.expected_touched_parameters(0)
    # All rows of a table of two.
    assert 2 == WinnerTakeAllSpec(4, 2, window=2, hashes=1, tables=1).expected_counts(3)["rows"]


def test_bytes_are_tokens_touched_rows_and_the_windows() -> None:
    # 2·2·3 numbers of features, 8 bytes each.
    assert 4 * (2 * 6 + 10 + 7 * 2) + 12 * 8 == SPEC.compulsory_bytes(visits(2, 7), "forward", 4)
    assert 4 * (2 * 2 * 6 + 10 + 7 * 2 + 46) + 12 * 8 == SPEC.compulsory_bytes(visits(2, 7), "train", 4)
    assert 0 == SPEC.compulsory_bytes(visits(0, 0), "forward", 4)


@pytest.mark.parametrize("options", [{}, {"probes": 1}, {"window": 1, "probes": 1}, {"hashes": 1}, {"probes": 5}])
def test_a_twin_is_small_and_probes_where_the_layer_probes(options: dict[str, int]) -> None:
    spec = WinnerTakeAllSpec(256, 256, **options)

    twin = spec.twin()

    assert 32 >= twin.tables * twin.buckets
    assert (spec.probes > 1) == (twin.probes > 1)


@pytest.mark.parametrize(
    "given, sentence",
    [
        ({"window": 5}, "window=5 of in_features=4; .* give at most all of them"),
        ({"probes": 6}, "probes=6 with hashes=4 and window=3; .* give at most 5"),
        ({"window": 1}, "probes=2 with hashes=4 and window=1; .* give at most 1"),
        ({"tables": 0}, "tables=0; it must be at least 1"),
        ({"seed": 1.5}, "seed=1.5; it must be an integer"),
    ],
)
def test_what_no_such_layer_has_is_refused(given: dict[str, object], sentence: str) -> None:
    options: dict[str, object] = {"window": 3, **given}

    with pytest.raises(InputError, match=sentence):
        WinnerTakeAllSpec(4, 2, **options)  # type: ignore[arg-type]
