"""expert_feedforward equals a plain loop over tokens in float64, and so do its gradients, whichever backend runs."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck
from torch.nn.functional import gelu, silu

from capratio.errors import InputError
from capratio.kernels.expert_feedforward import expert_feedforward

CURVES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": torch.relu,
    "gelu": gelu,
    "geglu": gelu,
    "swiglu": silu,
}
GATED = ("geglu", "swiglu")
BACKENDS = ("reference", "cpu", "grouped-mm")
# Of the largest result: the oracle has the same inputs, so that what is left is rounding; grouped-mm multiplies half
# types, and rounds what lies between its products to them.
TOLERANCES = {torch.float64: 1e-13, torch.float32: 3e-6, torch.bfloat16: 2e-2, torch.float16: 3e-3}
# Tokens, inputs, outputs, hidden, experts, choices: none, one, odd widths under a set of rows, so few tokens that
# matrices are cut into blocks, whole tiles of panels wide and narrow, more experts than assignments, none to choose.
SHAPES = (
    (0, 4, 4, 4, 2, 2),
    (1, 8, 4, 12, 4, 2),
    (9, 5, 3, 7, 4, 2),
    (40, 24, 20, 132, 2, 1),
    (300, 20, 28, 100, 4, 2),
    (3, 8, 8, 8, 40, 3),
    (3, 8, 8, 8, 4, 0),
)

Given = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def drawn(*shape: int, dtype: torch.dtype, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def chosen(experts: int, *shape: int, seed: int = 4) -> torch.Tensor:
    return torch.randint(-1, experts, shape, generator=torch.Generator().manual_seed(seed))


def arguments(shape: tuple[int, ...], activation: str, dtype: torch.dtype) -> Given:
    """Tokens, both tables, experts of which some are none, and shares."""
    tokens, p, q, hidden, experts, choices = shape
    rows = 2 * hidden if activation in GATED else hidden
    return (
        drawn(tokens, p, dtype=dtype, seed=0),
        drawn(experts, rows, p, dtype=dtype, seed=1) / p**0.5,
        drawn(experts, q, hidden, dtype=dtype, seed=2) / hidden**0.5,
        chosen(experts, tokens, choices),
        drawn(tokens, choices, dtype=dtype, seed=3),
    )


def naive(
    x: torch.Tensor,
    weight_in: torch.Tensor,
    weight_out: torch.Tensor,
    expert: torch.Tensor,
    share: torch.Tensor,
    activation: str,
) -> torch.Tensor:
    """Token after token, choice after choice, by the definition."""
    rows = []
    for n, experts in enumerate(expert.tolist()):
        row = x.new_zeros(weight_out.shape[1])
        for j, e in enumerate(experts):
            if e >= 0:
                before = weight_in[e] @ x[n]
                hidden = weight_out.shape[2]
                units = CURVES[activation](before[:hidden])
                if activation in GATED:
                    units = units * before[hidden:]
                row = row + share[n, j] * (weight_out[e] @ units)
        rows.append(row)
    return torch.stack(rows) if rows else x.new_zeros(0, weight_out.shape[1])


def wide(given: Given) -> Given:
    x, weight_in, weight_out, expert, share = given
    return x.double(), weight_in.double(), weight_out.double(), expert, share.double()


def results(function: Callable[..., torch.Tensor], given: Given) -> list[torch.Tensor]:
    """The output, and the gradients of a drawn weighting of it to the tokens, both tables and the shares."""
    x, weight_in, weight_out, expert, share = given
    leaves = [one.clone().requires_grad_() for one in (x, weight_in, weight_out, share)]
    out = function(*leaves[:3], expert, leaves[3])
    grad = drawn(*out.shape, dtype=x.dtype, seed=5).to(out.dtype)
    if not out.requires_grad:
        # The oracle of no assignments has no graph.
        return [out, *(torch.zeros_like(leaf) for leaf in leaves)]
    return [out.detach(), *torch.autograd.grad(out, leaves, grad, allow_unused=True, materialize_grads=True)]


def close(expected: torch.Tensor, got: torch.Tensor, tolerance: float) -> bool:
    largest = expected.abs().max().item() if expected.numel() else 0.0
    return torch.allclose(expected, got.double(), rtol=0, atol=tolerance * max(largest, 1.0))


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_tokens_by_hand(backend: str) -> None:
    x = torch.tensor([[1.0, 2.0, 0.0, 0.0], [3.0, -1.0, 0.0, 0.0]])
    # Expert 0 has the hidden features x_0 + x_1 and -x_0, expert 1 has x_1 and 2 x_0; both add their features.
    weight_in, weight_out = torch.zeros(2, 4, 4), torch.zeros(2, 4, 4)
    weight_in[0, 0, :2], weight_in[0, 1, 0] = 1.0, -1.0
    weight_in[1, 0, 1], weight_in[1, 1, 0] = 1.0, 2.0
    weight_out[:, 0, :2] = 1.0
    expert, share = torch.tensor([[0, 1], [1, -1]]), torch.tensor([[10.0, 100.0], [1.0, 1000.0]])

    out = expert_feedforward(x, weight_in, weight_out, expert, share, "relu", backend)

    # 10 (3 + 0) + 100 (2 + 2), and 1 (0 + 6).
    assert [430.0, 6.0] == out[:, 0].tolist()
    assert not out[:, 1:].any()


@pytest.mark.parametrize("backend", BACKENDS[:2])
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("activation", CURVES)
@pytest.mark.parametrize("shape", SHAPES)
def test_output_and_gradients_equal_the_definition(
    shape: tuple[int, ...], activation: str, dtype: torch.dtype, backend: str
) -> None:
    given = arguments(shape, activation, dtype)

    expected = results(partial(naive, activation=activation), wide(given))
    got = results(partial(expert_feedforward, activation=activation, backend=backend), given)

    assert [one.dtype for one in got] == [dtype] * 5
    assert all(close(one, other, TOLERANCES[dtype]) for one, other in zip(expected, got, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("activation", CURVES)
@pytest.mark.parametrize("shape", [(0, 8, 8, 8, 2, 2), (1, 8, 16, 8, 4, 2), (70, 8, 24, 16, 5, 3)])
def test_the_grouped_product_of_torch_equals_the_definition(
    shape: tuple[int, ...], activation: str, dtype: torch.dtype
) -> None:
    given = arguments(shape, activation, dtype)

    expected = results(partial(naive, activation=activation), wide(given))
    got = results(partial(expert_feedforward, activation=activation, backend="grouped-mm"), given)

    assert all(close(one, other, 2 * TOLERANCES[dtype]) for one, other in zip(expected, got, strict=True))


@settings(max_examples=25, deadline=None)
@given(
    tokens=st.integers(0, 12),
    widths=st.tuples(*(st.integers(1, 17) for _ in range(3))),
    experts=st.integers(1, 5),
    choices=st.integers(0, 4),
    activation=st.sampled_from(tuple(CURVES)),
    backend=st.sampled_from(BACKENDS[:2]),
)
def test_any_small_shape_equals_the_definition(
    tokens: int, widths: tuple[int, int, int], experts: int, choices: int, activation: str, backend: str
) -> None:
    given_ = arguments((tokens, *widths, experts, choices), activation, torch.float64)

    expected = results(partial(naive, activation=activation), given_)
    got = results(partial(expert_feedforward, activation=activation, backend=backend), given_)

    assert all(close(one, other, 1e-13) for one, other in zip(expected, got, strict=True))


@pytest.mark.parametrize("backend", BACKENDS[:2])
@pytest.mark.parametrize("activation", CURVES)
def test_gradients_equal_finite_differences(activation: str, backend: str) -> None:
    x, weight_in, weight_out, expert, share = arguments((5, 3, 2, 4, 3, 2), activation, torch.float64)
    leaves = [one.requires_grad_() for one in (x, weight_in, weight_out, share)]

    def run(x: torch.Tensor, weight_in: torch.Tensor, weight_out: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
        return expert_feedforward(x, weight_in, weight_out, expert, share, activation, backend)

    assert gradcheck(run, leaves)


@pytest.mark.parametrize("backend", BACKENDS)
def test_dropped_tokens_and_experts_without_tokens_have_zeros(backend: str) -> None:
    x, weight_in, weight_out, _, share = arguments((20, 8, 8, 8, 3, 2), "swiglu", torch.float32)
    nobody, some = torch.full((20, 2), -1), torch.where(chosen(2, 20, 2) > 0, 1, -1)
    # What stands beside no expert is nobody's.
    share = share.masked_fill(some < 0, torch.inf)
    run = partial(expert_feedforward, activation="swiglu", backend=backend)

    dropped = results(run, (x, weight_in, weight_out, nobody, share))
    out, to_x, to_in, to_out, to_share = results(run, (x, weight_in, weight_out, some, share))

    assert not any(one.any() for one in dropped)
    assert torch.isfinite(out).all()
    assert torch.isfinite(to_x).all()
    assert not any(table[e].any() for table in (to_in, to_out) for e in (0, 2))
    assert not to_share[some < 0].any()
    assert all(table[1].any() for table in (to_in, to_out))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("tokens", [3, 60, 400])
def test_a_repetition_is_equal_to_the_bit_on_any_number_of_threads(tokens: int, backend: str) -> None:
    given = arguments((tokens, 16, 32, 64, 4, 2), "geglu", torch.float32)
    run, threads = partial(expert_feedforward, activation="geglu", backend=backend), torch.get_num_threads()

    try:
        found = []
        # The library's products, of the other backends, are its own affair.
        for count in (1, 2, 2) if backend == "cpu" else (1, 1, 1):
            torch.set_num_threads(count)
            found.append(results(run, given))
    finally:
        torch.set_num_threads(threads)

    assert all(torch.equal(one, other) for again in found[1:] for one, other in zip(found[0], again, strict=True))


@pytest.mark.parametrize("backend", BACKENDS)
def test_tensors_need_not_be_contiguous(backend: str) -> None:
    given = arguments((30, 8, 12, 16, 4, 2), "gelu", torch.float32)
    apart = tuple(torch.stack([one, one], -1)[..., 0] for one in given)
    run = partial(expert_feedforward, activation="gelu", backend=backend)

    expected, got = results(run, given), results(run, apart)  # type: ignore[arg-type]

    assert not any(one.is_contiguous() for one in apart)
    assert all(torch.equal(one, other) for one, other in zip(expected, got, strict=True))


@pytest.mark.parametrize("backend", BACKENDS)
def test_shares_of_half_types_may_be_float32(backend: str) -> None:
    x, weight_in, weight_out, expert, share = arguments((30, 8, 16, 8, 4, 2), "relu", torch.bfloat16)
    given = x, weight_in, weight_out, expert, share.float() + 0.001

    expected = results(partial(naive, activation="relu"), wide(given))
    got = results(partial(expert_feedforward, activation="relu", backend=backend), given)

    assert torch.float32 == got[-1].dtype
    assert torch.bfloat16 == got[0].dtype
    assert all(close(one, other, 2 * TOLERANCES[torch.bfloat16]) for one, other in zip(expected, got, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("activation", CURVES)
def test_activations_and_their_slopes_hold_far_from_zero(activation: str, dtype: torch.dtype) -> None:
    x = torch.stack([torch.linspace(-120, 120, 961), torch.ones(961)], 1).to(dtype)
    # One hidden feature, and a value of 1 where it is a gate.
    weight_in = torch.eye(2, dtype=dtype)[None, : 2 if activation in GATED else 1]
    ones = torch.ones(961, 1, dtype=dtype)
    given = x, weight_in, torch.ones(1, 1, 1, dtype=dtype), torch.zeros(961, 1, dtype=torch.int64), ones

    expected = results(partial(naive, activation=activation), wide(given))
    got = results(partial(expert_feedforward, activation=activation, backend="cpu"), given)

    rounding = 1e-6 if dtype == torch.float32 else 1e-14
    for one, other in zip(expected[:2], got[:2], strict=True):
        assert torch.allclose(one, other.double(), rtol=rounding, atol=rounding)


def test_a_wrong_expert_is_seen() -> None:
    given = x, weight_in, weight_out, expert, share = arguments(SHAPES[3], "relu", torch.float64)
    planted = torch.where(expert >= 0, (expert + 1) % 2, expert)

    expected = naive(*given, "relu")

    assert close(expected, expert_feedforward(*given, "relu", "cpu"), 1e-13)
    assert not close(expected, expert_feedforward(x, weight_in, weight_out, planted, share, "relu", "cpu"), 1e-3)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("tokens", [1, 50])
@pytest.mark.parametrize("wrong", [-2, 4, 2**40])
def test_an_expert_outside_of_the_tables_is_refused(wrong: int, tokens: int, backend: str) -> None:
    x, weight_in, weight_out, expert, share = arguments((tokens, 8, 8, 8, 4, 2), "relu", torch.float32)
    expert[-1, 0] = wrong

    with pytest.raises(
        InputError, match=f"the expert {wrong} was given for tables of 4 experts; give .* 0 to 3, or -1"
    ):
        expert_feedforward(x, weight_in, weight_out, expert, share, "relu", backend)
