"""Hugging Face's experts give, on our weights, what the formula says, and say what they cannot do."""

import importlib
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import gelu, silu

from capratio.errors import InputError
from capratio.kernels.expert_feedforward import expert_feedforward

BACKENDS = ("hf-eager", "hf-batched-mm", "hf-grouped-mm")
CURVES = {"relu": torch.relu, "gelu": gelu, "geglu": gelu, "swiglu": silu}
GATED = ("geglu", "swiglu")
PACKAGE_MISSING = "the extra peers is not installed: transformers"

sizes = settings(max_examples=25, deadline=None)
Tables = tuple[torch.Tensor, torch.Tensor]


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def chosen(tokens: int, top_k: int, experts: int, least: int = 0) -> torch.Tensor:
    return torch.randint(least, experts, (tokens, top_k), generator=torch.Generator().manual_seed(4))


def tables(experts: int, p: int, h: int, activation: str) -> Tables:
    return drawn(experts, 2 * h if activation in GATED else h, p, seed=1), drawn(experts, p, h, seed=2)


def naive(x: torch.Tensor, weights: Tables, expert: torch.Tensor, share: torch.Tensor, activation: str) -> torch.Tensor:
    out = torch.zeros(x.shape, dtype=torch.float64)
    for n, j in torch.cartesian_prod(*map(torch.arange, expert.shape)).tolist():
        e = int(expert[n, j])
        if e < 0:
            continue
        before = weights[0][e].double() @ x[n].double()
        hidden = CURVES[activation](before)
        if activation in GATED:
            gate, value = before.chunk(2)
            hidden = CURVES[activation](gate) * value
        out[n] += share[n, j].double() * (weights[1][e].double() @ hidden)
    return out


@sizes
@given(
    tokens=st.integers(0, 9),
    top_k=st.integers(1, 3),
    experts=st.integers(1, 6),
    p=st.sampled_from((4, 8)),
    h=st.sampled_from((4, 12)),
    activation=st.sampled_from(sorted(CURVES)),
    absent=st.booleans(),
    backend=st.sampled_from(BACKENDS),
)
def test_the_package_computes_what_the_formula_says(
    tokens: int, top_k: int, experts: int, p: int, h: int, activation: str, absent: bool, backend: str
) -> None:
    pytest.importorskip("transformers", reason=PACKAGE_MISSING)
    if absent and backend == "hf-eager" and activation not in GATED:
        # Refused, as a test below says.
        absent = False
    x, weights = drawn(tokens, p), tables(experts, p, h, activation)
    expert, share = chosen(tokens, top_k, experts, -1 if absent else 0), drawn(tokens, top_k, seed=3)

    out = expert_feedforward(x, *weights, expert, share, activation, backend)

    assert torch.allclose(naive(x, weights, expert, share, activation), out.double(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_shares_of_half_types_may_be_float32(backend: str) -> None:
    pytest.importorskip("transformers", reason=PACKAGE_MISSING)
    x, (first, second) = drawn(5, 8).bfloat16(), tables(3, 8, 8, "relu")
    weights = first.bfloat16(), second.bfloat16()
    expert, share = chosen(5, 2, 3), drawn(5, 2, seed=3)

    out = expert_feedforward(x, *weights, expert, share, "relu", backend)

    expected = naive(x, weights, expert, share, "relu")
    assert torch.bfloat16 == out.dtype
    assert torch.allclose(expected, out.double(), rtol=0.05, atol=0.05 * float(expected.abs().max()))


@pytest.mark.parametrize("backend", BACKENDS)
def test_another_expert_is_seen(backend: str) -> None:
    pytest.importorskip("transformers", reason=PACKAGE_MISSING)
    x, weights, expert, share = drawn(6, 8), tables(3, 8, 8, "relu"), chosen(6, 2, 3), drawn(6, 2, seed=3)

    wrong = expert_feedforward(x, *weights, (expert + 1) % 3, share, "relu", backend)

    assert not torch.allclose(naive(x, weights, expert, share, "relu"), wrong.double(), rtol=1e-2, atol=1e-2)


def test_what_the_package_cannot_do_is_refused_in_a_sentence() -> None:
    pytest.importorskip("transformers", reason=PACKAGE_MISSING)
    x, weights, expert, share = drawn(2, 8), tables(3, 8, 8, "relu"), chosen(2, 2, 3), drawn(2, 2)

    with pytest.raises(InputError, match=r"'hf-eager' gives no gradients; call it under torch.inference_mode"):
        expert_feedforward(x.clone().requires_grad_(), *weights, expert, share, "relu", "hf-eager")
    with pytest.raises(InputError, match="'hf-batched-mm' was given experts from 8 to 4 features"):
        expert_feedforward(x, weights[0], weights[1][:, :4], expert, share, "relu", "hf-batched-mm")
    with pytest.raises(InputError, match="'hf-eager' was given tokens without an expert"):
        expert_feedforward(x, *weights, expert - 1, share, "relu", "hf-eager")
    doubles = weights[0].double(), weights[1].double()
    with pytest.raises(InputError, match=r"'hf-grouped-mm' was given torch.float64 and widths of 8"):
        expert_feedforward(x.double(), *doubles, expert, share.double(), "relu", "hf-grouped-mm")
    with pytest.raises(InputError, match=r"'hf-grouped-mm' was given torch.float32 and widths of 6, 8"):
        expert_feedforward(x, weights[0][:, :6], weights[1][:, :, :6], expert, share, "relu", "hf-grouped-mm")
    with pytest.raises(InputError, match="the expert 3 was given for tables of 3 experts"):
        expert_feedforward(x, *weights, expert.clamp_min(3), share, "relu", "hf-grouped-mm")


def test_a_package_that_is_missing_is_said_to_be_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers.activations", None)
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.delitem(sys.modules, "capratio.kernels.expert_feedforward.hugging_face", raising=False)

    with pytest.raises(InputError, match=r"need the package transformers, which is not installed.*capratio\[peers\]"):
        importlib.import_module("capratio.kernels.expert_feedforward.hugging_face")
