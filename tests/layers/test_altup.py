"""The measured layer of alternating updates agrees with its reference in every form, and costs what is promised."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from capratio.cost import closed_form
from capratio.errors import InputError
from capratio.layers.alternating_updates import AltUp
from capratio.layers.altup import AltUpFeedforward
from capratio.layers.dense_feedforward import DenseFeedforward
from capratio.sweep.references.altup import AltUpReference
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

REFERENCE = AltUpReference()
OPTIONS: list[dict[str, Any]] = [
    {},
    {"blocks": 1},
    {"blocks": 3, "place": 4},
    {"form": "same", "blocks": 3},
    {"form": "recycled"},
    {"form": "recycled", "blocks": 3, "place": 2},
    {"form": "sequence"},
    {"form": "sequence", "stride": 1},
    {"form": "sequence", "stride": 3},
    {"form": "sequence", "stride": 9},
]


def built(dtype: torch.dtype = torch.float64, size: int = 6, **options: Any) -> AltUpFeedforward:
    return redrawn(AltUpFeedforward(size, size, hidden=7, dtype=dtype, **options))


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("tokens", [0, 1, 7])
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_outputs_and_gradients_are_those_of_the_reference(
    dtype: torch.dtype, tokens: int, options: dict[str, Any]
) -> None:
    assert_agrees(built(dtype, **options), REFERENCE, drawn(tokens, 6, dtype=dtype))


@settings(max_examples=30, deadline=None)
@given(
    form=st.sampled_from(["alternating", "same", "recycled"]),
    sizes=st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 7)),
    place=st.integers(0, 9),
    tokens=st.integers(0, 5),
)
def test_blocks_of_any_size_agree_with_the_reference(
    form: str, sizes: tuple[int, int, int], place: int, tokens: int
) -> None:
    width, blocks, hidden = sizes
    size = width if form == "recycled" else width * blocks
    options = {"form": form, "blocks": blocks, "hidden": hidden, "place": 0 if form == "same" else place}
    layer = redrawn(AltUpFeedforward(size, size, dtype=torch.float64, **options))  # type: ignore[arg-type]

    assert_agrees(layer, REFERENCE, drawn(tokens, size, dtype=torch.float64))
    assert_counts_as_promised(layer.float(), (tokens,))


@settings(max_examples=20, deadline=None)
@given(size=st.integers(1, 5), stride=st.integers(1, 6), tokens=st.integers(0, 13))
def test_sequences_of_any_size_agree_with_the_reference(size: int, stride: int, tokens: int) -> None:
    layer = redrawn(AltUpFeedforward(size, size, hidden=3, form="sequence", stride=stride, dtype=torch.float64))

    assert_agrees(layer, REFERENCE, drawn(tokens, size, dtype=torch.float64))
    assert_counts_as_promised(layer.float(), (tokens,))


@pytest.mark.parametrize("options", OPTIONS)
def test_gradients_are_those_of_finite_differences(options: dict[str, Any]) -> None:
    assert_gradients_are_those_of_finite_differences(built(**options))


@pytest.mark.parametrize("options", OPTIONS)
def test_counted_is_promised(options: dict[str, Any]) -> None:
    assert_counts_as_promised(built(torch.float32, **options))


@pytest.mark.parametrize("options", [{}, {"form": "recycled"}, {"form": "sequence"}])
def test_the_layer_keeps_the_habits_of_linear(options: dict[str, Any]) -> None:
    assert_habits(lambda **given: AltUpFeedforward(6, 6, hidden=7, **options, **given))


@pytest.mark.parametrize("options", [{"blocks": 3, "place": 1}, {"form": "recycled"}, {"form": "sequence"}])
def test_the_layer_compiles_and_exports(options: dict[str, Any]) -> None:
    # torch.export takes 0 and 1 of anything for sizes of their own, so that it wants two anchors.
    assert_compiles_and_exports(built(torch.float32, **options), 3 if "form" in options else 2)


def test_a_layer_begins_as_the_network_itself() -> None:
    for options in ({}, {"form": "recycled", "blocks": 1}, {"form": "sequence", "stride": 1}):
        layer = AltUpFeedforward(6, 6, hidden=7, dtype=torch.float64, **options)  # type: ignore[arg-type]
        network = next(module for module in layer.modules() if isinstance(module, DenseFeedforward))
        x = drawn(4, 6, dtype=torch.float64)

        expected = network(x[:, :3]) if not options else network(x)

        assert_close(expected, layer(x)[:, : expected.shape[1]])


@pytest.mark.parametrize("form, computed", [("alternating", 4), ("sequence", 2)])
def test_visits_are_what_the_network_computes(form: str, computed: int) -> None:
    layer, x = built(form=form), drawn(4, 6, dtype=torch.float64)

    visits = layer.visits(layer.outcome(x).decisions)

    assert (4, computed) == (visits.tokens, visits["computed"])
    assert visits.counts == layer.spec.expected_counts(4)


def test_parameters_against_a_dense_network_of_the_whole_width() -> None:
    # Four blocks: a sixteenth of the product, of the parameters, and so the same parameters for each FLOP of it.
    updated = AltUpFeedforward(64, 64, hidden=32, blocks=4)
    dense = DenseFeedforward(64, 128)

    weights = dense.weight_in.numel() + dense.weight_out.numel()
    assert weights == 16 * updated.spec.weight_parameters
    assert 2 * weights == 16 * closed_form(updated.spec).flop.product


def test_another_block_is_found_in_the_answer() -> None:
    layer, x = built(blocks=3, place=1), drawn(4, 6, dtype=torch.float64)
    assert isinstance(layer.updates, AltUp)

    layer.updates.computed_block = 2

    with pytest.raises(AssertionError):
        assert_close(expected_output(layer, REFERENCE, x, layer.outcome(x)), layer(x))


def test_a_token_that_is_no_anchor_is_found() -> None:
    layer, x = built(form="sequence", stride=3), drawn(7, 6, dtype=torch.float64)
    computed = layer.outcome(x).decisions["computed"]
    assert [True, False, False, True, False, False, True] == computed.tolist()

    found = wrong_decision(layer, REFERENCE, x, {"computed": computed.roll(-1)})

    assert "token 0 is not computed with a stride of 3" == found


def test_under_autocast_the_output_has_its_dtype() -> None:
    for form in ("alternating", "recycled", "sequence"):
        layer = built(torch.float32, form=form)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = layer(drawn(3, 6))
        assert torch.bfloat16 == out.dtype


def test_a_wrong_input_is_refused() -> None:
    layer = built(torch.float32)

    with pytest.raises(InputError, match="its last dimension must be the layer's in_features=6"):
        layer(drawn(2, 3))
    with pytest.raises(InputError, match="a token comes out as wide as it goes in"):
        AltUpFeedforward(6, 5)
    with pytest.raises(InputError, match="backend='fast' is not known"):
        AltUpFeedforward(6, 6, backend="fast")
