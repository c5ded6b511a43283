"""What a parameter costs: lines of groups over their parameters, held against the dense layers of their own run."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from capratio.records.record import Record
from capratio.report.figures import parameter_cost as figure
from capratio.report.parameter_cost import HEADINGS, call_of, cost_lines, cost_rows
from capratio.report.quantities import NOTHING

DENSE_FLOP = 2_000_000


@pytest.fixture
def record(records: list[Record]) -> Record:
    """A measured forward pass, to be changed, of one token."""
    measured = next(one for one in records if one.measured and one.point.pass_ == "forward")
    return replace(measured, point=replace(measured.point, tokens=1))


def case(record: Record, group: str, layer: str, parameters: int, latency_s: float, **given: Any) -> list[Record]:
    """Three processes of one case, whose latencies are 0.9, 1 and 1.1 times the given one."""
    assert record.exact is not None
    assert record.timing is not None
    flop = {"product": given.pop("flop", DENSE_FLOP), "gating": given.pop("gating", 0)}
    exact = replace(record.exact, parameters=parameters, flop=flop, op_bytes=4_000_000, routing_operations=0)
    point = replace(record.point, layer=layer, **given)
    return [
        replace(
            record,
            case=f"{group}/{layer}/{parameters}/{call_of(point)}/auto/t1",
            group=group,
            replicate=replicate,
            point=point,
            exact=exact,
            timing=replace(record.timing, samples_s=(latency_s * share,) * 3, device_samples_s=None),
        )
        for replicate, share in enumerate((0.9, 1.0, 1.1))
    ]


@pytest.fixture
def run(record: Record) -> list[Record]:
    """A mixture whose latency does not move, beside a dense layer that pays for each parameter."""
    return [
        *case(record, "dense, equal FLOP", "dense", 10**6, 1e-4),
        *(
            one
            for size in (10**7, 10**8)
            for one in case(record, "dense, grown", "dense", size, size * 1e-10, flop=2 * size)
        ),
        *(
            one
            for size in (10**6, 10**7, 10**8)
            for one in case(record, "mixture", "moe-sparse", size, 2e-4, gating=10**6)
        ),
    ]


def row_of(records: list[Record], name: str) -> dict[str, str]:
    rows = {row[0]: dict(zip(HEADINGS, row, strict=True)) for row in cost_rows(cost_lines(records))}
    return rows[name]


def test_a_run_of_trees_alone_has_no_such_section(record: Record) -> None:
    assert [] == cost_lines(case(record, "trees", "tree-shared", 10**6, 1e-4))


def test_the_table_says_what_the_largest_point_costs(run: list[Record]) -> None:
    row = row_of(run, "mixture")

    # 1e8 parameters over 3e6 FLOP, over 4e6 bytes, and in 200 us.
    assert ("33.3", "25", "500\u00a0k") == (row["parameters a FLOP"], row["a byte moved"], row["a microsecond"])
    assert "33 %" == row["routing, of operations"]
    # 200 us against 1e8 parameters at 1e-10 s each.
    assert "0.0200 [0.0200, 0.0200] at 100 M" == row["over dense of equal parameters"].replace("\u00a0", " ")


def test_a_latency_that_does_not_move_has_exponent_0_and_a_dense_one_1(run: list[Record], record: Record) -> None:
    grown = case(record, "dense, grown", "dense", 10**9, 1e-1, flop=2 * 10**9)

    assert "0.00 [0.00, 0.00]" == row_of(run, "mixture")["latency over parameters: exponent"].replace("-", "")
    assert "1.00 [1.00, 1.00]" == row_of([*run, *grown], "dense, grown")["latency over parameters: exponent"]


def test_two_sizes_have_no_exponent(run: list[Record]) -> None:
    assert NOTHING == row_of(run, "dense, grown")["latency over parameters: exponent"]


def test_sizes_that_hardly_differ_have_no_exponent(record: Record) -> None:
    alike = [one for size in (1000, 1001, 1002) for one in case(record, "alike", "altup", size, 1e-4)]

    assert NOTHING == row_of(alike, "alike")["latency over parameters: exponent"]


def test_a_dense_layer_of_another_size_stands_for_none(run: list[Record]) -> None:
    # Products of 5e6 FLOP are more than 1.5 times the dense layer's 2e6.
    far = [
        replace(one, exact=replace(one.exact, flop={"product": 5_000_000}))
        for one in run
        if one.point.layer == "moe-sparse" and one.exact is not None
    ]
    dense = [one for one in run if one.point.layer == "dense"]

    assert NOTHING == row_of([*dense, *far], "mixture")["latency over dense of equal product FLOP"]


def test_a_dense_layer_stands_beside_every_routing(run: list[Record]) -> None:
    imposed = [
        replace(one, case=f"uniform/{one.case}", point=replace(one.point, routing="uniform"))
        for one in run
        if one.point.layer == "moe-sparse"
    ]

    calls = {(line.call, line.name) for line in cost_lines([*run, *imposed])}

    uniform = {name for call, name in calls if call.endswith("uniform routing")}
    assert {"dense, equal FLOP", "dense, grown", "mixture"} == uniform


def test_a_suite_that_holds_a_layer_against_its_peers_has_no_part(run: list[Record]) -> None:
    ours, *_ = [one for one in run if one.point.layer == "moe-sparse"]
    beside = [replace(ours, suite="beside", case=f"beside/{backend}/t1") for backend in ("auto", "grouped-mm")]

    assert cost_lines(run) == cost_lines([*run, *beside])
    assert [] == cost_lines(beside)


def test_a_group_of_several_layers_gives_a_line_each(record: Record) -> None:
    records = [*case(record, "g", "moe-sparse", 10, 1e-4), *case(record, "g", "my.module:Layer", 10, 1e-4)]

    assert {"g: moe-sparse", "g: my.module:Layer"} == {line.name for line in cost_lines(records)}


def test_the_figure_has_a_panel_a_call_and_a_level_for_the_dense_layer(run: list[Record]) -> None:
    drawing = figure.draw(cost_lines(run))

    assert drawing is not None
    (panel,) = drawing.figure.axes
    assert ("log", "log") == (panel.get_xscale(), panel.get_yscale())
    # The level and its point, the dense line, the mixture.
    assert 4 == len([line for line in panel.lines if np.size(line.get_xdata())])


def test_nothing_is_drawn_of_no_lines() -> None:
    assert figure.draw([]) is None
