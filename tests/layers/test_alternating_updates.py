"""The wrappers of alternating updates hold the paper's identities around any layer."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from capratio.errors import InputError
from capratio.layers.alternating_updates import AltUp, RecycledAltUp, SequenceAltUp, replicate_blocks, sum_blocks
from tests.layers.system_checks import drawn

# Any layer of width 6 will do.
WRAPPED: dict[str, nn.Module] = {
    "linear": nn.Linear(6, 6),
    "norm": nn.LayerNorm(6),
    "network": nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 6)),
}


class Seen(nn.Module):
    """A layer that keeps what it was given, and scales it."""

    def forward(self, x: torch.Tensor, scale: float = 2.0) -> torch.Tensor:
        self.given = x
        return x * scale


@pytest.mark.parametrize("name", WRAPPED)
@pytest.mark.parametrize("blocks, place", [(1, 0), (2, 0), (2, 1), (3, 4)])
@pytest.mark.parametrize("choice", ["alternating", "same"])
def test_equal_blocks_come_out_as_the_wrapped_layers_own_output(
    name: str, blocks: int, place: int, choice: str
) -> None:
    wrapped, x = WRAPPED[name].double(), drawn(2, 5, 6, dtype=torch.float64)
    updates = AltUp(wrapped, 6, blocks=blocks, choice=choice, place=place, dtype=torch.float64)

    out = updates(replicate_blocks(x, blocks)).unflatten(-1, (blocks, 6))

    for block in range(blocks):
        # All blocks take the same steps.
        assert torch.equal(out[..., 0, :], out[..., block, :])
        assert torch.allclose(wrapped(x), out[..., block, :], rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", WRAPPED)
@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_a_recycled_network_of_several_layers_is_the_narrow_one_but_for_the_number_of_blocks(
    name: str, blocks: int
) -> None:
    layers = [WRAPPED[name].double(), nn.Linear(6, 6, dtype=torch.float64)]
    x = drawn(4, 6, dtype=torch.float64)
    updates = [AltUp(layer, 6, blocks=blocks, place=place, dtype=torch.float64) for place, layer in enumerate(layers)]

    out = RecycledAltUp(nn.Sequential(*updates), blocks)(x)

    assert torch.allclose(nn.Sequential(*layers)(x), out / blocks, rtol=0, atol=1e-14)


@pytest.mark.parametrize("choice, there", [("alternating", 1), ("same", 0)])
def test_at_first_every_block_predicts_itself_and_takes_the_whole_correction(choice: str, there: int) -> None:
    layer, x = nn.Linear(6, 6).double(), drawn(5, 3, 6, dtype=torch.float64)

    out = AltUp(layer, 6, blocks=3, choice=choice, place=4, dtype=torch.float64)(x.flatten(1)).view(5, 3, 6)

    assert torch.allclose(layer(x[:, there]), out[:, there])
    assert torch.allclose(x + (layer(x[:, there]) - x[:, there]).unsqueeze(1), out)


def test_at_first_every_token_of_a_sequence_predicts_itself_and_takes_the_whole_correction() -> None:
    layer, x = nn.Linear(6, 6).double(), drawn(7, 6, dtype=torch.float64)

    out = SequenceAltUp(layer, stride=3, dtype=torch.float64)(x)

    for token in range(7):
        anchor = x[token - token % 3]
        assert torch.allclose(x[token] + layer(anchor) - anchor, out[token])


@settings(max_examples=30, deadline=None)
@given(blocks=st.integers(1, 4), place=st.integers(0, 7), choice=st.sampled_from(["alternating", "same"]))
def test_each_block_is_predicted_and_corrected(blocks: int, place: int, choice: str) -> None:
    updates = AltUp(nn.Linear(3, 3), 3, blocks=blocks, choice=choice, place=place).double()
    with torch.no_grad():
        for parameter in (updates.prediction, updates.correction):
            parameter.copy_(drawn(*parameter.shape, dtype=torch.float64))
        x = drawn(blocks * 3, dtype=torch.float64, seed=1)

        out = updates(x)

        there = place % blocks if choice == "alternating" else 0
        given_out = updates.wrapped(x[3 * there : 3 * there + 3])
        predicted = [
            sum(float(updates.prediction[i, j]) * x[3 * j : 3 * j + 3] for j in range(blocks)) for i in range(blocks)
        ]
        for i in range(blocks):
            expected = predicted[i] + float(updates.correction[i]) * (given_out - predicted[there])
            assert torch.allclose(expected, out[3 * i : 3 * i + 3])


def test_the_block_alternates_with_the_layers_place() -> None:
    x = drawn(4, 6)

    for place, block in ((0, 0), (1, 1), (2, 2), (3, 0)):
        seen = Seen()
        AltUp(seen, 2, blocks=3, place=place)(x)
        assert torch.equal(x[:, 2 * block : 2 * block + 2], seen.given)


def test_same_computes_the_first_block_at_every_place() -> None:
    seen, x = Seen(), drawn(4, 6)

    AltUp(seen, 2, blocks=3, choice="same", place=2)(x)

    assert torch.equal(x[:, :2], seen.given)


@pytest.mark.parametrize("name", WRAPPED)
def test_a_sequence_of_stride_one_is_the_wrapped_layer(name: str) -> None:
    wrapped, x = WRAPPED[name].double(), drawn(2, 5, 6, dtype=torch.float64)

    out = SequenceAltUp(wrapped, stride=1, dtype=torch.float64)(x)

    assert torch.allclose(wrapped(x), out, rtol=0, atol=1e-14)


@pytest.mark.parametrize("tokens", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("stride", [1, 2, 3, 8])
def test_the_wrapped_layer_sees_the_anchors_alone(tokens: int, stride: int) -> None:
    seen, x = Seen(), drawn(2, tokens, 6)

    SequenceAltUp(seen, stride=stride)(x)

    assert torch.equal(x[:, ::stride], seen.given)


def test_each_token_of_a_sequence_is_corrected_by_its_anchor() -> None:
    updates, x = SequenceAltUp(nn.Linear(6, 6), stride=3).double(), drawn(7, 6, dtype=torch.float64)
    with torch.no_grad():
        updates.prediction.copy_(torch.tensor([0.7, -0.4]))
        updates.correction.fill_(1.3)

        out = updates(x)

        for token in range(7):
            anchor = x[3 * (token // 3)]
            guess = 0.7 * x[token] - 0.4 * anchor
            expected = guess + 1.3 * (updates.wrapped(anchor) - (0.7 - 0.4) * anchor)
            assert torch.allclose(expected, out[token], rtol=1e-6)


def test_an_attention_over_anchors_is_its_own_sequence() -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attend = nn.MultiheadAttention(6, 2, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.attend(x, x, x)[0]
            return out

    attention, x = Attention(), drawn(2, 6, 6)

    out = SequenceAltUp(attention, stride=2)(x)

    assert torch.allclose(attention(x[:, ::2]), out[:, ::2], atol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda wrapped: AltUp(wrapped, 3),
        lambda wrapped: RecycledAltUp(AltUp(wrapped, 6), 2),
        lambda wrapped: SequenceAltUp(wrapped),
    ],
)
def test_what_the_wrapped_layer_takes_beside_its_input_is_passed_on(make: Any) -> None:
    seen, x = Seen(), drawn(4, 6)

    assert not torch.equal(make(seen)(x, scale=3.0), make(seen)(x))


def test_blocks_that_are_replicated_and_summed_are_so_many_times_the_token() -> None:
    x = drawn(2, 3, 4)

    wide = replicate_blocks(x, 3)

    assert torch.equal(torch.cat([x, x, x], -1), wide)
    assert torch.allclose(3 * x, sum_blocks(wide, 3))


def test_a_reset_begins_anew_and_leaves_the_wrapped_layer() -> None:
    wrapped = nn.Linear(3, 3)
    weight = wrapped.weight.clone()
    for updates in (AltUp(wrapped, 3, blocks=2), SequenceAltUp(wrapped)):
        first = {name: value.clone() for name, value in updates.state_dict().items()}
        with torch.no_grad():
            updates.prediction.zero_()
            updates.correction.zero_()

        updates.reset_parameters()

        assert all(torch.equal(first[name], value) for name, value in updates.state_dict().items())
    assert torch.equal(weight, wrapped.weight)


@pytest.mark.parametrize(
    "given, sentence",
    [
        ({"width": 0}, "width=0, blocks=2 and place=0; give at least 1, 1 and 0"),
        ({"blocks": 0}, "blocks=0"),
        ({"place": -1}, "place=-1"),
        ({"width": 3.0}, r"AltUp was given width=3\.0; it must be an integer"),
        ({"choice": "random"}, "choice='random'; it must be one of alternating, same"),
    ],
)
def test_what_cannot_wrap_is_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        AltUp(nn.Identity(), **{"width": 3, **given})


def test_copies_of_no_block_are_refused() -> None:
    with pytest.raises(InputError, match="RecycledAltUp was given blocks=0; it must be at least 1"):
        RecycledAltUp(nn.Identity(), 0)


def test_a_stride_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="stride=0; it must be at least 1"):
        SequenceAltUp(nn.Identity(), stride=0)


class Named(nn.Module):
    """A layer that gives no tensor."""

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"out": x}


@pytest.mark.parametrize(
    ("layer", "shape", "sentence"),
    [
        # Without a check the one feature would be broadcast over all.
        (AltUp(nn.Linear(4, 1), 4), (2, 8), r"AltUp wraps made \(2, 1\) of \(2, 4\); it must give back as many"),
        (AltUp(nn.Linear(4, 8), 4), (2, 8), r"AltUp wraps made \(2, 8\) of \(2, 4\)"),
        (AltUp(Named(), 4), (2, 8), "AltUp wraps gave a dict; it must give one tensor"),
        (AltUp(nn.Linear(4, 4), 4), (2, 9), r"x has shape \(2, 9\); its last dimension must be .*=8\."),
        (AltUp(nn.Linear(4, 4), 4), (), r"x has shape \(\)"),
        (
            RecycledAltUp(AltUp(nn.Linear(4, 4), 4, blocks=3), 2),
            (2, 4),
            r"x has shape \(2, 8\); its last dimension must be .*=12\.",
        ),
        (RecycledAltUp(nn.Linear(8, 4), 2), (2, 4), r"RecycledAltUp wraps made \(2, 4\) of \(2, 8\)"),
        (SequenceAltUp(nn.Linear(4, 1)), (3, 4), r"SequenceAltUp wraps made \(2, 1\) of \(2, 4\)"),
        (SequenceAltUp(nn.Linear(4, 4)), (4,), r"SequenceAltUp was given x of shape \(4,\); give a sequence"),
    ],
)
def test_what_does_not_fit_is_refused_and_never_broadcast(
    layer: nn.Module, shape: tuple[int, ...], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        layer(torch.zeros(shape))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_scalars_are_of_the_wrapped_layers_dtype_and_so_is_the_output(dtype: torch.dtype) -> None:
    def own() -> nn.Module:
        return nn.Linear(4, 4, dtype=dtype)

    wide = nn.Sequential(AltUp(own(), 4), AltUp(own(), 4, place=1))

    assert dtype == wide(torch.ones(3, 8, dtype=dtype)).dtype
    assert dtype == SequenceAltUp(own())(torch.ones(3, 4, dtype=dtype)).dtype
    with pytest.raises(InputError, match=f"x is torch.float32 and the layer's weights are {dtype}"):
        wide(torch.ones(3, 8))
    with pytest.raises(InputError, match=f"x is torch.float32 and the layer's weights are {dtype}"):
        SequenceAltUp(own())(torch.ones(3, 4))


def test_under_autocast_outputs_have_its_dtype() -> None:
    wide = nn.Sequential(AltUp(nn.Linear(4, 4), 4), AltUp(nn.Linear(4, 4), 4, place=1))

    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.bfloat16 == wide(torch.ones(3, 8)).dtype
        assert torch.bfloat16 == SequenceAltUp(nn.Linear(4, 4))(torch.ones(3, 4)).dtype


def test_an_integer_parameter_of_the_wrapped_layer_gives_no_dtype() -> None:
    class Scaled(nn.Module):
        """Weights of integers with a scale, as quantised layers hold them."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(4, 4, dtype=torch.int8), requires_grad=False)
            self.scale = nn.Parameter(torch.ones((), dtype=torch.float64))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ (self.weight * self.scale)

    assert torch.float64 == AltUp(Scaled(), 4)(torch.ones(3, 8, dtype=torch.float64)).dtype
