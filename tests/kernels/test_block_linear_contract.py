"""block_linear as an operation: what it costs, refuses, compiles to and how often it is differentiable."""

import pytest
import torch
from torch.autograd import gradcheck
from torch.utils.flop_counter import FlopCounterMode

from capratio.cost.flop import Flop
from capratio.cost.op_formulas import LiveBlocks
from capratio.errors import InputError
from capratio.kernels.block_linear import (
    block_linear,
    block_linear_bias_gradient,
    block_linear_input_gradient,
    block_linear_touched,
    block_linear_weight_gradient,
    live_blocks,
)
from capratio.measure.flop_counter import count_operations

X, WEIGHT, BIAS = torch.ones(3, 6), torch.ones(4, 6), torch.ones(4)
LIVE_IN = torch.tensor([[True, False, True], [False, False, False], [True, True, True]])
LIVE_OUT = torch.tensor([[True, False], [True, True], [True, False]])


def real(*shape: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize("backend", ["reference", "cpu", "dense-masked"])
def test_gradients_equal_finite_differences(backend: str) -> None:
    def masked(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return block_linear(x, weight, bias, LIVE_IN, LIVE_OUT, backend)

    assert gradcheck(masked, (real(3, 6, seed=1), real(4, 6, seed=2), real(4, seed=3)))


@pytest.mark.parametrize("needed", [0, 1, 2])
@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_a_second_derivative_is_refused_in_a_sentence(needed: int, backend: str) -> None:
    given = real(3, 6, seed=1), real(4, 6, seed=2), real(4, seed=3)
    out = block_linear(*given, LIVE_IN, LIVE_OUT, backend)

    # dy depends on an input, so that every gradient can be differentiated.
    (first,) = torch.autograd.grad(out.square().sum(), given[needed], create_graph=True)

    with pytest.raises(InputError, match=r"block_linear is differentiable once.*leave create_graph=True out"):
        torch.autograd.backward(first.sum())


def test_what_the_masks_leave_alive_is_counted() -> None:
    # Tokens: 2 inputs with 1 output, none with 2, 3 with 1: 5 pairs. Of the 6 weight blocks the first output's 3.
    assert LiveBlocks(tokens=3, in_blocks=3, out_blocks=2, pairs=5, visited_pairs=3) == live_blocks(LIVE_IN, LIVE_OUT)


def test_the_cost_of_a_tiny_case_by_hand() -> None:
    x, weight, bias = (tensor.clone().requires_grad_() for tensor in (X, WEIGHT, BIAS))

    counted = count_operations(lambda: block_linear(x, weight, bias, LIVE_IN, LIVE_OUT), strict=True).cost
    # 5 pairs of blocks of 2 inputs and 2 outputs, 2 * 2 * 2 FLOP each; 4 live outputs of 2 features get a bias.
    # Routing: 3 (3 + 2) bits are looked at and 5 pairs listed.
    assert (Flop(product=40, bias=8), 20) == (counted.flop, counted.routing_operations)
    # x and sums of 5 pairs (4 each) and 3 weight blocks of 4, the bias's 4 and the 8 outputs that it is added to, in
    # float32; 15 bits; 5 list entries. Written: the sums of the pairs, 12 outputs, the 8 again; the lists.
    assert (4 * (20 + 12 + 4 + 8) + 15 + 40, 4 * (10 + 12 + 8) + 40) == (counted.read_bytes, counted.written_bytes)

    def train() -> None:
        torch.autograd.backward(block_linear(x, weight, bias, LIVE_IN, LIVE_OUT), torch.ones(3, 4))

    trained = count_operations(train, strict=True).cost
    # Both gradients are products of the same pairs. Of the bias 3 tokens have the first output live and 1 the second:
    # 2 and 0 adds of 2 features, and 6 more bits are looked at.
    assert (Flop(product=120, bias=8 + 4), 66) == (trained.flop, trained.routing_operations)


def test_torchs_own_counter_reads_the_formula() -> None:
    with FlopCounterMode(display=False) as counter:
        block_linear(X, WEIGHT, None, LIVE_IN, LIVE_OUT)

    assert 40 == counter.get_total_flops()


def test_costs_of_gradients_with_exchanged_and_touched_blocks() -> None:
    grad = torch.ones(3, 4)

    counts = [
        count_operations(call, strict=True).cost
        for call in (
            lambda: block_linear_input_gradient(grad, WEIGHT, LIVE_IN, LIVE_OUT),
            lambda: block_linear_weight_gradient(grad, X, LIVE_IN, LIVE_OUT),
            lambda: block_linear_touched(grad, X, LIVE_IN, LIVE_OUT),
            lambda: block_linear_bias_gradient(grad, LIVE_OUT),
        )
    ]

    assert [40, 40, 40, 4] == [cost.flop.total for cost in counts]
    # All of dW is written as zeros first, 24 float32, and the 3 visited blocks of 4 thereafter; 5 list entries.
    assert [96 + 48 + 40, 48 + 40] == [cost.written_bytes for cost in counts[1:3]]


@pytest.mark.parametrize(
    "given, sentence",
    [
        ((X, WEIGHT[:, :3], None, LIVE_IN, LIVE_OUT), "was given weight of shape"),
        ((X, WEIGHT, BIAS[:3], LIVE_IN, LIVE_OUT), "was given bias of shape"),
        ((X[0], WEIGHT, None, LIVE_IN, LIVE_OUT), "was given x of shape"),
        ((X, WEIGHT, None, LIVE_IN[:2], LIVE_OUT), "was given live_in of shape"),
        ((X, WEIGHT, None, LIVE_IN, LIVE_OUT[:2]), "was given live_out of shape"),
        ((X, WEIGHT, None, LIVE_IN.int(), LIVE_OUT), "was given live_in of torch.int32; give torch.bool"),
        ((X, WEIGHT.double(), None, LIVE_IN, LIVE_OUT), "one floating-point dtype"),
        ((X, WEIGHT, None, LIVE_IN[:, [0, 1, 2, 0]], LIVE_OUT), "live_in of 4 blocks for 6 features; give a number"),
        ((X, WEIGHT, None, LIVE_IN, LIVE_OUT[:, [0, 1, 0]]), "live_out of 3 blocks for 4 features; give a number"),
        ((X, WEIGHT, None, LIVE_IN[:, :0], LIVE_OUT), "live_in of 0 blocks"),
        ((X, WEIGHT, None, LIVE_IN, LIVE_OUT, "fast"), "backend='fast' is not known"),
        ((X, WEIGHT, None, LIVE_IN, LIVE_OUT, "grouped-mm"), "'grouped-mm' was given for block_linear"),
        ((X, WEIGHT, None, LIVE_IN, LIVE_OUT, "bsr"), "bsr.*masks that differ from token to token"),
        ((X, WEIGHT, None, LIVE_IN[:1].expand(3, 3), LIVE_OUT[:1, :1].expand(3, 1), "bsr"), "bsr.*4 outputs and 2"),
        ((X.half(), WEIGHT.half(), None, LIVE_IN[:1].expand(3, 3), LIVE_OUT[:1].expand(3, 2), "bsr"), "bsr.*float16"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(given: tuple[torch.Tensor, ...], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        block_linear(*given)  # type: ignore[arg-type]


def test_it_compiles_in_one_graph_with_its_gradients() -> None:
    given = X.clone().requires_grad_(), WEIGHT.clone().requires_grad_(), BIAS.clone().requires_grad_()
    compiled = torch.compile(block_linear, fullgraph=True, backend="aot_eager")

    expected = torch.autograd.grad(block_linear(*given, LIVE_IN, LIVE_OUT).sum(), given)
    got = torch.autograd.grad(compiled(*given, LIVE_IN, LIVE_OUT).sum(), given)

    assert all(torch.equal(one, other) for one, other in zip(expected, got, strict=True))


class _Masked(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        live_in = x.view(-1, 3, 2).sum(2) > 0
        return block_linear(x, WEIGHT, BIAS, live_in, live_in[:, :2])


def test_it_is_exported_for_any_number_of_tokens() -> None:
    x = torch.randn(7, 6, generator=torch.Generator().manual_seed(1))

    exported = torch.export.export(
        _Masked(), (torch.ones(3, 6),), dynamic_shapes={"x": {0: torch.export.Dim("tokens", min=2)}}
    )

    assert torch.equal(_Masked()(x), exported.module()(x))


@pytest.mark.parametrize("name", ["", "_input_gradient", "_weight_gradient", "_touched", "_bias_gradient"])
def test_torch_finds_schema_fake_kernel_and_autograd_of_each_operation_consistent(name: str) -> None:
    grad = torch.ones(3, 4)
    arguments = {
        "": (X, WEIGHT, BIAS, LIVE_IN, LIVE_OUT),
        "_input_gradient": (grad, WEIGHT, LIVE_IN, LIVE_OUT),
        "_weight_gradient": (grad, X, LIVE_IN, LIVE_OUT),
        "_touched": (grad, X, LIVE_IN, LIVE_OUT),
        "_bias_gradient": (grad, LIVE_OUT),
    }[name]
    overload = getattr(torch.ops.capratio, f"block_linear{name}").default

    tests = ("test_schema", "test_autograd_registration", "test_faketensor")

    torch.library.opcheck(overload, (*arguments, "auto"), test_utils=tests)
