"""The product-key memory reads the highest of all pairs of sub-keys, and costs what is promised."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from capratio.errors import InputError
from capratio.layers.product_key import ProductKeyMemory
from capratio.sweep.references.product_key import ProductKeyReference
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

REFERENCE = ProductKeyReference()
OPTIONS: list[dict[str, Any]] = [
    {"heads": 2, "keys": 5, "top_k": 3, "key_features": 4},
    {"heads": 1, "keys": 7, "top_k": 1, "key_features": 3},
    {"heads": 3, "keys": 3, "top_k": 3, "key_features": 1},
    {"heads": 1, "keys": 1, "top_k": 1, "key_features": 2},
]


def built(dtype: torch.dtype = torch.float64, **options: Any) -> ProductKeyMemory:
    return redrawn(ProductKeyMemory(5, 3, dtype=dtype, **options))


def all_scores(layer: ProductKeyMemory, x: torch.Tensor) -> torch.Tensor:
    """Of each token and head, the product of the whole query with all keys² whole keys: (N, heads, keys²)."""
    spec = layer.spec
    queries = (x @ layer.query.T).view(len(x), spec.heads, 2 * spec.key_features)
    tables = []
    for left, right in layer.sub_keys:
        tables.append(torch.stack([torch.cat([a, b]) for a in left for b in right]))
    return torch.einsum("nhf,hrf->nhr", queries, torch.stack(tables))


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("tokens", [0, 1, 7])
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_outputs_and_gradients_are_those_of_the_reference(
    dtype: torch.dtype, tokens: int, options: dict[str, Any]
) -> None:
    assert_agrees(built(dtype, **options), REFERENCE, drawn(tokens, 5, dtype=dtype))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_layer_of_any_size_reads_the_highest_of_all_keys(data: st.DataObject) -> None:
    p, q, heads, keys, features = (data.draw(st.integers(1, most)) for most in (6, 6, 3, 9, 4))
    tokens, top_k = data.draw(st.integers(0, 5)), data.draw(st.integers(1, keys))
    layer = redrawn(
        ProductKeyMemory(p, q, heads=heads, keys=keys, top_k=top_k, key_features=features, dtype=torch.float64)
    )
    x = drawn(tokens, p, dtype=torch.float64, seed=data.draw(st.integers(0, 99)))

    rows = layer.outcome(x).decisions["rows"].view(tokens, heads, top_k)

    # The paper's exactness: the search by halves finds what a search among all keys² keys finds.
    scores = all_scores(layer, x)
    assert torch.equal(scores.topk(top_k, 2).indices, rows)
    assert_agrees(layer, REFERENCE, x)
    assert_counts_as_promised(layer.float(), (tokens,))


def test_the_output_is_the_softmax_over_the_chosen_of_all_keys() -> None:
    layer, x = built(heads=2, keys=6, top_k=4, key_features=3), drawn(9, 5, dtype=torch.float64)

    scores = all_scores(layer, x)
    left_out = scores < scores.topk(4, 2).values[:, :, -1:]
    shares = scores.masked_fill(left_out, -torch.inf).softmax(2)

    assert torch.allclose((shares @ layer.values).sum(1), layer(x))


def test_a_half_whose_sub_keys_are_alike_leaves_the_choice_to_the_other() -> None:
    layer, x = built(heads=1, keys=4, top_k=1, key_features=3), drawn(9, 5, dtype=torch.float64)
    with torch.no_grad():
        layer.sub_keys[0, 1] = layer.sub_keys[0, 1, 0]

    scores = (x @ layer.query.T)[:, :3] @ layer.sub_keys[0, 0].T

    assert torch.equal(scores.argmax(1), layer.outcome(x).decisions["rows"][:, 0] // 4)


def test_one_value_is_a_constant_of_every_head() -> None:
    layer = built(heads=3, keys=1, top_k=1)

    assert torch.allclose(3 * layer.values.expand(6, 3), layer(drawn(6, 5, dtype=torch.float64)))


def test_a_memory_by_hand() -> None:
    layer = ProductKeyMemory(2, 1, heads=1, keys=2, top_k=2, key_features=1, dtype=torch.float64)
    with torch.no_grad():
        layer.query.copy_(torch.eye(2))
        layer.sub_keys.copy_(torch.tensor([[[[1.0], [3.0]], [[2.0], [1.0]]]]))
        layer.values.copy_(torch.tensor([[1.0], [10.0], [100.0], [1000.0]]))

    outcome = layer.outcome(torch.tensor([[1.0, 1.9]], dtype=torch.float64))

    # The first half scores 1 and 3, the second 3.8 and 1.9: the pairs 4.8, 2.9, 6.8 and 4.9.
    share = 1 / (1 + torch.exp(torch.tensor(4.9 - 6.8, dtype=torch.float64)))
    assert [[2, 3]] == outcome.decisions["rows"].tolist()
    assert torch.allclose(share * 100 + (1 - share) * 1000, outcome.out)


@pytest.mark.parametrize("weight_gradient", ["dense", "touched"])
@pytest.mark.parametrize("options", OPTIONS)
def test_counted_is_promised(options: dict[str, Any], weight_gradient: str) -> None:
    assert_counts_as_promised(built(torch.float32, weight_gradient=weight_gradient, **options))


@pytest.mark.parametrize("options", OPTIONS)
def test_gradients_are_those_of_finite_differences(options: dict[str, Any]) -> None:
    assert_gradients_are_those_of_finite_differences(built(**options))


@pytest.mark.parametrize("options", OPTIONS[:2])
def test_the_layer_keeps_the_habits_of_linear(options: dict[str, Any]) -> None:
    assert_habits(lambda **given: ProductKeyMemory(5, 3, **options, **given))


@pytest.mark.parametrize("options", OPTIONS[:2])
def test_the_layer_compiles_and_exports(options: dict[str, Any]) -> None:
    assert_compiles_and_exports(built(torch.float32, **options))


def test_a_touched_gradient_is_that_of_the_values_that_were_read() -> None:
    options, x = OPTIONS[0], drawn(4, 5, dtype=torch.float64)
    dense, touched = built(**options), built(weight_gradient="touched", **options)
    rows = touched.outcome(x).decisions["rows"]

    for layer in (dense, touched):
        layer(x).sum().backward()

    assert dense.values.grad is not None
    assert touched.values.grad is not None
    assert torch.equal(torch.unique(rows), touched.values.grad.coalesce().indices()[0])
    assert torch.allclose(dense.values.grad, touched.values.grad.to_dense())


def test_only_the_values_of_a_batch_are_read_and_counted() -> None:
    layer, x = built(**OPTIONS[0]), drawn(2, 5, dtype=torch.float64)
    outcome = layer.outcome(x)
    read = torch.zeros(25, dtype=torch.bool)
    read[outcome.decisions["rows"].flatten()] = True

    with torch.no_grad():
        layer.values[~read] = torch.nan

    assert torch.equal(outcome.out, layer(x))
    assert int(read.sum()) == layer.visits(outcome.decisions)["rows"] < 25


def test_a_direction_of_a_single_head_leads_to_its_value() -> None:
    layer = redrawn(ProductKeyMemory(64, 3, heads=1, keys=4, top_k=2, key_features=32, dtype=torch.float64))
    directions, x = layer.routing_directions(), drawn(50, 64, dtype=torch.float64)
    assert directions is not None

    assert torch.equal((x @ directions.T).topk(2, 1).indices, layer.outcome(x).decisions["rows"])
    assert list(range(16)) == layer.outcome(directions).decisions["rows"][:, 0].tolist()
    assert 2 == layer.choices
    assert built(**OPTIONS[0]).routing_directions() is None


def test_the_next_value_is_found_in_the_answer_and_in_the_decisions() -> None:
    layer, x = built(**OPTIONS[0]), drawn(4, 5, dtype=torch.float64)
    outcome = layer.outcome(x)
    wrong = {"rows": (outcome.decisions["rows"] + 1) % 25}
    assert wrong_decision(layer, REFERENCE, x, outcome.decisions) is None

    assert "is not among its 3 highest" in str(wrong_decision(layer, REFERENCE, x, wrong))
    outcome.decisions.update(wrong)
    with pytest.raises(AssertionError):
        assert_close(expected_output(layer, REFERENCE, x, outcome), outcome.out)


@pytest.mark.parametrize(("planted", "sentence"), [(25, "not 3 of 0 to 24"), (-1, "not 3 of 0 to 24")])
def test_a_value_outside_of_the_memory_or_read_twice_is_found(planted: int, sentence: str) -> None:
    layer, x = built(**OPTIONS[0]), drawn(4, 5, dtype=torch.float64)
    rows = layer.outcome(x).decisions["rows"]
    outside, twice = rows.clone(), rows.clone()
    outside[2, 4], twice[2, 4] = planted, twice[2, 3]

    for wrong in (outside, twice):
        assert sentence in str(wrong_decision(layer, REFERENCE, x, {"rows": wrong}))


def test_scores_that_tie_are_taken_in_either_order() -> None:
    layer, x = built(heads=1, keys=2, top_k=1, key_features=1), drawn(1, 5, dtype=torch.float64)
    with torch.no_grad():
        layer.sub_keys[0, 1] = 1

    right = int(layer.outcome(x).decisions["rows"])

    for row in (right, right ^ 1):
        assert wrong_decision(layer, REFERENCE, x, {"rows": torch.tensor([[row]])}) is None
    assert wrong_decision(layer, REFERENCE, x, {"rows": torch.tensor([[right ^ 2]])})


def test_parameters_begin_as_the_authors_draw_them() -> None:
    torch.manual_seed(3)
    layer = ProductKeyMemory(64, 100, heads=2, keys=32, key_features=16)

    assert pytest.approx(0.1, rel=0.05) == layer.values.std().item()
    assert pytest.approx(1 / 4, rel=0.05) == layer.sub_keys.abs().max().item()
    assert pytest.approx(1 / 8, rel=0.05) == layer.query.abs().max().item()


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(InputError, match="top_k=9 of keys=8; choose at most all"):
        ProductKeyMemory(5, 3, keys=8, top_k=9)
    with pytest.raises(InputError, match="heads=0; it must be at least 1"):
        ProductKeyMemory(5, 3, heads=0)
    with pytest.raises(InputError, match="more than any memory"):
        ProductKeyMemory(256, 2**20, keys=2**22)
    with pytest.raises(InputError, match="weight_gradient='sparse'"):
        ProductKeyMemory(5, 3, weight_gradient="sparse")
