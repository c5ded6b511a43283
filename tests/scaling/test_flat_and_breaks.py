"""Flatness is decided by equivalence; breaks are found where a line bends, and named by what the records say."""

from collections.abc import Callable

import numpy as np
import pytest

from capratio.scaling.bootstrap import Floats
from capratio.scaling.breaks import Surroundings, bends, cache_capacities, named
from capratio.scaling.flat import is_flat, ratios
from capratio.scaling.local_slopes import local_slopes
from capratio.scaling.margins import Margins
from capratio.scaling.verdict import FitPoint

DEPTHS = np.arange(0.0, 13.0)


def paired(ratio: float, seed: int, processes: int = 7) -> list[tuple[Floats, Floats]]:
    noise = np.random.default_rng(seed).normal(0.0, 0.03, (2, 12, processes))
    return [(ratio * np.exp(noise[0, k]), np.exp(noise[1, k])) for k in range(12)]


@pytest.mark.parametrize("ratio, inside, outside", [(1.0, True, 0), (1.4, False, 12), (0.7, False, 12)])
def test_ratios_are_inside_or_outside_the_margin(ratio: float, inside: bool, outside: int, margins: Margins) -> None:
    found = ratios(paired(ratio, 1), margins, np.random.default_rng(0))

    assert inside == found.inside(margins.flat_ratio)
    assert outside == found.outside(margins.flat_ratio).sum()


def test_ratios_on_the_margin_are_neither_inside_nor_all_outside(margins: Margins) -> None:
    found = ratios(paired(1.15, 1), margins, np.random.default_rng(0))

    assert not found.inside(margins.flat_ratio)
    assert found.outside(margins.flat_ratio).sum() < 3


def test_ratios_on_the_margin_are_seldom_called_flat(margins: Margins) -> None:
    calls = [ratios(paired(1.15, seed)[:1], margins, np.random.default_rng(seed)).inside(0.15) for seed in range(200)]

    assert np.mean(calls) < 0.05


@pytest.mark.parametrize("growth, expected", [(0.0, True), (0.05, False)])
def test_what_does_not_grow_is_flat(growth: float, expected: bool, margins: Margins) -> None:
    rng = np.random.default_rng(0)
    values = [5e-4 * (1 + growth * k) * np.exp(rng.normal(0, 0.02, 7)) for k in range(12)]

    assert expected == is_flat(values, margins, rng)


def test_differences_around_zero_are_not_flat(margins: Margins) -> None:
    rng = np.random.default_rng(0)

    assert not is_flat([rng.normal(0, 1, 7) for _ in range(9)], margins, rng)


def leaving(cache: float, x: Floats) -> Floats:
    """Latency of one leaf of 1 MiB while 2^k of them share a cache."""
    missing = np.clip(1.0 - cache / (2.0**20 * 2.0**x), 0.0, None)
    return np.asarray(31e-6 + 82e-6 * missing)


@pytest.mark.parametrize("seed", range(5))
def test_the_depth_is_found_at_which_leaves_leave_a_cache(seed: int, margins: Margins) -> None:
    noise = np.random.default_rng(seed).normal(0, 0.01, len(DEPTHS))
    y = leaving(32 * 2.0**20, DEPTHS) * np.exp(noise)
    around = [Surroundings(footprint_bytes=2 ** (20 + k)) for k in range(13)]

    found = bends(DEPTHS, y, 0.01 * y, margins)
    breaks = named(found, DEPTHS, around, {"L2": 2**20, "L3": 2**25}, margins)

    assert 4 <= breaks[0].at <= 6
    assert {"L3"} == {each.name.removeprefix("past ") for each in breaks}
    assert all(each.explained for each in breaks)


@pytest.mark.parametrize("law", [lambda x: 31e-6 + 0 * x, lambda x: 31e-6 * (1 + x)], ids=["flat", "rising"])
def test_a_straight_line_seldom_has_a_break(law: Callable[[Floats], Floats], margins: Margins) -> None:
    rng = np.random.default_rng(0)
    found = 0

    for _ in range(100):
        y = law(DEPTHS) * np.exp(rng.normal(0, 0.015, len(DEPTHS)))
        found += bool(bends(DEPTHS, y, 0.015 * y, margins))

    assert found <= 3


def test_a_break_that_no_cache_explains_is_a_stranger(margins: Margins) -> None:
    y = np.where(DEPTHS < 9, 31e-6, 113e-6)
    around = [Surroundings(footprint_bytes=2 ** (20 + k)) for k in range(13)]

    breaks = named(bends(DEPTHS, y, 0.01 * y, margins), DEPTHS, around, {"L2": 2**20, "L3": 2**25}, margins)

    assert {("unexplained", False)} == {(each.name, each.explained) for each in breaks}


@pytest.mark.parametrize(
    "around, name",
    [
        ([Surroundings(order="nodes"), Surroundings(order="nodes"), Surroundings(order="leaves")], "nodes to leaves"),
        (
            [Surroundings(launch_bound=True), Surroundings(launch_bound=True), Surroundings(launch_bound=False)],
            "launch",
        ),
        ([Surroundings(tokens_per_leaf=t) for t in (2.0, 1.0, 0.5)], "fewer than one token a leaf"),
        ([Surroundings(footprint_bytes=b) for b in (2**19, 2**20, 2**21)], "L2"),
        ([Surroundings()] * 3, "unexplained"),
    ],
)
def test_a_bend_is_named_by_what_changes_there(around: list[Surroundings], name: str, margins: Margins) -> None:
    (found,) = named([(1, 1.0)], np.arange(3.0), around, {"L2": 2**20}, margins)

    assert name in found.name
    assert (name != "unexplained") == found.explained


def test_data_caches_are_read_smallest_first() -> None:
    caches = {"L3": 2**25, "L1i": 2**14, "L1d": 2**15, "L2": 2**20, "line": 64}

    assert [("L1", 2**15), ("L2", 2**20), ("L3", 2**25)] == list(cache_capacities({"caches": caches}).items())


@pytest.mark.parametrize("machine", [None, {}, {"caches": None}, {"caches": {"L2": "1 MiB", "L3": 0}}])
def test_a_machine_that_names_no_caches_has_none(machine: dict[str, object] | None) -> None:
    assert {} == cache_capacities(machine)


def test_local_slopes_are_those_between_neighbours() -> None:
    points = [FitPoint(x, x**2, 0, 0, resolved=x != 2) for x in (4.0, 1.0, 2.0)] + [FitPoint(8.0, -1.0, 0, 0)]

    (slope,) = local_slopes(points)

    assert 2.0 == pytest.approx(slope.x)
    assert 2.0 == pytest.approx(slope.slope)


def test_a_gpus_cases_are_held_against_the_gpus_cache() -> None:
    machine = {"caches": {"L1d": 32768, "L3": 2**25}, "gpu_l2_bytes": 50 * 2**20}

    assert {"L2": 50 * 2**20} == cache_capacities(machine, "cuda")
    assert {} == cache_capacities({"caches": {"L3": 2**25}}, "cuda")
