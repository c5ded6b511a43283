"""The picture of all systems stands on equal active FLOP, three orders of magnitude and every layer."""

import pytest

from capratio.cost.closed_form import closed_form
from capratio.cost.spec import LAYERS
from capratio.cost.systems.contract import SystemSpec
from capratio.cost.systems.table import SYSTEMS
from capratio.errors import InputError
from capratio.sweep.case import Case, spec_of
from capratio.sweep.case_file import bundled_case_files, read_case_files
from capratio.sweep.case_point import check_system_routing

CASES = read_case_files([bundled_case_files()["systems"]])
ON_A_GPU = read_case_files([bundled_case_files()["hopper_systems"]])
PAYS_FOR_ALL = "dense, equal parameters"
# A multiply and an add for each of 1024 x 1024 weights.
DENSE_FLOP = 2 * 1024 * 1024
# Where a routing can be imposed through the input.
IMPOSED = {
    "memory-table, ids",
    "memory-table, sign-lsh",
    "memory-table, softmax",
    "moe-sparse",
    "moe-st",
    "tree-bias",
    "tree-shared, collapsed",
    "tree-unit, collapsed",
}
# They hold no more parameters at equal FLOP.
POINTS = {"dense, equal FLOP", "altup", "act", "dynamic-gate"}


def lines() -> dict[tuple[str, str], list[Case]]:
    found: dict[tuple[str, str], list[Case]] = {}
    for case in CASES:
        found.setdefault((case.group, case.point.pass_), []).append(case)
    return found


@pytest.mark.parametrize("cases", [CASES, ON_A_GPU], ids=["systems", "hopper_systems"])
def test_every_layer_stands_in_the_picture(cases: list[Case]) -> None:
    assert {case.point.layer for case in cases} == {*LAYERS, *SYSTEMS}


@pytest.mark.parametrize("group", sorted({case.group for case in CASES} - {PAYS_FOR_ALL}))
def test_a_token_of_each_system_takes_the_dense_layers_flop_and_at_most_half_as_much_for_routing(group: str) -> None:
    for cost in (closed_form(spec_of(case.point)) for case in [*CASES, *ON_A_GPU] if case.group == group):
        gates_are_most = cost.flop.gating > cost.flop.product
        work = cost.flop.product + (cost.flop.gating if gates_are_most else 0)
        # How often a token is halted is measured: the law counts two steps, a batch of the run took 2.7.
        assert (0.74 if group == "act" else 0.94) * DENSE_FLOP <= work <= 1.02 * DENSE_FLOP
        assert cost.flop.total <= 1.52 * DENSE_FLOP


@pytest.mark.parametrize(("group", "pass_"), [key for key in lines() if key[0] not in POINTS])
def test_a_line_goes_from_a_dense_layers_parameters_over_three_orders_of_magnitude(group: str, pass_: str) -> None:
    held = [closed_form(spec_of(case.point)).parameters for case in lines()[group, pass_]]

    assert max(held) >= (130e6 if pass_ == "train" else 250e6 if group == PAYS_FOR_ALL else 1e9)
    assert group == PAYS_FOR_ALL or min(held) <= 3.2e6


@pytest.mark.parametrize("group", sorted({case.group for case in ON_A_GPU} - POINTS - {PAYS_FOR_ALL}))
def test_a_line_of_a_gpu_goes_as_far(group: str) -> None:
    held = [closed_form(spec_of(case.point)).parameters for case in ON_A_GPU if case.group == group]

    assert max(held) >= 1e9
    assert min(held) <= 3.2e6


def test_uniform_routing_stands_beside_measured_wherever_it_can_be_imposed() -> None:
    routings: dict[tuple[str, str], set[str]] = {}
    for case in CASES:
        routings.setdefault((case.group, case.point.pass_), set()).add(case.point.routing)

    imposed = {group for (group, _), found in routings.items() if "uniform" in found}
    assert IMPOSED == imposed
    for pass_ in ("forward", "decode", "train"):
        assert all({"measured", "uniform"} == routings[group, pass_] for group in imposed)


@pytest.mark.parametrize("case", [case for case in CASES if case.group not in IMPOSED and case.point.layer in SYSTEMS])
def test_a_system_without_uniform_routing_cannot_take_it(case: Case) -> None:
    spec = spec_of(case.point)
    assert isinstance(spec, SystemSpec)
    with pytest.raises(InputError, match="no direction of the input imposes"):
        check_system_routing(spec, "uniform")
