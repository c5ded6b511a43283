"""What expert_feedforward promises beside its numbers: cost, torch's checks, compilation, one derivative, refusals."""

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from capratio.cost.flop import Flop
from capratio.cost.op_formulas import expert_feedforward as forward_cost
from capratio.cost.op_formulas import expert_feedforward_gradients as gradients_cost
from capratio.cost.op_formulas.expert_feedforward import ACTIVATIONS, first_rows
from capratio.errors import InputError
from capratio.kernels.expert_feedforward import expert_feedforward, reference
from capratio.measure.flop_counter import count_operations

Given = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def arguments(activation: str, tokens: int = 6, dtype: torch.dtype = torch.float64) -> Given:
    """Tokens of 3 features, 4 experts of 5 hidden features and 2 outputs, of which the third is left out."""
    generator = torch.Generator().manual_seed(tokens)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()

    expert = torch.tensor([0, 1, 3, -1])[torch.randint(0, 4, (tokens, 2), generator=generator)]
    return drawn(tokens, 3), drawn(4, first_rows(5, activation), 3), drawn(4, 2, 5), expert, drawn(tokens, 2)


X, IN, OUT, EXPERT, SHARE = (one.detach() for one in arguments("relu", dtype=torch.float32))


# Of 3 tokens with 2 slots each, p = 4, q = 2, h = 3, of which 4 slots have one of 2 experts. Product 2 x 4 (4 m + 6),
# with m = 3 and of gated ones 6: 144 and 240. A h = 12, so the activation has 0, 60, 72 and 36 FLOP; the sum 2 x 4 x 2.
# Six slots are sorted in 6 x 3 steps, and relu compares 12 times.
@pytest.mark.parametrize(
    "activation, product, overhead, steps",
    [("relu", 144, 16, 18 + 12), ("gelu", 144, 76, 18), ("geglu", 240, 88, 18), ("swiglu", 240, 52, 18)],
)
def test_the_cost_of_three_tokens_by_hand(activation: str, product: int, overhead: int, steps: int) -> None:
    cost = forward_cost(3, 4, 2, 3, activation, slots=6, assignments=4, visited=2, itemsize=4)

    assert Flop(product=product, overhead=overhead) == cost.flop
    assert (steps, 4) == (cost.routing_operations, cost.rows_gathered)


# As above: twice the product; s g 12, ds 4 (2 x 3 - 1) = 20, s dy 4 x 2 = 8 and the sum of dx 4 x 4 = 16 make 56, and
# activations with their gradients 0, 16, 19 and 11 for each of 12 features.
@pytest.mark.parametrize(
    "activation, product, overhead, steps",
    [("relu", 288, 56, 18 + 24), ("gelu", 288, 248, 18), ("geglu", 480, 284, 18), ("swiglu", 480, 188, 18)],
)
def test_the_cost_of_their_gradients_by_hand(activation: str, product: int, overhead: int, steps: int) -> None:
    cost = gradients_cost(3, 4, 2, 3, activation, slots=6, assignments=4, visited=2, experts=5, itemsize=4)

    assert Flop(product=product, overhead=overhead) == cost.flop
    assert (steps, 8) == (cost.routing_operations, cost.rows_gathered)


def test_the_bytes_of_three_tokens_by_hand() -> None:
    cost = forward_cost(3, 4, 2, 3, "relu", slots=6, assignments=4, visited=2, itemsize=4)
    back = gradients_cost(3, 4, 2, 3, "relu", slots=6, assignments=4, visited=2, experts=5, itemsize=4)

    # Read of an assignment: x twice, z, a, the output twice and its sum, the share: 8 + 3 + 3 + 6 + 1 = 21. A pair of
    # matrices has 3 x 4 + 2 x 3 = 18. Written of one: x, z, a, the output thrice: 4 + 3 + 3 + 6 = 16; the sums 3 x 2.
    assert (4 * (4 * 21 + 2 * 18) + 8 * 2 * 6, 4 * (4 * 16 + 6) + 8 * 6) == (cost.read_bytes, cost.written_bytes)
    # Read: dy 4 x 2, z and dz 3 x 3, g, s g and a 5 x 3, x and dx 4 x 4, the share twice: 50. Written: dy and s dy 4,
    # a, g and s g 9, dz 3, x and dx 12, ds 1: 29; dx 12, 5 pairs of zeros and 2 of gradients, ds 6.
    assert (4 * (4 * 50 + 2 * 18) + 8 * 2 * 6, 4 * (4 * 29 + 12 + 7 * 18 + 6) + 8 * 6) == (
        back.read_bytes,
        back.written_bytes,
    )


@pytest.mark.parametrize("tokens", [0, 1, 6])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_formulas_equal_what_the_reference_runs(activation: str, tokens: int) -> None:
    given = arguments(activation, tokens)
    kept = reference.expert_feedforward(*given, activation, True)[1]
    grad = torch.ones(tokens, 2, dtype=torch.float64)
    out = expert_feedforward(*given, activation, "reference")

    with torch.no_grad():
        ran = count_operations(lambda: reference.expert_feedforward(*given, activation, True), strict=True).cost
        back = count_operations(
            lambda: reference.expert_feedforward_gradients(grad, kept, *given, activation), strict=True
        ).cost
    promised = count_operations(lambda: expert_feedforward(*given, activation, "reference"), strict=True).cost
    promised_back = count_operations(lambda: torch.autograd.backward(out, grad), strict=True).cost

    assert (ran.flop, back.flop) == (promised.flop, promised_back.flop)


def test_the_counter_of_torch_reads_the_formulas() -> None:
    given = arguments("gelu")
    taken = int((given[3] >= 0).sum())

    with FlopCounterMode(display=False) as counter:
        torch.autograd.backward(expert_feedforward(*given, "gelu", "reference").sum())

    products = 6 * taken * (5 * 3 + 2 * 5)
    overhead = taken * (5 * 5 + 2 * 2) + taken * ((1 + 16) * 5 + 9 + 2 + 3)
    assert products + overhead == counter.get_total_flops()


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("activation", ["relu", "geglu"])
def test_torch_finds_schemas_fake_kernels_and_autograd_consistent(activation: str, backend: str) -> None:
    given = arguments(activation)
    kept = torch.zeros(12, first_rows(5, activation), dtype=torch.float64)
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")

    for keep in (True, False):
        operation = torch.ops.capratio.expert_feedforward.default
        torch.library.opcheck(operation, (*given, activation, keep, backend), test_utils=tests)
    operation = torch.ops.capratio.expert_feedforward_gradients.default
    grad = torch.zeros(6, 2, dtype=torch.float64)
    torch.library.opcheck(operation, (grad, kept, *given, activation, backend), test_utils=tests)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_first_products_are_kept_where_a_gradient_is_taken_alone(dtype: torch.dtype) -> None:
    given, operation = arguments("swiglu", dtype=dtype), torch.ops.capratio.expert_feedforward.default

    with torch.no_grad():
        out = expert_feedforward(*given, "swiglu")
    without, with_ = (operation(*given, "swiglu", keep, "cpu")[1] for keep in (False, True))

    assert not out.requires_grad
    assert ((0, 10), (12, 10)) == (tuple(without.shape), tuple(with_.shape))
    assert torch.float32 == with_.dtype


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_it_compiles_in_one_graph_with_its_gradients(backend: str) -> None:
    given = arguments("geglu", dtype=torch.float32)
    leaves = [given[0], given[1], given[2], given[4]]

    def run(
        x: torch.Tensor, first: torch.Tensor, second: torch.Tensor, expert: torch.Tensor, share: torch.Tensor
    ) -> torch.Tensor:
        return expert_feedforward(x, first, second, expert, share, "geglu", backend)

    plain = run(*given)
    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")(*given)

    assert torch.equal(plain, compiled)
    expected, got = (torch.autograd.grad(out.sum(), leaves) for out in (plain, compiled))
    assert all(torch.equal(one, other) for one, other in zip(expected, got, strict=True))


def test_inference_exports() -> None:
    class Mixture(torch.nn.Module):
        def forward(self, x: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
            return expert_feedforward(x, first, second, EXPERT, SHARE, "relu", "cpu")

    exported = torch.export.export(Mixture(), (X, IN, OUT))

    assert torch.equal(expert_feedforward(X, IN, OUT, EXPERT, SHARE, "relu", "cpu"), exported.module()(X, IN, OUT))


def test_a_second_derivative_is_refused_in_a_sentence() -> None:
    given = arguments("gelu")
    (to_x,) = torch.autograd.grad(expert_feedforward(*given, "gelu").sum(), given[0], create_graph=True)

    with pytest.raises(InputError, match="expert_feedforward was differentiated twice, and has a first derivative"):
        torch.autograd.backward(to_x.sum())


@pytest.mark.parametrize(
    "given, options, sentence",
    [
        ((X[:, :2], IN, OUT, EXPERT, SHARE), {}, "weight_in of shape"),
        ((X, IN[:3], OUT, EXPERT, SHARE), {}, "weight_out of shape"),
        ((X, IN, OUT, EXPERT[:2], SHARE), {}, "expert of shape"),
        ((X, IN, OUT, EXPERT[:, 0], SHARE), {}, "expert of shape"),
        ((X, IN, OUT, EXPERT, SHARE[:, :1]), {}, "share of shape|expert of shape"),
        ((X, IN.double(), OUT, EXPERT, SHARE), {}, "weight_in of torch.float64"),
        ((X, IN, OUT, EXPERT.int(), SHARE), {}, "expert of torch.int32; give torch.int64"),
        ((X, IN, OUT, EXPERT, SHARE.double()), {}, "share of torch.float64 and x of torch.float32; give share in x's"),
        ((X, IN, OUT, EXPERT, SHARE), {"activation": "tanh"}, "activation='tanh' is not known; it must be one of relu"),
        (
            (X, IN, OUT, EXPERT, SHARE),
            {"activation": "geglu"},
            "weight_in of 5 rows .*'geglu' .* of 5 .*; give 10 rows",
        ),
        (
            (X, IN, OUT[:, :, :4], EXPERT, SHARE),
            {},
            "weight_in of 5 rows .*'relu' .* of 4 hidden features; give 4 rows",
        ),
        ((X, IN, OUT, EXPERT, SHARE), {"backend": "gather-bmm"}, "'gather-bmm' was given for expert_feedforward"),
        ((X, IN, OUT, EXPERT, SHARE), {"backend": "grouped-mm"}, "grouped-mm' was given 5 features of 4 bytes"),
        ((X.double(), IN.double(), OUT.double(), EXPERT, SHARE.double()), {"backend": "grouped-mm"}, "float64"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(given: Given, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        expert_feedforward(*given, **options)
