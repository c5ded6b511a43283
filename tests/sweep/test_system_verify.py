"""A system's answer is held against float64: a wrong row, choice or gradient is told, and rounding is not."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from capratio.layers.act import AdaptiveComputationTime
from capratio.layers.conditional_layer import Outcome
from capratio.layers.memory_table import MemoryTable
from capratio.layers.systems_table import SYSTEM_CLASSES
from capratio.sweep.references.moved import moved, squared_distance
from capratio.sweep.system_trial import Batch, SystemCall
from capratio.sweep.system_verify import verify_gradients, verify_outcome
from capratio.sweep.verify import VERIFIED_TOKENS, WrongAnswerError

P, ENTRIES = 256, 64
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
KINDS = [("ids", "add"), ("sign-lsh", "concat"), ("euclidean-lsh", "add"), ("softmax", "add"), ("softmax", "expert")]
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_kind = pytest.mark.parametrize(("lookup", "consumption"), KINDS)


def built(
    lookup: str, consumption: str, dtype: torch.dtype = torch.float32, weight_gradient: str = "dense"
) -> MemoryTable:
    torch.manual_seed(5)
    q = P + 32 if consumption == "concat" else P
    return MemoryTable(
        P,
        q,
        lookup=lookup,
        consumption=consumption,
        entries=ENTRIES,
        weight_gradient=weight_gradient,
        backend="reference",
        dtype=dtype,
    )


def batch_for(layer: MemoryTable, tokens: int = 20) -> Batch:
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(tokens, P, generator=generator).to(layer.dtype)
    return Batch(x, torch.randint(ENTRIES, (tokens,), generator=generator) if layer.takes_ids else None, 0)


def answered(layer: MemoryTable, batch: Batch) -> Outcome:
    return SystemCall(layer, "forward", None).outcome(batch)


def told_wrong(verify: Callable[[], None]) -> str | None:
    """What is said to be wrong, or None."""
    try:
        verify()
    except WrongAnswerError as error:
        return str(error)
    return None


def one_row_on(layer: MemoryTable, batch: Batch) -> Outcome:
    """The answer with the right choices, of a layer that reads the row after the one that it should."""
    table = next(parameter for name, parameter in layer.named_parameters() if name.startswith("consumption."))
    with torch.no_grad():
        right = table.clone()
        table.copy_(right.roll(1, 0))
        wrong = answered(layer, batch)
        table.copy_(right)
    return wrong


@every_dtype
@every_kind
@pytest.mark.parametrize("tokens", [0, 1, 20, VERIFIED_TOKENS + 6])
def test_a_right_answer_passes(lookup: str, consumption: str, dtype: torch.dtype, tokens: int) -> None:
    layer = built(lookup, consumption, dtype)
    batch = batch_for(layer, tokens)
    right = answered(layer, batch)

    assert told_wrong(lambda: verify_outcome(layer, batch.x, right)) is None
    # The same call tells the answer that is not there, wherever it looks at one.
    missing = replace(right, out=torch.zeros_like(right.out))
    assert (tokens > 0) == (told_wrong(lambda: verify_outcome(layer, batch.x, missing)) is not None)


# A softmax's share of a row, or 32 features behind 256, are less than what bfloat16 rounds off the token.
@pytest.mark.parametrize(
    ("lookup", "consumption", "dtype"),
    [(*kind, dtype) for kind in KINDS for dtype in DTYPES[:3]]
    + [("ids", "add", torch.bfloat16), ("euclidean-lsh", "add", torch.bfloat16)],
)
def test_the_row_after_the_right_one_is_told(lookup: str, consumption: str, dtype: torch.dtype) -> None:
    layer = built(lookup, consumption, dtype)
    batch = batch_for(layer)

    with pytest.raises(WrongAnswerError, match=r"the output is .* tolerances away from the float64 reference"):
        verify_outcome(layer, batch.x, one_row_on(layer, batch))


@every_dtype
@pytest.mark.parametrize("token", [0, 19])
def test_one_token_with_a_wrong_row_among_many_is_told(dtype: torch.dtype, token: int) -> None:
    layer = built("sign-lsh", "add", dtype)
    batch = batch_for(layer)
    right, wrong = answered(layer, batch), one_row_on(layer, batch)
    out = right.out.clone()
    out[token] = wrong.out[token]

    with pytest.raises(WrongAnswerError, match="the output"):
        verify_outcome(layer, batch.x, replace(right, out=out))


@every_dtype
@every_kind
def test_a_choice_of_the_next_entry_is_told_though_its_row_is_read(
    lookup: str, consumption: str, dtype: torch.dtype
) -> None:
    layer = built(lookup, consumption, dtype)
    batch = batch_for(layer)
    wrong = one_row_on(layer, batch)
    rows = (wrong.decisions["rows"] - 1) % ENTRIES

    with pytest.raises(WrongAnswerError, match="a choice differs from the float64 reference: token 0 goes to entry"):
        verify_outcome(layer, batch.x, replace(wrong, decisions=wrong.decisions | {"rows": rows}))


def test_an_output_that_is_no_number_is_told() -> None:
    layer = built("sign-lsh", "add")
    batch = batch_for(layer)
    right = answered(layer, batch)

    with pytest.raises(WrongAnswerError, match="nan tolerances"):
        verify_outcome(layer, batch.x, replace(right, out=right.out * torch.nan))


def has_gradients(layer: torch.nn.Module) -> bool:
    """Whether what was compared was more than zeros."""
    return any(p.grad is not None and bool(p.grad.to_dense().count_nonzero()) for p in layer.parameters())


def trained(layer: MemoryTable, tokens: int = 20) -> tuple[SystemCall, Batch]:
    """A training call with a gradient for the output, and what it is given."""
    incoming = torch.randn(tokens, layer.out_features, generator=torch.Generator().manual_seed(3)).to(layer.dtype)
    return SystemCall(layer, "train", incoming), batch_for(layer, tokens)


@every_dtype
@every_kind
@pytest.mark.parametrize("tokens", [0, 20, VERIFIED_TOKENS + 6])
def test_right_gradients_pass(lookup: str, consumption: str, dtype: torch.dtype, tokens: int) -> None:
    call, batch = trained(built(lookup, consumption, dtype), tokens)

    assert told_wrong(lambda: verify_gradients(call, batch)) is None
    assert has_gradients(call.layer) == (tokens > 0)


@every_dtype
def test_right_gradients_of_touched_rows_pass(dtype: torch.dtype) -> None:
    call, batch = trained(built("sign-lsh", "add", dtype, weight_gradient="touched"))

    assert told_wrong(lambda: verify_gradients(call, batch)) is None
    assert has_gradients(call.layer)


HALF = [torch.bfloat16, torch.float16]
# Layers whose terms cancel: halting units by what two states differ, scalars by what a network corrects.
CANCELLING = [
    ("act", {"hidden": 16}),
    ("act", {"hidden": 64, "max_steps": 16}),
    ("altup", {"hidden": 16, "form": "recycled"}),
    ("altup", {"hidden": 16, "form": "sequence"}),
]


def of_half(name: str, options: dict[str, int | str], dtype: torch.dtype, seed: int) -> tuple[SystemCall, Batch]:
    torch.manual_seed(seed)
    layer = SYSTEM_CLASSES[name](24, 24, **options, backend="reference", dtype=dtype)
    if isinstance(layer, AdaptiveComputationTime):
        # So that tokens take many steps.
        torch.nn.init.constant_(layer.halting_bias, -2.0)
    x, incoming = torch.randn(2, 12, 24).to(dtype).unbind()
    return SystemCall(layer, "train", incoming), Batch(x, None, 0)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize(("name", "options"), CANCELLING)
def test_right_gradients_of_half_types_pass_where_terms_cancel(
    name: str, options: dict[str, int | str], dtype: torch.dtype
) -> None:
    for seed in range(3):
        call, batch = of_half(name, options, dtype, seed)

        assert told_wrong(lambda call=call, batch=batch: verify_gradients(call, batch)) is None  # type: ignore[misc]
        assert has_gradients(call.layer)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize(
    ("name", "options", "parameter"),
    [(*CANCELLING[0], "halting_weight"), (*CANCELLING[0], "weight_state"), (*CANCELLING[3], "updates.prediction")],
)
def test_a_wrong_gradient_of_half_types_is_told_where_terms_cancel(
    name: str, options: dict[str, int | str], parameter: str, dtype: torch.dtype
) -> None:
    for seed in range(2):
        call, batch = of_half(name, options, dtype, seed)
        spoil(call.layer.get_parameter(parameter), torch.neg)

        with pytest.raises(WrongAnswerError, match=f"the gradient of {parameter}"):
            verify_gradients(call, batch)


def test_operands_are_moved_by_at_most_half_a_rounding() -> None:
    ones, generator = torch.ones(4, 10000, dtype=torch.float64), torch.Generator().manual_seed(0)

    one, other = (moved(ones, 0.1, generator) for _ in range(2))

    assert 0.049 < float((one - 1).abs().max()) <= 0.05
    assert not torch.equal(one, other)
    # Uniform within ± 0.05: a variance of 0.01 / 12, of each of 10,000 elements.
    assert torch.allclose(torch.full((4,), 100 / 12).double(), squared_distance(ones, one), rtol=0.05)


Change = Callable[[torch.Tensor], torch.Tensor]


def spoil(tensor: torch.Tensor, change: Change) -> None:
    """Let a tensor's gradient be another one."""
    tensor.register_hook(change)  # type: ignore[no-untyped-call]


def other_row(gradient: torch.Tensor) -> torch.Tensor:
    """The gradient with each row's at the next one."""
    if not gradient.is_sparse:
        return gradient.roll(1, 0)
    indices = (gradient._indices() + 1) % ENTRIES
    return torch.sparse_coo_tensor(indices, gradient._values(), gradient.shape, check_invariants=False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("change", [lambda g: g * 1.1, lambda g: g * 0.0, lambda g: -g, other_row])
@pytest.mark.parametrize(
    ("lookup", "consumption", "mode", "name"),
    [
        ("sign-lsh", "add", "dense", "consumption.table"),
        ("sign-lsh", "add", "touched", "consumption.table"),
        ("softmax", "add", "dense", "lookup.router"),
        ("softmax", "expert", "dense", "consumption.weight_in"),
        ("softmax", "expert", "dense", "consumption.weight_out"),
    ],
)
def test_a_wrong_gradient_of_a_parameter_is_told_by_its_name(
    lookup: str, consumption: str, mode: str, name: str, change: Change, dtype: torch.dtype
) -> None:
    layer = built(lookup, consumption, dtype, mode)
    spoil(layer.get_parameter(name), change)

    with pytest.raises(WrongAnswerError, match=f"the gradient of {name}.* is .* tolerances away from the float64"):
        verify_gradients(*trained(layer))


def test_a_gradient_at_a_row_that_no_token_reads_is_told() -> None:
    layer = built("sign-lsh", "add")
    call, batch = trained(layer, 3)
    unread = next(row for row in range(ENTRIES) if row not in answered(layer, batch).decisions["rows"])

    def spoilt(gradient: torch.Tensor) -> torch.Tensor:
        gradient = gradient.clone()
        gradient[unread, 5] = 1e-30
        return gradient

    spoil(layer.get_parameter("consumption.table"), spoilt)

    with pytest.raises(WrongAnswerError, match=r"consumption.table is not zero at 1 elements that no compared token"):
        verify_gradients(call, batch)


@pytest.mark.parametrize("change", [lambda g: g * 1.1, lambda g: g.roll(1, 0), lambda g: g * 0.0])
def test_a_wrong_gradient_of_the_input_is_told(change: Change) -> None:
    call, batch = trained(built("softmax", "expert"))
    spoil(batch.x.requires_grad_(), change)

    with pytest.raises(WrongAnswerError, match=r"the gradient of the input is .* tolerances away"):
        verify_gradients(call, batch)


def test_a_layer_that_gives_the_input_no_gradient_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = built("softmax", "expert")
    right = layer._compute
    monkeypatch.setattr(layer, "_compute", lambda x, generator, ids: right(x.detach(), generator, ids))

    with pytest.raises(WrongAnswerError, match="the gradient of the input"):
        verify_gradients(*trained(layer))
