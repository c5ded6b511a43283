"""block_linear computes the live blocks of each token and nothing else, in every backend, with its gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from capratio.kernels.block_linear import (
    block_linear,
    block_linear_touched,
    block_linear_weight_gradient,
    cpu,
    one_mask,
)
from capratio.kernels.block_linear import reference as block_reference

# Tokens, inputs, outputs, blocks of inputs, blocks of outputs: none, one, odd numbers of blocks, blocks of one feature,
# one block, whole lines of the cache that few tokens and many visit, wide blocks that are no whole lines.
SHAPES = (
    (0, 4, 6, 2, 3),
    (1, 10, 6, 5, 3),
    (7, 5, 3, 5, 3),
    (9, 6, 8, 1, 1),
    (12, 64, 48, 2, 3),
    (70, 48, 96, 3, 4),
    (66, 70, 34, 2, 1),
)
BACKENDS = ("reference", "cpu", "dense-masked")
Shape = tuple[int, int, int, int, int]
Inputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def drawn(
    tokens: int,
    p: int,
    q: int,
    in_blocks: int,
    out_blocks: int,
    *,
    rate: float = 0.5,
    dtype: torch.dtype = torch.float32,
    shared: bool = False,
) -> Inputs:
    """x, weight, bias, live_in, live_out."""
    generator = torch.Generator().manual_seed(tokens + p + q)
    x, weight, bias = (torch.randn(*shape, generator=generator).to(dtype) for shape in ((tokens, p), (q, p), (q,)))
    rows = 1 if shared else tokens
    live_in = torch.rand(rows, in_blocks, generator=generator) < rate
    live_out = torch.rand(rows, out_blocks, generator=generator) < rate
    return x, weight, bias, live_in.expand(tokens, in_blocks), live_out.expand(tokens, out_blocks)


def naive(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, live_in: torch.Tensor, live_out: torch.Tensor
) -> torch.Tensor:
    """The definition in float64: of every token each live output block, the sum over its live input blocks."""
    wide, high = x.shape[1] // live_in.shape[1], len(weight) // live_out.shape[1]
    rows = []
    for n in range(len(x)):
        blocks = []
        for o in range(live_out.shape[1]):
            total = weight.new_zeros(high, dtype=torch.float64)
            if live_out[n, o]:
                for i in range(live_in.shape[1]):
                    if live_in[n, i]:
                        block = weight[o * high : (o + 1) * high, i * wide : (i + 1) * wide].double()
                        total = total + block @ x[n, i * wide : (i + 1) * wide].double()
                if bias is not None:
                    total = total + bias[o * high : (o + 1) * high].double()
            blocks.append(total)
        rows.append(torch.cat(blocks))
    # The zero makes a result of no tokens depend on what it is differentiated to.
    nothing = 0 * (x.double().sum() + weight.double().sum() + (0 if bias is None else bias.double().sum()))
    return (torch.stack(rows) if rows else weight.new_zeros(0, len(weight), dtype=torch.float64)) + nothing


def close(expected: torch.Tensor, got: torch.Tensor, relative: float = 1e-5) -> bool:
    """Whether the largest difference is so small a share of the largest value."""
    if expected.shape != got.shape or expected.numel() == 0:
        return expected.shape == got.shape
    return bool((expected - got).abs().max() <= relative * expected.abs().max().clamp_min(1e-3))


def check_with_gradients(inputs: Inputs, bias: bool, backend: str, relative: float = 1e-5) -> None:
    """Outputs and all three gradients against the definition and its autograd."""
    x, weight, added, live_in, live_out = inputs
    given = [tensor.clone().requires_grad_() for tensor in ((x, weight, added) if bias else (x, weight))]
    exact = [tensor.detach().double().requires_grad_() for tensor in given]

    out = block_linear(given[0], given[1], given[2] if bias else None, live_in, live_out, backend)
    expected = naive(exact[0], exact[1], exact[2] if bias else None, live_in, live_out)
    dy = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out.dtype)

    assert x.dtype == out.dtype
    assert close(expected, out.double(), relative)
    wanted, got = torch.autograd.grad(expected, exact, dy.double()), torch.autograd.grad(out, given, dy)
    assert [True] * len(wanted) == [
        close(one, other.double(), relative) for one, other in zip(wanted, got, strict=True)
    ]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bias", [True, False])
def test_outputs_and_gradients_equal_the_definition(shape: Shape, bias: bool, backend: str) -> None:
    check_with_gradients(drawn(*shape), bias, backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype, relative", [(torch.bfloat16, 1e-2), (torch.float16, 2e-3), (torch.float64, 1e-12)])
@pytest.mark.parametrize("shape", [SHAPES[3], SHAPES[5]])
def test_other_dtypes_are_summed_wide_and_rounded_once(
    shape: Shape, dtype: torch.dtype, relative: float, backend: str
) -> None:
    check_with_gradients(drawn(*shape, dtype=dtype), True, backend, relative)


@settings(max_examples=25, deadline=None)
@given(
    tokens=st.integers(0, 9),
    blocks=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    sizes=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    rate=st.sampled_from((0.0, 0.3, 1.0)),
    backend=st.sampled_from(BACKENDS),
)
def test_any_shape_and_any_masks_equal_the_definition(
    tokens: int, blocks: tuple[int, int], sizes: tuple[int, int], rate: float, backend: str
) -> None:
    (in_blocks, out_blocks), (wide, high) = blocks, sizes

    inputs = drawn(tokens, in_blocks * wide, out_blocks * high, in_blocks, out_blocks, rate=rate)

    check_with_gradients(inputs, True, backend)


@pytest.mark.parametrize("fewest", [0, 1000])
@pytest.mark.parametrize("narrow", [0, 16])
def test_packed_blocks_and_blocks_that_are_read_as_they_lie_equal_the_definition(
    fewest: int, narrow: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu, "FEWEST_TOKENS_IN_PANELS", fewest)
    monkeypatch.setattr(cpu, "NARROW_INPUTS", narrow)

    check_with_gradients(drawn(30, 96, 48, 6, 3), True, "cpu")


@pytest.mark.parametrize("shape", [(64, 12, 10, 3, 5), (70, 64, 32, 2, 2), (65, 5, 4, 5, 2)])
@pytest.mark.parametrize("backend", [*BACKENDS, "bsr"])
def test_masks_that_all_tokens_share_equal_the_definition(shape: Shape, backend: str) -> None:
    if backend == "bsr":
        shape = (shape[0], 4 * shape[3], 4 * shape[4], shape[3], shape[4])

    inputs = drawn(*shape, rate=0.7, shared=True)

    assert all(one_mask.one_mask(live.numpy()) for live in inputs[3:])
    check_with_gradients(inputs, True, backend)


def test_masks_that_one_token_does_not_share_are_its_own() -> None:
    x, weight, bias, live_in, live_out = drawn(80, 32, 32, 4, 4, rate=1, shared=True)
    live_in = live_in.clone()
    live_in[79, 3] = False

    assert not one_mask.one_mask(live_in.numpy())
    check_with_gradients((x, weight, bias, live_in, live_out), True, "cpu")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("tokens", [3, 90])
def test_all_live_is_the_dense_layer_and_all_dead_is_zero(tokens: int, backend: str) -> None:
    x, weight, bias, *_ = drawn(tokens, 32, 24, 4, 3)
    one, none = torch.ones(tokens, 4, dtype=torch.bool), torch.zeros(tokens, 4, dtype=torch.bool)

    dense = torch.nn.functional.linear(x, weight, bias)

    assert close(dense, block_linear(x, weight, bias, one, one[:, :3], backend))
    assert not block_linear(x, weight, bias, one, none[:, :3], backend).any()
    # With no input alive, what is left of a live output is its bias.
    assert torch.equal(bias.expand(tokens, -1), block_linear(x, weight, bias, none, one[:, :3], backend))


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("shape", [SHAPES[2], SHAPES[4], SHAPES[5]])
def test_dead_blocks_are_not_read_and_their_outputs_and_gradients_are_zero(shape: Shape, backend: str) -> None:
    _, p, q, in_blocks, out_blocks = shape
    x, weight, bias, live_in, live_out = drawn(*shape, rate=0.3)
    alive_in, alive_out = (block_reference.spread(live, size) for live, size in ((live_in, p), (live_out, q)))
    visited = torch.zeros(out_blocks * in_blocks, dtype=torch.bool)
    visited[block_reference.visited_pairs(live_in, live_out)] = True
    alive = visited.view(out_blocks, in_blocks).repeat_interleave(q // out_blocks, 0)
    alive = alive.repeat_interleave(p // in_blocks, 1)
    # Whatever reads a dead input or a block that no token visits gives NaN.
    x, weight = (torch.where(mask, tensor, torch.nan) for mask, tensor in ((alive_in, x), (alive, weight)))
    given = x.requires_grad_(), weight.requires_grad_(), bias.requires_grad_()

    out = block_linear(*given, live_in, live_out, backend)
    dx, dweight, dbias = torch.autograd.grad(out, given, torch.where(alive_out, 1.0, torch.nan))

    assert not any(tensor.isnan().any() for tensor in (out, dx, dweight, dbias))
    assert not out[~alive_out].any()
    assert not dx[~alive_in].any()
    assert not dweight[~alive].any()
    assert not dbias[~alive_out.any(0)].any()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rate", [0, 0.3, 1])
@pytest.mark.parametrize("shape", [SHAPES[1], SHAPES[2], SHAPES[5]])
def test_touched_blocks_are_the_blocks_of_the_dense_gradient_that_a_token_visits(
    shape: Shape, rate: float, backend: str
) -> None:
    _, p, q, in_blocks, out_blocks = shape
    x, _, _, live_in, live_out = drawn(*shape, rate=rate)
    grad = torch.randn(len(x), q)

    indices, values = block_linear_touched(grad, x, live_in, live_out, backend)

    dense = block_linear_weight_gradient(grad, x, live_in, live_out, backend)
    blocks = dense.view(out_blocks, q // out_blocks, in_blocks, p // in_blocks).transpose(1, 2).flatten(0, 1)
    visited = {
        o * in_blocks + i
        for n in range(len(x))
        for o in range(out_blocks)
        for i in range(in_blocks)
        if live_out[n, o] and live_in[n, i]
    }
    assert sorted(visited) == indices.tolist()
    assert torch.equal(blocks[indices], values)
    rest = torch.ones(len(blocks), dtype=torch.bool).index_fill_(0, indices, False)
    assert not blocks[rest].any()


@pytest.mark.parametrize("shape", [SHAPES[4], SHAPES[5], SHAPES[6]])
def test_a_repetition_on_any_number_of_threads_is_equal_to_the_bit(shape: Shape) -> None:
    threads = torch.get_num_threads()
    results = []
    try:
        for number in (1, 2, 1, 2):
            torch.set_num_threads(number)
            x, weight, bias, live_in, live_out = drawn(*shape)
            given = x.requires_grad_(), weight.requires_grad_(), bias.requires_grad_()
            out = block_linear(*given, live_in, live_out, "cpu")
            results.append((out, *torch.autograd.grad(out.square().sum(), given)))
    finally:
        torch.set_num_threads(threads)

    first, *others = results
    assert all(torch.equal(one, two) for other in others for one, two in zip(first, other, strict=True))


def test_a_wrong_mask_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = drawn(6, 10, 6, 5, 3)
    groups = block_reference._groups

    monkeypatch.setattr(block_reference, "_groups", lambda left, right: groups(left.roll(1, 1), right))

    assert not close(naive(*inputs), block_linear(*inputs, "reference").double())
