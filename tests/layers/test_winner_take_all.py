"""The winner-take-all memory finds the rows that the order of features says, and costs what is promised."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import linear

from capratio.errors import InputError
from capratio.layers.winner_take_all import WinnerTakeAllMemory
from capratio.sweep.references.winner_take_all import WinnerTakeAllReference
from tests.layers.system_checks import (
    TOLERANCES,
    assert_agrees,
    assert_close,
    assert_compiles_and_exports,
    assert_counts_as_promised,
    assert_gradients_are_those_of_finite_differences,
    assert_habits,
    drawn,
    expected_output,
    redrawn,
    wrong_decision,
)

REFERENCE = WinnerTakeAllReference()
OPTIONS: list[dict[str, Any]] = [
    {"window": 3, "hashes": 2},
    {"window": 3, "hashes": 3, "tables": 1, "probes": 4},
    {"window": 5, "hashes": 1, "tables": 3, "probes": 1},
    {"window": 1, "probes": 1},
    {"window": 2, "hashes": 1, "tables": 1, "probes": 2},
]


def built(dtype: torch.dtype = torch.float64, **options: Any) -> WinnerTakeAllMemory:
    return redrawn(WinnerTakeAllMemory(5, 3, dtype=dtype, **options))


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("tokens", [0, 1, 7])
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_outputs_and_gradients_are_those_of_the_reference(
    dtype: torch.dtype, tokens: int, options: dict[str, Any]
) -> None:
    assert_agrees(built(dtype, **options), REFERENCE, drawn(tokens, 5, dtype=dtype))


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_layer_of_any_size_agrees_with_the_reference(data: st.DataObject) -> None:
    p, q, tokens = (data.draw(st.integers(low, 6)) for low in (1, 1, 0))
    window, hashes, tables = (data.draw(st.integers(1, most)) for most in (p, 3, 3))
    probes = data.draw(st.integers(1, hashes + 1 if window > 1 else 1))
    # Rounded numbers have ties.
    x = drawn(tokens, p, dtype=torch.float64, seed=data.draw(st.integers(0, 99)))
    x = data.draw(st.sampled_from([x, x.round(), x.relu()]))
    layer = redrawn(
        WinnerTakeAllMemory(p, q, window=window, hashes=hashes, tables=tables, probes=probes, dtype=torch.float64)
    )

    assert_agrees(layer, REFERENCE, x)
    assert_counts_as_promised(layer.float(), (tokens,))


@pytest.mark.parametrize("options", OPTIONS)
def test_counted_is_promised(options: dict[str, Any]) -> None:
    assert_counts_as_promised(built(torch.float32, **options))


@pytest.mark.parametrize("options", OPTIONS)
def test_gradients_are_those_of_finite_differences(options: dict[str, Any]) -> None:
    assert_gradients_are_those_of_finite_differences(built(**options))


@pytest.mark.parametrize("options", OPTIONS[:3])
def test_the_layer_keeps_the_habits_of_linear(options: dict[str, Any]) -> None:
    assert_habits(lambda **given: WinnerTakeAllMemory(5, 3, **options, **given))


@pytest.mark.parametrize("options", OPTIONS[:3])
def test_the_layer_compiles_and_exports(options: dict[str, Any]) -> None:
    assert_compiles_and_exports(built(torch.float32, **options))


def test_one_bucket_is_the_dense_layer_and_a_constant_row() -> None:
    layer, x = built(window=1, hashes=3, tables=1, probes=1), drawn(6, 5, dtype=torch.float64)

    assert (1, 3) == tuple(layer.table.shape)
    assert torch.equal(linear(x, layer.weight, layer.bias) + layer.table[0], layer(x))


def test_a_bucket_by_hand() -> None:
    layer = WinnerTakeAllMemory(5, 1, window=3, hashes=2, tables=1, probes=3)
    layer.windows.copy_(torch.tensor([[[0, 1, 2], [4, 3, 1]]]))

    rows = layer.rows(torch.tensor([[0.1, 0.9, 0.8, 0.2, 0.5]]))

    # The first hash sees .1 .9 .8, its winner is 1 and its runner-up 2, by .1; the second sees .5 .2 .9, winner 2 and
    # runner-up 0, by .4. Plain 1·3 + 2; the first flipped 2·3 + 2; the second flipped 1·3 + 0.
    assert [[5, 8, 3]] == rows.tolist()


def test_of_equal_features_the_first_wins_and_the_next_is_its_runner_up() -> None:
    layer = WinnerTakeAllMemory(4, 1, window=4, hashes=1, tables=1, probes=2)
    layer.windows.copy_(torch.arange(4).view(1, 1, 4))

    assert [[1, 2], [0, 1]] == layer.rows(torch.tensor([[0.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]])).tolist()


RISING: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "exponential": torch.exp,
    "cube": lambda x: x**3,
    "squashed": torch.tanh,
    "scaled and shifted": lambda x: 7 * x - 3,
}


@pytest.mark.parametrize("name", RISING)
def test_a_rising_transform_changes_no_hash(name: str) -> None:
    layer = WinnerTakeAllMemory(32, 1, window=8, hashes=3, tables=2, probes=1, dtype=torch.float64)
    x = drawn(50, 32, dtype=torch.float64)

    assert torch.equal(layer.rows(x), layer.rows(RISING[name](x)))
    assert not torch.equal(layer.rows(x), layer.rows(-x))


def test_scaling_changes_no_probe() -> None:
    layer = WinnerTakeAllMemory(32, 1, window=8, hashes=3, tables=2, probes=4, dtype=torch.float64)
    x = drawn(50, 32, dtype=torch.float64)

    assert torch.equal(layer.rows(x), layer.rows(8 * x))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), hashes=st.integers(1, 4))
def test_probes_are_distinct_and_the_first_is_the_plain_hash(seed: int, hashes: int) -> None:
    options: dict[str, Any] = {"window": 3, "hashes": hashes, "tables": 2, "seed": seed}
    probing, plain = (WinnerTakeAllMemory(6, 1, probes=probes, **options) for probes in (hashes + 1, 1))
    x = drawn(5, 6, seed=seed)

    rows = probing.rows(x).view(5, 2, hashes + 1)

    assert torch.equal(plain.rows(x), rows[:, :, 0])
    assert all(hashes + 1 == len(set(row.tolist())) for row in rows.flatten(0, 1))


def test_tokens_that_are_alike_share_more_buckets_than_others() -> None:
    layer = WinnerTakeAllMemory(64, 1, window=8, hashes=2, tables=20, probes=1)
    x, noise = drawn(50, 64), drawn(50, 64, seed=1)

    def shared(other: torch.Tensor) -> float:
        return float((layer.rows(x) == layer.rows(other)).float().mean())

    assert shared(x + 0.1 * noise) > 0.6
    assert shared(x + 0.1 * noise) > shared(x + noise) > shared(noise)
    # Of the 64 buckets of a stranger one is the same.
    assert pytest.approx(1 / 64, abs=0.015) == shared(noise)


def test_windows_are_distinct_features_fixed_by_the_seed() -> None:
    one, same, other = (WinnerTakeAllMemory(9, 1, window=5, seed=seed).windows for seed in (3, 3, 4))

    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert all(5 == len(set(window.tolist())) for window in one.flatten(0, 1))


def test_only_the_rows_of_a_batch_are_read_and_counted() -> None:
    layer, x = built(window=3, hashes=3), drawn(4, 5, dtype=torch.float64)
    outcome = layer.outcome(x)
    visits = layer.visits(outcome.decisions)
    read = torch.zeros(len(layer.table), dtype=torch.bool)
    read[outcome.decisions["row"].flatten()] = True

    with torch.no_grad():
        layer.table[~read] = torch.nan

    assert torch.equal(outcome.out, layer(x))
    assert (int(read.sum()), 4 * 2 * 2) == (visits["rows"], visits["lookups"])


def test_hashes_have_no_gradient() -> None:
    layer, x = built(window=3, hashes=2), drawn(4, 5, dtype=torch.float64).requires_grad_()

    layer(x).sum().backward()

    assert x.grad is not None
    assert torch.allclose(layer.weight.sum(0).expand(4, 5), x.grad)


def test_the_next_row_is_found_in_the_answer_and_in_the_decisions() -> None:
    layer, x = built(window=3, hashes=2), drawn(4, 5, dtype=torch.float64)
    outcome = layer.outcome(x)
    wrong = {"row": (outcome.decisions["row"] + 1) % len(layer.table)}
    assert wrong_decision(layer, REFERENCE, x, outcome.decisions) is None

    assert "the first probe is bucket" in str(wrong_decision(layer, REFERENCE, x, wrong))
    outcome.decisions.update(wrong)
    with pytest.raises(AssertionError):
        assert_close(expected_output(layer, REFERENCE, x, outcome), outcome.out)


def test_a_wrong_probe_is_found() -> None:
    layer = built(window=3, hashes=2, tables=1, probes=2)
    layer.windows.copy_(torch.tensor([[[0, 1, 2], [4, 3, 1]]]))
    x = torch.tensor([[0.1, 0.9, 0.8, 0.2, 0.5]], dtype=torch.float64)
    # As in the bucket by hand: 5, then 8, and only then 3.
    assert wrong_decision(layer, REFERENCE, x, {"row": torch.tensor([[5, 8]])}) is None

    for second, sentence in ((3, "margin is not the next smallest"), (5, "not distinct"), (7, "flips no single hash")):
        found = wrong_decision(layer, REFERENCE, x, {"row": torch.tensor([[5, second]])})
        assert sentence in str(found)


def test_margins_that_tie_are_taken_in_either_order() -> None:
    layer = built(window=3, hashes=2, tables=1, probes=2)
    layer.windows.copy_(torch.tensor([[[0, 1, 2], [4, 3, 1]]]))
    x = torch.tensor([[0.1, 0.9, 0.8, 0.2, 0.8]], dtype=torch.float64)

    for second in (8, 3):
        assert wrong_decision(layer, REFERENCE, x, {"row": torch.tensor([[5, second]])}) is None


def test_under_autocast_the_output_has_its_dtype() -> None:
    layer, x = built(torch.float32, window=3), drawn(3, 5)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(x)

    assert torch.bfloat16 == out.dtype


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(InputError, match="window=8 of in_features=5"):
        WinnerTakeAllMemory(5, 3)
    with pytest.raises(InputError, match="at most 62 bits: give at most 15 hashes"):
        WinnerTakeAllMemory(256, 256, window=16, hashes=20)
    with pytest.raises(InputError, match="backend='fast' is not known"):
        WinnerTakeAllMemory(16, 3, backend="fast")
