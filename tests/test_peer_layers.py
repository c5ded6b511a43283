"""What stands beside our layers: the same function of the same weights where it says so, and what it says where not."""

import importlib
import importlib.util
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.functional import linear

from benchmarks import table_gradients
from benchmarks.block_products import BlockProduct, KeptBlockSparse, draw_masks
from benchmarks.checked_layer import CheckedLayer, check_rows
from benchmarks.peer_layers import (
    DenseFeedforward,
    DroppingMixture,
    EmbeddingBagTable,
    HuggingFaceMixture,
    ProductKeys,
    SingleNeuronExperts,
    StableDroppingMixture,
    draw_rows,
)
from benchmarks.table_gradients import TableGradient
from capratio.errors import InputError
from capratio.kernels.backends import REFERENCE
from capratio.kernels.row_lookup import row_lookup
from capratio.layers.sparsely_gated_mixture import SparselyGatedMixture
from capratio.measure.flop_counter import count_operations
from capratio.sweep.case import is_user_layer
from capratio.sweep.case_file import bundled_case_files, read_case_files
from capratio.sweep.verify import WrongAnswerError

# What a package's decorators say of its own hints.
QUIET = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*PEP 585.*")
FOREIGN: dict[str, Callable[[], nn.Module]] = {
    "mixture_of_experts": lambda: DroppingMixture(16, 32, 4),
    "st_moe_pytorch": lambda: StableDroppingMixture(16, 32, 4),
    "product_key_memory": lambda: ProductKeys(16, 2, 8, 4, 8),
    "PEER_pytorch": lambda: SingleNeuronExperts(16, 2, 8, 4),
}


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def gradients(module: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """Of the input, and of the parameters in their order."""
    x = x.clone().requires_grad_()
    found = torch.autograd.grad(module(x), (x, *module.parameters()), drawn(*x.shape, seed=9))
    return [one.to_dense() for one in found]


class Asked(CheckedLayer):
    """Remembers of how many tokens its formula was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens: list[int] = []

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def expected(self, x: torch.Tensor) -> torch.Tensor:
        self.tokens.append(len(x))
        return x


class Wrong(CheckedLayer):
    """One element is off by a thousandth."""

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        out = x.clone()
        out[-1, -1] += 1e-3
        return out

    def expected(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_a_first_output_that_differs_from_its_formula_is_wrong() -> None:
    with pytest.raises(WrongAnswerError, match="the output of Wrong differs from its formula in float64"):
        Wrong()(drawn(3, 4))


def test_an_output_that_is_no_number_is_wrong() -> None:
    out, expected = torch.ones(3, 4), torch.ones(3, 4, dtype=torch.float64)
    check_rows(out, expected, "ones")
    out[1, 2] = torch.nan

    with pytest.raises(WrongAnswerError, match="the output of ones differs"):
        check_rows(out, expected, "ones")


def test_each_size_and_mode_is_held_against_the_formula_once() -> None:
    layer = Asked()

    for tokens, training in ((2, True), (2, True), (5, True), (2, False)):
        layer.train(training)(drawn(tokens, 4))

    assert [2, 5, 2] == layer.tokens


def test_the_dense_layer_is_as_large_as_the_experts_of_a_token() -> None:
    mixture, dense = SparselyGatedMixture(8, 8, hidden=6, experts=4, top_k=2), DenseFeedforward(8, 12)

    matrices = sum(table[0].numel() for table in (mixture.weight_in, mixture.weight_out))
    assert 2 * matrices == sum(parameter.numel() for parameter in dense.parameters())
    x = drawn(3, 8)
    first, second = dense.parameters()
    assert torch.equal(linear(linear(x, first).relu(), second), dense(x))


@pytest.mark.parametrize("implementation", ["eager", "batched_mm", "grouped_mm"])
def test_hugging_faces_mixture_is_moe_sparse_of_the_same_weights(implementation: str) -> None:
    pytest.importorskip("transformers", reason="the extra peers is not installed: transformers")
    theirs = HuggingFaceMixture(8, 12, 4, 2, implementation)
    ours = SparselyGatedMixture(8, 8, hidden=12, experts=4, backend=REFERENCE, dtype=torch.float64).eval()
    with torch.no_grad():
        ours.gate.weight.copy_(theirs.router.weight)
        ours.weight_in.copy_(theirs.experts.up_proj)
        ours.weight_out.copy_(theirs.experts.down_proj)
    x = drawn(7, 8)

    assert torch.allclose(ours(x.double()), theirs(x).double(), atol=1e-5)
    x = x.requires_grad_()
    incoming = drawn(7, 8, seed=9)
    theirs(x).backward(incoming)
    wide = x.detach().double().requires_grad_()
    ours(wide).backward(incoming.double())
    pairs = (
        (wide, x),
        (ours.gate.weight, theirs.router.weight),
        (ours.weight_in, theirs.experts.up_proj),
        (ours.weight_out, theirs.experts.down_proj),
    )
    for one, other in pairs:
        assert one.grad is not None
        assert other.grad is not None
        assert torch.allclose(one.grad, other.grad.double(), atol=1e-4)


@pytest.mark.parametrize("sparse", [False, True])
def test_the_embedding_bag_is_row_lookup_of_the_same_table(sparse: bool) -> None:
    theirs, x = EmbeddingBagTable(4, 10, 3, sparse=sparse), drawn(6, 4)
    table = theirs.bags.weight.detach().double().requires_grad_()
    rows = draw_rows(10, 6, 3)

    ours = x.double() + row_lookup(table, rows, backend=REFERENCE)
    (to_table,) = torch.autograd.grad(ours, table, drawn(6, 4, seed=9).double())

    assert torch.allclose(ours, theirs(x).double(), atol=1e-6)
    assert torch.allclose(to_table, gradients(theirs, x)[1].double(), atol=1e-6)


CONTENDERS = [("auto", "dense"), ("auto", "touched"), ("embedding-bag", "touched"), ("embedding-bag", "unsummed")]


@pytest.mark.parametrize(("backend", "form"), CONTENDERS)
def test_a_tables_gradient_alone_is_repeated_and_is_that_of_the_incoming_one(backend: str, form: str) -> None:
    layer, grad = TableGradient(4, 10, 3, form, backend), drawn(6, 4)

    with torch.inference_mode():
        first, again, doubled = layer(grad), layer(grad), layer(2 * grad)

    expected = layer.expected(grad.double())
    # Ten rows, of which 18 look-ups leave some out; unsummed, the first six look-ups are of the first two tokens.
    rows = draw_rows(10, 6, 3)
    six = {
        "dense": expected[:6],
        "touched": expected[torch.unique(rows)[:6]],
        "unsummed": grad.double().repeat_interleave(3, 0)[:6],
    }[form]
    assert torch.allclose(six, first.double(), atol=1e-6)
    assert torch.equal(first, again)
    assert torch.allclose(2 * first, doubled)


def test_a_tables_gradient_is_counted_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_gradients, "draw_rows", lambda *_: torch.tensor([[0, 0], [0, 2]]))

    # Row 0 is looked up twice by the first token and once by the second, row 2 by the second.
    assert [[23.0], [0.0], [3.0]] == TableGradient(1, 3, 2, "dense", "auto").expected(
        torch.tensor([[10.0], [3.0]], dtype=torch.float64)
    ).tolist()


def test_a_wrong_gradient_of_a_table_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = TableGradient(4, 10, 3, "dense", "auto")
    monkeypatch.setattr(TableGradient, "expected", lambda self, grad: grad.new_ones(10, 4))

    with pytest.raises(WrongAnswerError, match="auto's dense gradient"):
        layer(drawn(6, 4))


@pytest.mark.parametrize(("backend", "form"), [("auto", "unsummed"), ("auto", "sparse")])
def test_a_gradient_that_a_table_does_not_have_is_refused(backend: str, form: str) -> None:
    with pytest.raises(InputError, match="use dense or touched, or unsummed of embedding-bag"):
        TableGradient(4, 10, 3, form, backend)


@pytest.mark.parametrize("masks, backends", [("own", ("dense-masked",)), ("shared", ("dense-masked", "bsr"))])
def test_block_products_agree_and_a_mask_has_as_many_live_blocks_as_it_says(
    masks: str, backends: tuple[str, ...]
) -> None:
    torch.manual_seed(0)
    ours, x = BlockProduct(32, 8, 3, masks, "auto"), drawn(5, 32)
    live_in, live_out = draw_masks(5, 8, 3, masks)
    weight = ours.weight.detach().double()
    expected = linear(x.double() * live_in.repeat_interleave(4, 1), weight) * live_out.repeat_interleave(4, 1)

    assert [3] * 10 == torch.cat([live_in, live_out]).sum(1).tolist()
    assert (masks == "shared") == bool((live_in == live_in[0]).all())
    assert torch.allclose(expected, ours(x).double(), atol=1e-5)
    for backend in backends:
        torch.manual_seed(0)
        other = BlockProduct(32, 8, 3, masks, backend)
        assert torch.allclose(expected, other(x).double(), atol=1e-5)
        for one, two in zip(gradients(ours, x), gradients(other, x), strict=True):
            assert torch.allclose(one, two, atol=1e-5)
    if masks == "shared":
        torch.manual_seed(0)
        kept = KeptBlockSparse(32, 8, 3)
        assert torch.allclose(expected, kept(x).double(), atol=1e-5)
        assert kept.kept is not None
        assert 9 == len(kept.kept.values())


def test_the_products_of_a_case_are_as_dense_as_it_says() -> None:
    layer, x = BlockProduct(64, 16, 5, "own", "auto"), drawn(7, 64)
    # The first call holds its output against the formula.
    layer(x)

    counted = count_operations(lambda: layer(x), strict=True)

    # 25 of 256 pairs of 4 x 4 weights, for each of 7 tokens.
    assert 7 * 25 * 16 * 2 == counted.cost.flop.product


def test_another_word_for_masks_is_refused() -> None:
    with pytest.raises(InputError, match="masks='each' was given; use one of own, shared"):
        BlockProduct(8, 2, 1, "each", "auto")(drawn(2, 8))


@QUIET
@pytest.mark.parametrize("package", FOREIGN)
def test_layers_of_another_function_repeat_and_train(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"the extra peers is not installed: {package}")
    torch.manual_seed(0)
    layer, x = FOREIGN[package](), drawn(9, 16)

    for mode in (True, False):
        out = layer.train(mode)(x)
        assert (9, 16) == out.shape
        assert torch.equal(out, layer(x))
    assert all(gradient.isfinite().all() for gradient in gradients(layer, x))
    assert (1, 16) == layer(x[:1]).shape


@QUIET
def test_a_package_that_drops_tokens_computes_another_function() -> None:
    pytest.importorskip("mixture_of_experts", reason="the extra peers is not installed: mixture-of-experts")
    layer = DroppingMixture(16, 32, 4)

    # Tokens alike choose alike: of 64 an expert takes 2 / 4 of them, and the last ones give nothing.
    out = layer.eval()(drawn(1, 16).expand(64, 16))

    assert out[0].any()
    assert not out[-1].any()


def test_the_case_file_names_layers_that_there_are() -> None:
    cases = read_case_files([bundled_case_files()["experts"]])

    named = {case.point.layer.partition(":")[::2] for case in cases if is_user_layer(case.point.layer)}
    assert 10 == len(named)
    for module, name in named:
        assert issubclass(getattr(importlib.import_module(module), name), nn.Module)
    assert {(True, 2)} == {(case.side_by_side, case.point.threads) for case in cases}
