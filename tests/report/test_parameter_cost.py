"""What a parameter costs: lines of groups over their parameters, held against the dense layers of their own run."""

from dataclasses import replace
from typing import Any

import pytest

from capratio.records.record import Record
from capratio.report.figures import parameter_cost as figure
from capratio.report.parameter_cost import call_of, cost_lines
from capratio.report.parameter_cost_tables import BEHIND_HEADINGS, PRICE_HEADINGS, cost_tables
from capratio.report.quantities import NOTHING

DENSE_FLOP = 2_000_000


@pytest.fixture
def record(records: list[Record]) -> Record:
    """A measured forward pass of one token on one thread, to be changed."""
    measured = next(one for one in records if one.measured and one.point.pass_ == "forward")
    return replace(measured, point=replace(measured.point, tokens=1, threads=1, input="text"))


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
    """The cells of the line under their headings, of both tables; of the run's first call."""
    table = cost_tables(cost_lines(records))[0]
    (price,) = (row for row in table.prices if row[0] == name)
    (behind,) = (row for row in table.behind if row[0] == name)
    return dict(zip([*PRICE_HEADINGS, *BEHIND_HEADINGS], [*price, *behind], strict=True))


def test_a_run_of_trees_alone_has_no_such_section(record: Record) -> None:
    assert [] == cost_lines(case(record, "trees", "tree-shared", 10**6, 1e-4))


def test_the_table_says_what_the_largest_point_costs(run: list[Record]) -> None:
    row = row_of(run, "mixture")

    # 1e8 parameters over 3e6 FLOP, over 4e6 bytes, and in 200 us.
    assert ("33.3", "25", "500\u00a0k") == (row["parameters a FLOP"], row["a byte moved"], row["a microsecond"])
    assert "33 %" == row["routing, of operations"]
    # 200 us against 1e8 parameters at 1e-10 s each.
    assert "0.0200 at 100 M" == row["over dense of equal parameters (at how many)"].replace("\u00a0", " ")


def test_a_latency_that_does_not_move_has_exponent_0_and_a_dense_one_1(run: list[Record], record: Record) -> None:
    grown = case(record, "dense, grown", "dense", 10**9, 1e-1, flop=2 * 10**9)

    assert row_of(run, "mixture")["latency over parameters: exponent"].startswith("0.00")
    assert row_of([*run, *grown], "dense, grown")["latency over parameters: exponent"].startswith("1.00")


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

    assert NOTHING == row_of([*dense, *far], "mixture")["latency over dense of equal FLOP"]


def test_a_system_that_spends_its_flop_on_a_search_is_held_against_the_dense_layer_of_as_many(
    run: list[Record], record: Record
) -> None:
    searching = case(record, "keys", "product-key", 10**8, 3e-4, flop=DENSE_FLOP // 32, gating=DENSE_FLOP)

    # 300 us against the 100 us of the dense layer of 2e6 FLOP.
    assert "3.00" == row_of([*run, *searching], "keys")["latency over dense of equal FLOP"].partition("\u00a0")[0]


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


def test_calls_on_other_threads_inputs_and_devices_are_calls_of_their_own(record: Record) -> None:
    usual = replace(record.point, input="text", threads=1, device="cpu")
    calls = [usual, replace(usual, threads=2), replace(usual, input="images"), replace(usual, device="cuda")]

    lines = cost_lines(
        [
            one
            for point in calls
            for size in (10**6, 10**7)
            for one in case(replace(record, point=point), "mixture", "moe-sparse", size, 2e-4)
        ]
    )

    assert [(call_of(point), [10**6, 10**7]) for point in calls] == [
        (line.call, [point.parameters for point in line.points]) for line in lines
    ]
    assert len({line.call for line in lines}) == 4


def test_options_that_differ_at_equal_parameters_give_lines_of_their_own(record: Record) -> None:
    asked = [(experts, top_k) for experts in ("16", "64", "256") for top_k in (None, "1")]
    records = []
    for experts, top_k in asked:
        options = {"experts": experts} | ({} if top_k is None else {"top_k": top_k})
        found = case(record, "mixture", "moe-sparse", int(experts) * 10**5, 2e-4, options=options)
        records += [replace(one, case=f"{one.case}/{top_k}") for one in found]

    lines = cost_lines(records)

    # What is at its default is named too, so that no line stands for all.
    assert ["mixture [top_k=1]", "mixture [top_k=2]"] == [line.name for line in lines]
    assert all([16 * 10**5, 64 * 10**5, 256 * 10**5] == [point.parameters for point in line.points] for line in lines)


def test_options_that_grow_together_stay_one_line(record: Record) -> None:
    grown = [("4", "64"), ("8", "64"), ("16", "256")]

    (line,) = cost_lines(
        [
            one
            for place, (blocks, hidden) in enumerate(grown)
            for one in case(
                record, "policy", "block-policy", 10 ** (5 + place), 2e-4, options={"blocks": blocks, "hidden": hidden}
            )
        ]
    )

    assert ("policy", 3) == (line.name, len(line.points))


def test_flop_are_held_against_the_dense_layer_of_equal_flop_along_the_whole_line(
    run: list[Record], record: Record
) -> None:
    # Gating grows from none to the FLOP of the dense layer, products stay.
    drifting = [
        one
        for size, gating in ((10**6, 0), (10**7, DENSE_FLOP // 2), (10**8, DENSE_FLOP))
        for one in case(record, "drifting", "moe-st", size, 1e-4, gating=gating)
    ]

    row = row_of([*run, *drifting], "drifting")

    assert ("1.00\u20132.00", "1.00") == (row["FLOP / dense, along the line"], row["of products alone"])
    # The dense line's own are 1e7 and 1e8 parameters of two FLOP each, against 2e6 FLOP.
    assert "10.0\u2013100" == row_of(run, "dense, grown")["FLOP / dense, along the line"]
    assert NOTHING == row_of(run, "dense, equal FLOP")["FLOP / dense, along the line"]


def test_a_layer_without_flop_has_a_line_and_no_parameters_a_flop(run: list[Record], record: Record) -> None:
    rows = case(record, "rows", "memory-table", 10**6, 1e-5, flop=0)
    bare = [
        replace(one, exact=replace(one.exact, capacity_ratio=None, capacity_ratio_all=None))
        for one in rows
        if one.exact
    ]

    (table,) = cost_tables(cost_lines([*run, *bare]))

    (price,) = (row for row in table.prices if row[0] == "rows")
    (behind,) = (row for row in table.behind if row[0] == "rows")
    assert NOTHING == price[2] == behind[4]
    assert "rows" in {line.name for line in cost_lines([*run, *bare])}


def test_what_was_counted_is_of_the_process_of_median_flop(record: Record) -> None:
    drawn = [
        replace(one, exact=replace(one.exact, flop={"product": flop}))
        for one, flop in zip(case(record, "drawn", "block-policy", 10**6, 1e-4), (9, 1, 4), strict=True)
        if one.exact is not None
    ]

    assert [4] == [point.flop for line in cost_lines(drawn) for point in line.points]


def test_the_second_table_says_what_a_call_touches_takes_and_reaches(record: Record) -> None:
    assert record.memory is not None
    made = [
        replace(
            one,
            exact=replace(
                one.exact,
                compulsory_bytes=3 * 2**20,
                capacity_ratio=16.0,
                capacity_ratio_all=4.0,
                visits={"experts": 50, "assignments": 64, "dropped": 0},
                expected_visits={"experts": 55.61, "assignments": 64.0, "dropped": 0.0},
            ),
            memory=replace(record.memory, state_bytes=2**22, allocated_peak_bytes=2**15),
            limit=None if one.limit is None else replace(one.limit, limit_s=5e-5),
            point=replace(one.point, depth=0),
        )
        for one in case(record, "mixture", "moe-sparse", 10**6, 2e-4)
        if one.exact is not None
    ]

    row = row_of(made, "mixture")

    assert "3.00\u00a0MiB" == row["touched bytes"]
    assert ("4.00\u00a0MiB", "32.0\u00a0KiB") == (row["layer holds"], row["call peak"])
    assert "\u00d7\u202f16.0 / \u00d7\u202f4.00" == row["capacity ratio / with gating and routing"]
    assert "4.00" == row["latency / limit"]
    # Assignments follow from the tokens, and no token was dropped where none should be.
    assert "50 / 55.6 experts" == row["reached / under uniform routing"].replace("\u00a0", " ")


def test_a_tree_reaches_leaves(records: list[Record]) -> None:
    trees = [one for one in records if one.measured and one.point.layer == "tree-shared" and one.point.depth == 3]
    place = replace(trees[0].point, layer="altup", depth=0)
    other = replace(trees[0], case="altup/auto/t2", group="other", point=place)

    points = [point for line in cost_lines([*trees, other]) if line.layer == "tree-shared" for point in line.points]

    assert {"leaves"} == {reached.kind for point in points for reached in point.reached}


def test_one_process_has_no_interval(run: list[Record]) -> None:
    alone = [one for one in run if one.replicate == 0]

    row = row_of(alone, "mixture")

    assert "2.00" == row["latency over dense of equal FLOP"]
    assert "0.00" == row["latency over parameters: exponent"]


@pytest.mark.parametrize("what", figure.QUANTITIES, ids=lambda what: what.name)
def test_each_figure_names_every_line_beside_its_panels(what: figure.CostQuantity, run: list[Record]) -> None:
    drawing = figure.draw(cost_lines(run), what)

    assert drawing is not None
    (panel,) = drawing.figure.axes
    assert ("log", "log") == (panel.get_xscale(), panel.get_yscale())
    named = [text.get_text() for text in panel.texts]
    assert {"dense, equal FLOP", "dense, grown", "mixture"} == set(named)


def test_the_layers_own_number_has_one_panel_for_all_calls(run: list[Record]) -> None:
    trained = [replace(one, case=f"train/{one.case}", point=replace(one.point, pass_="train")) for one in run]
    both = cost_lines([*run, *trained])

    panels = {what.name: len(figure.select(both, what)) for what in figure.QUANTITIES}

    assert 1 == panels.pop("capacity_ratio")
    assert {2} == set(panels.values())


def test_the_picture_beside_the_page_has_the_four_calls_of_most_lines(run: list[Record]) -> None:
    names = ("decode", "forward", "forward-grad", "train")
    calls = [
        replace(one, case=f"{name}/{one.case}", point=replace(one.point, pass_=name)) for name in names for one in run
    ]
    fewer = [
        replace(one, case=f"bfloat16/{one.case}", point=replace(one.point, dtype="bfloat16"))
        for one in run
        if one.point.layer == "dense"
    ]

    drawing = figure.draw_main(cost_lines([*fewer, *calls]))

    assert drawing is not None
    shown = [panel.get_title(loc="left") for panel in drawing.figure.axes]
    assert ["decode", "forward, 1 token", "forward-grad, 1 token", "train, 1 token"] == shown
    assert ["forward, 1 token, bfloat16"] == figure.further_calls(cost_lines([*fewer, *calls]))
    assert [] == figure.further_calls(cost_lines(calls))
    assert figure.draw_main([]) is None


def test_the_lines_of_one_layer_part_in_their_dashes(run: list[Record]) -> None:
    (line,) = (one for one in cost_lines(run) if one.name == "mixture")
    lines = [replace(line, name=f"mixture {place}") for place in range(4)]

    looks = figure.line_looks(lines)

    assert 4 == len({look.dashes for look in looks.values()})
    assert 1 == len({look.tone for look in looks.values()})


def test_a_quantity_that_no_point_has_is_not_drawn(run: list[Record]) -> None:
    without = [replace(one, memory=None) for one in run]
    (what,) = (what for what in figure.QUANTITIES if what.name == "peak_bytes")

    assert figure.draw(cost_lines(without), what) is None
    assert figure.draw([], what) is None
