"""What memory tables owe their papers: limits that are plain layers, probabilities of their hashes, and losses."""

from math import cos, erf, exp, log, pi, sin, sqrt
from typing import Any

import pytest
import torch
from scipy.stats import binom
from torch.nn.functional import relu

from capratio.layers.memory_table import MemoryTable

# A false alarm of both sides together in one of a million runs.
RARE = 5e-7


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def built(p: int, q: int, **options: Any) -> MemoryTable:
    torch.manual_seed(7)
    return MemoryTable(p, q, dtype=torch.float64, **options)


def entries(layer: MemoryTable, x: torch.Tensor) -> torch.Tensor:
    """The entry of each table: (N, tables)."""
    rows = layer.outcome(x).decisions["rows"]
    return rows - torch.arange(rows.shape[1]) * layer.spec.entries


@pytest.mark.parametrize("lookup", ["ids", "sign-lsh", "euclidean-lsh", "softmax"])
def test_a_table_of_one_entry_is_a_plain_layer(lookup: str) -> None:
    x, one = drawn(7, 5), {"lookup": lookup, "entries": 1} | ({"top_k": 1} if lookup == "softmax" else {})
    ids = torch.zeros(7, dtype=torch.int64) if lookup == "ids" else None
    add, concat, expert = (
        built(5, q, consumption=consumption, **one) for q, consumption in ((5, "add"), (8, "concat"), (5, "expert"))
    )
    row, behind = add.get_parameter("consumption.table"), concat.get_parameter("consumption.table")
    first, second = (expert.get_parameter(f"consumption.weight_{name}")[0] for name in ("in", "out"))

    assert torch.allclose(x + row[0], add(x, ids=ids))
    assert torch.allclose(torch.cat([x, behind.expand(7, 3)], 1), concat(x, ids=ids))
    assert torch.allclose(x + relu(x @ first.T) @ second.T, expert(x, ids=ids))


def test_a_token_reads_the_row_of_its_id_in_each_table() -> None:
    layer, x = built(5, 5, lookup="ids", entries=6, tables=2), drawn(3, 5)
    table = layer.get_parameter("consumption.table")

    out = layer(x, ids=torch.tensor([4, 0, 5]))

    assert torch.allclose(x + table[[4, 0, 5]] + table[[6 + 4, 6 + 0, 6 + 5]], out)


@pytest.mark.parametrize("lookup", ["sign-lsh", "euclidean-lsh"])
def test_equal_tokens_share_their_entries_and_tables_differ(lookup: str) -> None:
    layer, x = built(6, 6, lookup=lookup, entries=64, tables=3), drawn(40, 6)

    found = entries(layer, torch.cat([x, x.clone()]))

    assert torch.equal(found[:40], found[40:])
    assert not torch.equal(found[:, 0], found[:, 1])
    assert not torch.equal(found[:, 1], found[:, 2])


@pytest.mark.parametrize("lookup", ["sign-lsh", "euclidean-lsh"])
def test_a_seed_fixes_the_hash(lookup: str) -> None:
    x = drawn(40, 6)
    one, same, other = (built(6, 6, lookup=lookup, entries=64, seed=seed) for seed in (3, 3, 4))

    assert torch.equal(entries(one, x), entries(same, x))
    assert not torch.equal(entries(one, x), entries(other, x))


def in_bounds(count: int, of: int, probability: float) -> bool:
    return bool(binom.ppf(RARE, of, probability) <= count <= binom.ppf(1 - RARE, of, probability))


@pytest.mark.parametrize("planes", [1, 3])
@pytest.mark.parametrize("angle", [pi / 6, pi / 2, 5 * pi / 6])
def test_tokens_at_an_angle_share_an_entry_by_signs_as_often_as_planes_leave_them_together(
    angle: float, planes: int
) -> None:
    tables = 4000
    layer = built(5, 5, entries=2**planes, tables=tables)
    # Two unit vectors of that angle in a plane of its own.
    basis = torch.linalg.qr(drawn(5, 2, seed=2)).Q
    x = torch.stack([basis[:, 0], cos(angle) * basis[:, 0] + sin(angle) * basis[:, 1]])

    one, other = entries(layer, 3 * x)

    assert in_bounds(int((one == other).sum()), tables, (1 - angle / pi) ** planes)


def test_the_first_plane_gives_the_highest_bit() -> None:
    layer, x = built(5, 5, entries=8), drawn(50, 5)
    planes = layer.lookup.get_buffer("planes")[0]

    above = x @ planes.T > 0

    assert [int("".join("01"[bit] for bit in row), 2) for row in above.tolist()] == entries(layer, x)[:, 0].tolist()


@pytest.mark.parametrize("distance", [0.4, 1.5, 6.0])
def test_tokens_at_a_distance_share_a_step_as_often_as_gaussian_projections_do(distance: float) -> None:
    # So many entries that no two steps of these tokens meet in one by the remainder.
    tables, width = 4000, 2.0
    layer = built(5, 5, lookup="euclidean-lsh", entries=64, tables=tables, width=width)
    x = drawn(1, 5)
    direction = drawn(1, 5, seed=1)
    other = x + distance * direction / direction.norm()

    first, second = entries(layer, torch.cat([x, other]))

    # Datar, Immorlica, Indyk & Mirrokni 2004, section 3.2: with r = width / distance,
    # 1 − 2 Φ(−r) − 2 / (√(2π) r) (1 − exp(−r² / 2)).
    r = width / distance
    probability = erf(r / sqrt(2)) - 2 / (sqrt(2 * pi) * r) * (1 - exp(-(r**2) / 2))
    assert in_bounds(int((first == second).sum()), tables, probability)


def test_a_step_of_one_width_along_a_slope_leads_to_the_next_entry() -> None:
    layer, x = built(5, 5, lookup="euclidean-lsh", entries=7, width=0.3), drawn(30, 5)
    slope = layer.lookup.get_buffer("slopes")[0, 0]

    moved = x + 0.3 * slope / slope.square().sum()

    assert torch.equal((entries(layer, x) + 1) % 7, entries(layer, moved))


def test_several_projections_are_combined_by_fixed_multipliers() -> None:
    layer, x = built(5, 5, lookup="euclidean-lsh", entries=64, projections=3), drawn(30, 5)
    slopes, offsets = layer.lookup.get_buffer("slopes")[0], layer.lookup.get_buffer("offsets")[0]
    multipliers = layer.lookup.get_buffer("multipliers").tolist()

    steps = torch.floor(x @ slopes.T + offsets).int().tolist()

    wanted = [sum(times * step for times, step in zip(multipliers, row, strict=True)) % 64 for row in steps]
    assert wanted == entries(layer, x)[:, 0].tolist()
    assert 1 == multipliers[0]
    assert all(times % 2 == 1 for times in multipliers)


@pytest.mark.parametrize("lookup", ["sign-lsh", "euclidean-lsh"])
def test_a_hash_is_no_parameter_and_passes_no_gradient(lookup: str) -> None:
    layer, x = built(5, 5, lookup=lookup, entries=8, tables=2), drawn(7, 5).requires_grad_()
    incoming = drawn(7, 5, seed=1)

    layer(x).backward(incoming)

    assert ["consumption.table"] == [name for name, _ in layer.named_parameters()]
    assert not any(fixed.requires_grad for fixed in layer.buffers())
    assert {f"lookup.{name}" for name, _ in layer.lookup.named_buffers()} < set(layer.state_dict())
    # The token passes through, and nothing else reads it.
    assert torch.equal(incoming, x.grad)  # type: ignore[arg-type]


@pytest.mark.parametrize("weight_gradient", ["dense", "touched"])
@pytest.mark.parametrize("consumption", ["add", "concat"])
def test_gradients_reach_the_rows_that_were_read_alone(consumption: str, weight_gradient: str) -> None:
    q = 8 if consumption == "concat" else 5
    layer = built(5, q, consumption=consumption, entries=64, tables=2, weight_gradient=weight_gradient)
    rows = layer.outcome(drawn(7, 5)).decisions["rows"]

    layer(drawn(7, 5)).sum().backward()

    gradient = layer.get_parameter("consumption.table").grad
    assert gradient is not None
    assert (weight_gradient == "touched") == gradient.is_sparse
    # Each of a sum's rows gets 1 for every token that read it.
    assert torch.equal(torch.bincount(rows.flatten(), minlength=128).double(), gradient.to_dense()[:, 0])


def test_all_entries_together_are_the_whole_mixture() -> None:
    layer, x = built(5, 5, lookup="softmax", entries=6, top_k=6), drawn(7, 5)
    router, table = layer.get_parameter("lookup.router"), layer.get_parameter("consumption.table")

    assert torch.allclose(x + torch.softmax(x @ router.T, 1) @ table, layer(x))


def test_the_shares_of_the_highest_are_those_of_a_softmax_over_all_entries() -> None:
    layer = built(1, 1, lookup="softmax", entries=3, top_k=2)
    router, table = layer.get_parameter("lookup.router"), layer.get_parameter("consumption.table")
    with torch.no_grad():
        router.copy_(torch.tensor([[log(1)], [log(5)], [log(2)]]))
        table.copy_(torch.tensor([[1.0], [10.0], [100.0]]))

    # Shares of 1/8, 5/8 and 2/8, of which the smallest is left out and the others stay as they are.
    assert pytest.approx(1 + 50 / 8 + 200 / 8) == float(layer(torch.ones(1, 1, dtype=torch.float64)).detach())


def test_each_table_has_a_softmax_of_its_own() -> None:
    both, x = built(5, 5, lookup="softmax", entries=6, top_k=6, tables=2), drawn(7, 5)
    router, table = both.get_parameter("lookup.router"), both.get_parameter("consumption.table")

    halves = [torch.softmax(x @ router[part].T, 1) @ table[part] for part in (slice(6), slice(6, 12))]

    assert torch.allclose(x + halves[0] + halves[1], both(x))


def test_the_balance_loss_by_hand() -> None:
    layer = built(1, 1, lookup="softmax", entries=2, top_k=1)
    router = layer.get_parameter("lookup.router")
    with torch.no_grad():
        router.copy_(torch.tensor([[log(3)], [0.0]]))
    # Two tokens have probabilities (3/4, 1/4), one (1/4, 3/4): f = (2/3, 1/3), P = (7/12, 5/12), 2 (14 + 5) / 36.
    outcome = layer.outcome(torch.tensor([[1.0], [1.0], [-1.0]], dtype=torch.float64))

    loss = layer.losses(outcome)["balance"]
    loss.backward()  # type: ignore[no-untyped-call]

    assert pytest.approx(19 / 18) == loss.item()
    # f is a constant: dL/dlogit = 2 Σ_n (f_0 − f_1) p_0 p_1 / 3 for each of x = 1, 1, −1 in turn, with x.
    slope = 2 * (1 / 3) * (3 / 16) / 3 * (1 + 1 - 1)
    assert router.grad is not None
    assert pytest.approx([slope, -slope]) == router.grad.flatten().tolist()


def test_the_balance_losses_of_tables_are_added_and_none_has_no_tokens() -> None:
    layer, x = built(5, 5, lookup="softmax", entries=6, tables=2), drawn(40, 5)
    router = layer.get_parameter("lookup.router")
    wanted = 0.0
    for part in (slice(6), slice(6, 12)):
        probabilities = torch.softmax(x @ router[part].detach().T, 1)
        highest = torch.bincount(probabilities.argmax(1), minlength=6) / 40
        wanted += 6 * float((highest * probabilities.mean(0)).sum())

    assert pytest.approx(wanted) == layer.losses(layer.outcome(x))["balance"].item()
    assert 0 == layer.losses(layer.outcome(x[:0]))["balance"].item()


def test_a_layer_without_a_router_has_no_losses() -> None:
    layer = built(5, 5, entries=8)

    assert {} == layer.losses(layer.outcome(drawn(7, 5)))


@pytest.mark.parametrize("lookup", ["sign-lsh", "softmax"])
def test_a_direction_leads_to_its_entry(lookup: str) -> None:
    layer = built(64, 64, lookup=lookup, entries=16)
    directions = layer.routing_directions()
    assert directions is not None

    found = layer.outcome(100 * directions).decisions["rows"][:, 0]

    assert list(range(16)) == found.tolist()
    # Of any token the highest product is the entry's.
    x = drawn(50, 64)
    assert torch.equal((x @ directions.T).argmax(1), layer.outcome(x).decisions["rows"][:, 0])


def test_no_direction_leads_to_entries_of_several_tables_or_of_steps() -> None:
    assert built(5, 5, entries=8, tables=2).routing_directions() is None
    assert built(5, 5, entries=1).routing_directions() is None
    assert built(5, 5, lookup="euclidean-lsh", entries=8).routing_directions() is None
    assert built(5, 5, lookup="ids", entries=8).routing_directions() is None
