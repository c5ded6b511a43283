"""Parameters, touched and expected touched, by hand, by simulation, and within bounds."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capratio.cost import LayerSpec, VisitedNodes, expected_touched_parameters, touched_parameters
from capratio.cost.parameters import parameters, touched_weight_parameters
from capratio.cost.spec import FORMS_OF, GATES_OF, LAYERS, one_token
from capratio.errors import InputError

TREES = [layer for layer in LAYERS if layer.startswith("tree-")]
FORMS = FORMS_OF["tree-shared"]


# p = 3, q = 2, k = 2, three tokens with the bits 00, 01, 00: four nodes and two leaves are visited; the bias has 2
# elements.
@pytest.mark.parametrize(
    "layer, form, levels, touched",
    [
        ("tree-shared", "path", (1, 1, 2), 4 * 6 + 2),
        ("tree-shared", "collapsed", (1, 1, 2), 2 * 6 + 2),
        ("tree-unit", "path", (3, 3, 6), 12 * 2 + 2),
        ("tree-unit", "collapsed", (3, 3, 6), 6 * 2 + 2),
        ("tree-bias", "path", (1, 1, 2), 6 + 4 * 2 + 2),
        ("tree-bias", "collapsed", (1, 1, 2), 6 + 2 * 2 + 2),
    ],
)
def test_touched_parameters_by_hand(layer: str, form: str, levels: tuple[int, ...], touched: int) -> None:
    spec = LayerSpec(layer, 3, 2, 2, form)

    assert touched == touched_parameters(spec, VisitedNodes(3, levels))
    assert touched - 2 == touched_weight_parameters(spec, VisitedNodes(3, levels))


def test_dense_touches_all_it_has_whatever_the_batch() -> None:
    spec = LayerSpec("dense", 3, 2)

    assert 8 == parameters(spec) == touched_parameters(spec, VisitedNodes(7, (1,)))


@pytest.mark.parametrize(
    "layer, gate", [("tree-shared", "hyperplanes"), ("tree-bias", "hyperplanes"), ("tree-unit", "thresholds")]
)
def test_gate_parameters_are_always_touched(layer: str, gate: str) -> None:
    signs, learned = LayerSpec(layer, 3, 2, 2), LayerSpec(layer, 3, 2, 2, gate=gate)

    assert parameters(signs) + 6 == parameters(learned)
    assert touched_parameters(signs, one_token(signs)) + 6 == touched_parameters(learned, one_token(learned))


@pytest.mark.parametrize("layer", LAYERS)
def test_no_tokens_touch_nothing(layer: str) -> None:
    depth = 0 if layer == "dense" else 2
    spec = LayerSpec(layer, 3, 2, depth, gate=GATES_OF[layer][0])

    assert 0 == touched_parameters(spec, VisitedNodes(0, (0,) * (depth + 1)))
    assert 0.0 == expected_touched_parameters(spec, 0)


def test_expected_touched_parameters_by_hand() -> None:
    # Two tokens, k = 2: the root; level 1: 2 (1 - 1/4) = 3/2 nodes; level 2: 4 (1 - 9/16) = 7/4 leaves. Matrices of 6,
    # bias 2.
    path, collapsed = LayerSpec("tree-shared", 3, 2, 2), LayerSpec("tree-shared", 3, 2, 2, "collapsed")

    assert pytest.approx((1 + 1.5 + 1.75) * 6 + 2, rel=1e-14) == expected_touched_parameters(path, 2)
    assert pytest.approx(1.75 * 6 + 2, rel=1e-14) == expected_touched_parameters(collapsed, 2)


def test_expected_touched_parameters_are_the_mean_over_uniform_batches() -> None:
    spec, tokens, draw = LayerSpec("tree-shared", 1, 1, 4, bias=False), 12, random.Random(5)
    samples = []
    for _ in range(4000):
        leaves = [draw.randrange(16) for _ in range(tokens)]
        levels = tuple(len({leaf >> (4 - level) for leaf in leaves}) for level in range(5))
        samples.append(touched_parameters(spec, VisitedNodes(tokens, levels)))

    mean = sum(samples) / len(samples)

    # A batch's count has a standard deviation under 2, so the mean of 4000 has one under 0.032; 0.16 is five of them.
    assert abs(mean - expected_touched_parameters(spec, tokens)) < 0.16


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layer", TREES)
@pytest.mark.parametrize("depth", [0, 1, 8, 62])
def test_one_token_is_expected_to_touch_what_it_touches(layer: str, form: str, depth: int) -> None:
    spec = LayerSpec(layer, 3, 2, depth, form)

    expected = touched_parameters(spec, one_token(spec))

    assert pytest.approx(expected, rel=1e-12) == expected_touched_parameters(spec, 1)


def test_a_negative_batch_is_refused() -> None:
    with pytest.raises(InputError, match="-1 tokens were given"):
        expected_touched_parameters(LayerSpec("dense", 3, 2), -1)


@given(
    layer=st.sampled_from(TREES),
    form=st.sampled_from(FORMS),
    depth=st.integers(0, 10),
    tokens=st.integers(0, 5000),
)
def test_expected_touched_parameters_rise_with_tokens_up_to_all(layer: str, form: str, depth: int, tokens: int) -> None:
    spec = LayerSpec(layer, 3, 2, depth, form)

    fewer, more = expected_touched_parameters(spec, tokens), expected_touched_parameters(spec, tokens + 1)

    assert fewer <= more * (1 + 1e-12)
    assert more <= parameters(spec) * (1 + 1e-12)
