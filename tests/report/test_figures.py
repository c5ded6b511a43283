"""Each figure shows the rows that it says, and nothing without data."""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from capratio.records.record import Record
from capratio.records.summary import summarise
from capratio.report.figures import capacity, efficiency, flop_classes, latency, memory, roofline, routing, warm
from capratio.report.figures.canvas import log_axis, panels, paper
from capratio.report.figures.evidence import Evidence, FigurePlan
from capratio.report.figures.routing import apart
from capratio.report.figures.table import FIGURES
from capratio.report.frame import tidy
from capratio.report.svg import inline_svg

CEILINGS = {"read_curve": [[1024.0, 2e9], [2048.0, 1e9]], "copy_curve": [], "random_row_curve": [[1024.0, 5e8]]}


@pytest.fixture(scope="module")
def evidence(records: list[Record]) -> Evidence:
    """The synthetic run as figures see it, without verdicts."""
    return Evidence(tidy(summarise(records)), (), (CEILINGS | {"flop_per_s": {"float32": 1e11, "float64": 5e10}},))


def test_the_promise_beside_the_capacity_ratio_is_two_to_the_k_over_k(evidence: Evidence) -> None:
    rows = capacity.select(evidence)

    at_eight = rows[rows["depth"] == 8]
    assert {256 / 8} == set(at_eight["promise"])
    assert 102.2 == pytest.approx(at_eight.loc[at_eight["series"] == "tree-shared", "capacity_ratio"].item())
    assert 256.0 == at_eight.loc[at_eight["series"] == "tree-shared, collapsed", "capacity_ratio"].item()
    assert rows.loc[rows["depth"] == 0, "promise"].isna().all()


def test_flop_of_a_token_are_split_by_class_and_divided_by_the_tokens(record_maker: Callable[..., Record]) -> None:
    made = [record_maker(p=8, q=4, depth=k, tokens=16, pass_="forward") for k in range(1, 4)]

    rows = flop_classes.select(Evidence(tidy(summarise(made))))

    assert [2 * 8 * 4] * 3 == list(rows["product"])
    assert [4.0] * 3 == list(rows["bias"])


def test_latency_shows_trees_along_k_and_the_dense_layer_along_its_width(evidence: Evidence) -> None:
    cold = latency.select(evidence)[0].rows

    assert {128, 256, 512, 1024} == set(cold.loc[cold["series"] == "dense", "in_features"])
    assert {512} == set(cold.loc[cold["series"] != "dense", "in_features"])
    assert set(range(13)) == set(cold.loc[cold["series"] == "tree-shared", "depth"])


@pytest.mark.parametrize("cache, said", [("warm", True), ("cold", False)])
def test_the_efficiency_of_warm_decode_is_said_to_hold_the_misses_of_other_tokens(
    cache: str, said: bool, record_maker: Callable[..., Record]
) -> None:
    frame = tidy(summarise([record_maker(depth=k, cache=cache) for k in range(3)]))

    drawing = efficiency.draw(Evidence(frame))

    assert drawing is not None
    assert said == ("holds the misses of those too" in drawing.caption)


def test_efficiency_is_latency_over_the_limit(evidence: Evidence) -> None:
    rows = efficiency.select(evidence)[0].rows

    assert rows["times_limit"].to_numpy() == pytest.approx((rows["latency_s"] / rows["limit_s"]).to_numpy())
    assert (rows["times_low"] <= rows["times_limit"]).all()


def test_memory_numbers_are_never_mixed_in_a_panel(evidence: Evidence) -> None:
    drawing = memory.draw(evidence)

    assert drawing is not None
    titles = [ax.get_title(loc="left") for ax in drawing.figure.axes if ax.get_visible()]
    assert ["parameters and buffers", "allocated, peak of a call", "resident, peak"] == titles


def test_layers_that_share_bits_are_counted_once_in_the_routing(evidence: Evidence) -> None:
    rows = routing.select(evidence)

    assert {"tree-shared", "tree-unit"} == set(rows["layer"])
    assert not rows.duplicated(["layer", "depth", "tokens", "input", "routing"]).any()
    assert (rows["tokens"] > 1).all()


def test_the_roofline_divides_compulsory_bytes_and_flop_by_the_latency(evidence: Evidence) -> None:
    rows = roofline.select(evidence)

    assert rows["bytes_per_s"].to_numpy() == pytest.approx((rows["compulsory_bytes"] / rows["latency_s"]).to_numpy())
    assert rows["intensity"].to_numpy() == pytest.approx((rows["flop_total"] / rows["compulsory_bytes"]).to_numpy())


def test_the_roofline_reads_every_curve_of_the_last_ceilings(evidence: Evidence) -> None:
    earlier = {"read_curve": [[1.0, 1.0]]}

    rows = roofline.curves((earlier, CEILINGS))

    expected = [("read_curve", 1024.0, 2e9), ("read_curve", 2048.0, 1e9), ("random_row_curve", 1024.0, 5e8)]
    assert expected == list(rows.itertuples(index=False, name=None))


def test_the_roofline_of_a_run_with_systems_has_all_cases_and_says_so(record_maker: Callable[..., Record]) -> None:
    made = [record_maker(depth=k, cache="warm", tokens=8, pass_="forward") for k in (0, 4)]
    made = [replace(one, point=replace(one.point, layer="moe-sparse", depth=0)) for one in made]

    drawing = roofline.draw(Evidence(tidy(summarise(made)), (), (CEILINGS,)))

    assert drawing is not None
    assert 2 == len(roofline.select(Evidence(tidy(summarise(made)))))
    assert drawing.caption.startswith("Points are all cases that have a closed form of their bytes: p = q = 512")


def test_a_roofline_without_points_says_that_there_are_none() -> None:
    drawing = roofline.draw(Evidence(tidy(()), (), (CEILINGS,)))

    assert drawing is not None
    assert "no case of the run" in drawing.caption


def test_a_system_without_a_depth_is_no_point_of_the_capacity_line(record_maker: Callable[..., Record]) -> None:
    trees = [record_maker(depth=k) for k in (0, 4)]
    system = replace(trees[0], case="altup", point=replace(trees[0].point, layer="altup"))

    rows = capacity.select(Evidence(tidy(summarise([*trees, record_maker("dense", depth=0), system]))))

    assert {"tree-shared", "dense"} == set(rows["layer"])


def test_a_ratio_under_one_is_a_plain_number_on_its_axis() -> None:
    with paper():
        figure, (ax,) = panels(1)
        log_axis(ax, "y", "latency / limit", "", [0.1, 100.0])
        figure.draw_without_rendering()

    assert {"0.1", "1", "10", "100"} <= {label.get_text() for label in ax.get_yticklabels()}


def test_the_warm_figure_has_single_tokens_on_warm_caches_only(evidence: Evidence) -> None:
    rows = warm.select(evidence)

    assert {1} == set(rows["tokens"])
    assert {"warm"} == set(rows["cache"])


@pytest.mark.parametrize("plan", FIGURES, ids=lambda plan: plan.name)
def test_without_cases_a_figure_is_not_drawn_and_says_what_it_needs(plan: FigurePlan) -> None:
    assert plan.draw(Evidence(tidy(()))) is None
    assert plan.needs


@pytest.mark.parametrize("plan", [plan for plan in FIGURES if plan.name != "scaling"], ids=lambda plan: plan.name)
def test_one_case_alone_breaks_no_figure(plan: FigurePlan, record_maker: Callable[..., Record]) -> None:
    alone = Evidence(tidy(summarise([record_maker(depth=3)])))

    drawing = plan.draw(alone)

    assert drawing is None or plan.name == "roofline"


@pytest.mark.parametrize("plan", [plan for plan in FIGURES if plan.name != "scaling"], ids=lambda plan: plan.name)
def test_every_axis_is_named_with_its_unit(plan: FigurePlan, evidence: Evidence) -> None:
    drawing = plan.draw(evidence)

    assert drawing is not None
    for ax in drawing.figure.axes:
        if ax.get_visible():
            assert ax.get_xlabel()
            left = ax.get_subplotspec()
            assert ax.get_ylabel() or (left is not None and not left.is_first_col())
    labels = " ".join(ax.get_ylabel() for ax in drawing.figure.axes)
    if "latency" in labels and "limit" not in labels:
        assert re.search(r"latency \((ns|µs|ms|s)\)", labels)


def test_a_layer_looks_alike_in_figures_that_show_different_layers(evidence: Evidence) -> None:
    frame = evidence.frame
    few = frame[frame["layer"].isin(["tree-unit"])]

    assert evidence.looks(frame)["tree-unit"] == evidence.looks(few)["tree-unit"]


def test_a_hostile_layer_name_is_text_in_a_figure(record_maker: Callable[..., Record]) -> None:
    name = "mine:<script>alert(1)</script>$x_{"
    made = [record_maker(depth=k) for k in range(3)]
    made = [replace(r, case=f"{name}/{r.case}", point=replace(r.point, layer=name)) for r in made]
    evidence = Evidence(tidy(summarise(made)))

    drawing = warm.draw(Evidence(evidence.frame.assign(cache="warm")))

    assert drawing is not None
    svg = inline_svg(drawing.figure, "warm", "t", "d")
    assert "<script" not in svg
    assert "&lt;script" in svg


def test_drawing_leaves_the_global_style_alone() -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    with paper():
        pass

    assert before == dict(mpl.rcParams)


def test_the_frame_of_a_figure_is_not_changed_by_drawing(evidence: Evidence) -> None:
    before = evidence.frame.copy()

    efficiency.draw(evidence)

    pd.testing.assert_frame_equal(before, evidence.frame)
    assert np.isfinite(before["latency_s"]).all()


def test_labels_that_would_lie_on_each_other_stand_apart() -> None:
    placed = apart({"uniform": 1.0, "measured": 0.99, "zipf": 0.7, "single": 0.0}, 0.08)

    assert placed == pytest.approx({"uniform": 1.0, "measured": 0.92, "zipf": 0.7, "single": 0.0})
