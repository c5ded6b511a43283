"""Peers compute what ours compute, refuse what they cannot, and are never chosen by themselves."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capratio.errors import InputError
from capratio.kernels.backends import BACKENDS, PEERS, REFERENCE, resolve_backend
from capratio.kernels.leaf_linear import gather_bmm, leaf_linear
from capratio.kernels.unit_lookup import unit_lookup
from capratio.sweep.case_group import SWEPT_WORDS

Naive = Callable[..., torch.Tensor]
LEAF_PEERS = ("grouped-mm", "gather-bmm")

shapes = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def drawn_rows(rows: int, *shape: int) -> torch.Tensor:
    return torch.randint(0, rows, shape, generator=torch.Generator().manual_seed(2))


def gradients(out: torch.Tensor, *of: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return torch.autograd.grad(out, of, drawn(*out.shape, seed=5))


@shapes
@given(
    tokens=st.integers(0, 9),
    p=st.sampled_from((4, 8)),
    q=st.sampled_from((4, 12)),
    rows=st.integers(1, 7),
    backend=st.sampled_from(LEAF_PEERS),
)
def test_leaf_linear_of_a_peer_equals_its_definition(
    naive_leaf_linear: Naive, tokens: int, p: int, q: int, rows: int, backend: str
) -> None:
    x, weight, node = drawn(tokens, p), drawn(rows, q, p, seed=3), drawn_rows(rows, tokens)

    out = leaf_linear(x, weight, node, backend)

    assert torch.allclose(naive_leaf_linear(x, weight, node), out.double(), atol=1e-4)


@shapes
@given(tokens=st.integers(0, 9), p=st.integers(1, 5), q=st.integers(1, 5), nodes=st.integers(1, 4))
def test_unit_lookup_of_a_peer_equals_its_definition(
    naive_unit_lookup: Naive, tokens: int, p: int, q: int, nodes: int
) -> None:
    x, table, node = drawn(tokens, p), drawn(11, q, seed=3), drawn_rows(11, tokens, p, nodes)

    out = unit_lookup(x, table, node, "embedding-bag")

    assert torch.allclose(naive_unit_lookup(x, table, node), out.double(), atol=1e-4)


@pytest.mark.parametrize("backend", LEAF_PEERS)
@pytest.mark.parametrize("tokens", [0, 1, 9])
def test_gradients_of_a_peer_of_leaf_linear_equal_the_references(backend: str, tokens: int) -> None:
    x, weight, node = drawn(tokens, 8).requires_grad_(), drawn(5, 4, 8).requires_grad_(), drawn_rows(5, tokens)

    expected = gradients(leaf_linear(x, weight, node, REFERENCE), x, weight)
    got = gradients(leaf_linear(x, weight, node, backend), x, weight)

    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(expected, got, strict=True))


@pytest.mark.parametrize("tokens", [0, 1, 9])
def test_gradients_of_a_peer_of_unit_lookup_equal_the_references(tokens: int) -> None:
    x, table, node = drawn(tokens, 3).requires_grad_(), drawn(11, 4).requires_grad_(), drawn_rows(11, tokens, 3, 2)

    expected = gradients(unit_lookup(x, table, node, REFERENCE), x, table)
    got = gradients(unit_lookup(x, table, node, "embedding-bag"), x, table)

    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(expected, got, strict=True))


@pytest.mark.parametrize(
    ("p", "q", "dtype", "sentence"),
    [(4, 4, torch.float64, "float64"), (6, 4, torch.float32, "6 features"), (8, 4, torch.bfloat16, "4 features")],
)
def test_what_grouped_mm_cannot_do_is_refused_in_a_sentence(p: int, q: int, dtype: torch.dtype, sentence: str) -> None:
    with pytest.raises(InputError, match=f"grouped-mm.*{sentence}.*use another backend"):
        leaf_linear(drawn(2, p).to(dtype), drawn(3, q, p).to(dtype), drawn_rows(3, 2), "grouped-mm")


@pytest.mark.cuda
def test_grouped_mm_refuses_more_matrices_than_torch_takes_on_cuda() -> None:
    x, weight = torch.ones(2, 8, device="cuda"), torch.ones(1024, 8, 8, device="cuda")

    with pytest.raises(InputError, match="fewer than 1024"):
        leaf_linear(x, weight, torch.zeros(2, dtype=torch.int64, device="cuda"), "grouped-mm")


def test_matrices_beyond_the_free_memory_are_not_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather_bmm, "SHARE_OF_FREE_MEMORY", 1e-12)

    with pytest.raises(InputError, match=r"gather-bmm.*matrices of 2 tokens"):
        leaf_linear(drawn(2, 4), drawn(3, 4, 4), drawn_rows(3, 2), "gather-bmm")


@pytest.mark.parametrize("folder", sorted(BACKENDS))
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_peer_is_chosen_by_its_name_alone(folder: str, device: str) -> None:
    assert resolve_backend(folder, "auto", torch.device(device)) not in PEERS
    for peer in set(PEERS) & set(BACKENDS[folder]):
        assert peer == resolve_backend(folder, peer, torch.device(device))


def test_a_layer_without_the_peer_is_refused_and_its_routing_is_the_devices_own() -> None:
    with pytest.raises(InputError, match="'grouped-mm' was given for unit_lookup"):
        resolve_backend("unit_lookup", "grouped-mm", torch.device("cpu"))

    assert "cpu" == resolve_backend("leaf_index", "grouped-mm", torch.device("cpu"))


def test_backends_of_case_files_are_those_that_there_are() -> None:
    assert set(PEERS) < set(SWEPT_WORDS["backend"])
