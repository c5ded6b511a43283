"""Memory tables compute their formulas in all twelve combinations, and a wrong entry is seen."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from capratio.layers.conditional_layer import Outcome
from capratio.layers.memory_table import MemoryTable
from capratio.sweep.references.contract import Parameters
from capratio.sweep.references.memory_table import MemoryTableReference
from tests.layers.memory_tables import KINDS, E, P, built, drawn, ids_for

TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 0.04, torch.float16: 0.005}
REFERENCE = MemoryTableReference()


def eps(dtype: torch.dtype) -> float:
    return torch.finfo(torch.float64 if dtype == torch.float64 else torch.float32).eps


def expected(layer: MemoryTable, parameters: Parameters, x: torch.Tensor, outcome: Outcome) -> torch.Tensor:
    rows = [REFERENCE.output(layer.spec, parameters, x, token, outcome.decisions) for token in range(len(x))]
    return torch.stack(rows) if rows else torch.empty(0, layer.out_features, dtype=torch.float64)


def wrong(layer: MemoryTable, x: torch.Tensor, decisions: dict[str, torch.Tensor]) -> str | None:
    return REFERENCE.wrong_decision(layer.spec, Parameters(layer.state_dict()), x.double(), decisions, eps(x.dtype))


def check(layer: MemoryTable, x: torch.Tensor, ids: torch.Tensor | None) -> None:
    outcome = layer.outcome(x, ids=ids)

    assert wrong(layer, x, outcome.decisions) is None
    assert x.dtype == outcome.out.dtype
    answer = expected(layer, Parameters(layer.state_dict()), x.double(), outcome)
    assert torch.allclose(answer, outcome.out.double(), rtol=0, atol=TOLERANCES[x.dtype])


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("lookup, consumption", KINDS)
def test_a_table_computes_its_formula(lookup: str, consumption: str, dtype: torch.dtype) -> None:
    for tables, tokens in ((1, 7), (3, 7), (1, 0), (2, 1)):
        layer = built(lookup, consumption, dtype, tables=tables)

        check(layer, drawn(tokens, P, dtype=dtype), ids_for(layer, tokens))


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    sizes=st.tuples(st.integers(1, 11), st.integers(0, 4), st.integers(1, 3), st.integers(0, 6)),
    own=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_a_table_of_any_size_computes_its_formula(
    kind: tuple[str, str], sizes: tuple[int, int, int, int], own: int, seed: int
) -> None:
    lookup, consumption = kind
    p, bits, tables, tokens = sizes
    # Only the hash by signs needs a power of two.
    options: dict[str, Any] = {"tables": tables, "entries": 2**bits if lookup == "sign-lsh" else 2**bits + own - 1}
    if lookup == "softmax":
        options["top_k"] = min(own, 2**bits)
    if lookup == "euclidean-lsh":
        options |= {"projections": own, "width": own / 3, "seed": seed}
    if consumption == "expert":
        options["rank"] = own
    layer = built(lookup, consumption, p=p, **options)

    check(layer, drawn(tokens, p, seed=seed), ids_for(layer, tokens, seed))


@pytest.mark.parametrize("lookup, consumption", KINDS)
def test_all_gradients_are_those_of_the_formula(lookup: str, consumption: str) -> None:
    layer = built(lookup, consumption, tables=2)
    x, ids = drawn(7, P).requires_grad_(), ids_for(layer, 7)
    incoming = drawn(7, layer.out_features, seed=1)
    outcome = layer.outcome(x, ids=ids)
    outcome.out.backward(incoming)  # type: ignore[no-untyped-call]
    exact, parameters = x.detach().clone().requires_grad_(), Parameters(layer.state_dict())

    expected(layer, parameters, exact, outcome).backward(incoming)  # type: ignore[no-untyped-call]

    assert torch.allclose(exact.grad, x.grad, atol=1e-12)  # type: ignore[arg-type]
    for name, parameter in layer.named_parameters():
        answer = torch.zeros_like(parameter)
        for (read, place), value in parameters.read.items():
            if read == name and value.grad is not None:
                answer[place] += value.grad
        assert torch.allclose(answer, parameter.grad, atol=1e-12)  # type: ignore[arg-type]


@pytest.mark.parametrize("lookup, consumption", KINDS)
def test_gradients_are_finite_differences(lookup: str, consumption: str) -> None:
    layer = built(lookup, consumption, p=3, entries=4)
    ids = ids_for(layer, 3)

    def evaluate(x: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = layer(x, ids=ids)
        return out

    assert torch.autograd.gradcheck(evaluate, (drawn(3, 3).requires_grad_(), *layer.parameters()))


@pytest.mark.parametrize("lookup, consumption", KINDS)
def test_a_wrong_choice_is_seen(lookup: str, consumption: str) -> None:
    layer, x = built(lookup, consumption, tables=2), drawn(7, P)
    ids = ids_for(layer, 7)
    outcome = layer.outcome(x, ids=ids)

    # The next entry of the last table, in its place or as the first of it.
    shifted = outcome.decisions["rows"].clone()
    shifted[3, -1] = E + (shifted[3, -1] + 1) % E
    doubled = outcome.decisions["rows"].clone()
    doubled[5, -1] = doubled[5, -1] - E

    assert wrong(layer, x, outcome.decisions) is None
    for rows, token in ((shifted, 3), (doubled, 5)):
        found = wrong(layer, x, {**outcome.decisions, "rows": rows})
        assert found is not None
        assert found.startswith(f"token {token} goes to entry ")


@pytest.mark.parametrize("lookup, consumption", KINDS)
def test_a_wrong_entry_is_seen(lookup: str, consumption: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = built(lookup, consumption), drawn(7, P)
    consume = type(layer.consumption).forward
    monkeypatch.setattr(
        type(layer.consumption),
        "forward",
        lambda self, x, found, backend: consume(self, x, found._replace(rows=(found.rows + 1) % E), backend),
    )

    outcome = layer.outcome(x, ids=ids_for(layer, 7))

    answer = expected(layer, Parameters(layer.state_dict()), x, outcome)
    assert bool(((answer - outcome.out).abs().amax(1) > 1e-3).all())


def test_entries_out_of_order_are_seen() -> None:
    layer, x = built("softmax", "add", top_k=3), drawn(7, P)
    decisions = layer.outcome(x).decisions

    found = wrong(layer, x, {"rows": decisions["rows"].flip(1)})

    assert found is not None
    assert "which are not in the order of their scores" in found


def test_entries_whose_scores_tie_are_taken_in_either_order() -> None:
    layer, x = built("softmax", "add", top_k=2, entries=3), drawn(1, P)
    router = layer.get_parameter("lookup.router")
    with torch.no_grad():
        router[0] = router[1] = x[0]
        router[2] = -x[0]

    assert {0, 1} == set(layer.outcome(x).decisions["rows"][0].tolist())
    for rows in ([0, 1], [1, 0]):
        assert wrong(layer, x, {"rows": torch.tensor([rows])}) is None
    assert "where another is higher" in str(wrong(layer, x, {"rows": torch.tensor([[0, 2]])}))
