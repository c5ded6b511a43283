"""Fitted laws are drawn from the verdicts' own points: the fit, its interval, and the slope from point to point."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from capratio.records.record import Record
from capratio.records.summary import summarise
from capratio.report.figures import scaling_panel, warm
from capratio.report.figures.evidence import Evidence
from capratio.report.frame import tidy
from capratio.report.svg import LARGEST_SVG_BYTES, inline_svg
from capratio.scaling.verdict import FitPoint, Verdict


def points(x: Sequence[float], y: Sequence[float], width: float = 0.1) -> tuple[FitPoint, ...]:
    """Points with an interval of ``width`` each way."""
    return tuple(FitPoint(x=a, y=b, low=b - width, high=b + width) for a, b in zip(x, y, strict=True))


def table(x: Sequence[float], y: Sequence[float], width: Sequence[float]) -> pd.DataFrame:
    """The same as the frame that the panel draws from."""
    return pd.DataFrame({"x": x, "y": y, "low": np.subtract(y, width), "high": np.add(y, width)}, dtype=float)


def test_the_local_slope_of_a_power_law_is_its_exponent_everywhere() -> None:
    x = [1.0, 2.0, 5.0, 9.0]

    slopes = scaling_panel.local_slopes(table(x, [3 * v**1.7 for v in x], [0.0] * 4))

    assert [1.7] * 3 == pytest.approx(list(slopes["slope"]))
    assert 2**0.5 == pytest.approx(slopes["x"].iloc[0])


def test_points_that_are_not_positive_have_no_local_slope() -> None:
    slopes = scaling_panel.local_slopes(table([0.0, 1.0, 2.0], [0.5, -1.0, 2.0], [0.0] * 3))

    assert slopes.empty


def test_the_drawn_fit_finds_floor_and_factor_at_the_given_exponent() -> None:
    x = [1.0, 2.0, 3.0, 4.0, 6.0]

    curve = scaling_panel.fitted_curve(table(x, [5 + 2 * v for v in x], [0.1] * 5), 1.0, np.array([10.0]))

    assert 25.0 == pytest.approx(curve[0])


def test_a_wide_point_hardly_bends_the_drawn_fit() -> None:
    x = [1.0, 2.0, 3.0, 4.0]

    curve = scaling_panel.fitted_curve(table(x, [1.0, 2.0, 3.0, 40.0], [0.01, 0.01, 0.01, 100.0]), 1.0, np.array([4.0]))

    assert 4.0 == pytest.approx(curve[0], abs=0.01)


def test_points_without_an_interval_do_not_outweigh_the_others() -> None:
    x = [1.0, 2.0, 3.0, 4.0]

    curve = scaling_panel.fitted_curve(table(x, [1.0, 2.0, 3.0, 4.0], [0.0, 0.1, 0.1, 0.1]), 1.0, np.array([2.0]))

    assert 2.0 == pytest.approx(curve[0])


def test_laws_stand_in_the_tables_order_and_exact_ones_are_left_out(verdict_maker: Callable[..., Verdict]) -> None:
    some = points([1, 2, 3], [1, 2, 3])
    given = (
        verdict_maker(claim="memory-over-parameters", points=some),
        verdict_maker(claim="path-latency-over-depth", points=some),
        verdict_maker(claim="path-latency-over-in-features", points=()),
        verdict_maker(claim="parameters", kind="exact", points=some),
    )

    chosen = scaling_panel.select(Evidence(tidy(()), given))

    assert ["path-latency-over-depth", "memory-over-parameters"] == [verdict.claim for verdict in chosen]


def test_an_exponent_has_two_panels_and_a_flat_law_one(
    verdict_maker: Callable[..., Verdict], records: list[Record]
) -> None:
    given = (
        verdict_maker(points=points([1, 2, 3, 4], [1, 2, 3, 4])),
        verdict_maker(claim="collapsed-latency-flat-over-depth", points=points([0, 1, 2], [1, 1, 1])),
    )

    drawing = scaling_panel.draw(Evidence(tidy(summarise(records)), given))

    assert drawing is not None
    shown = [ax for ax in drawing.figure.axes if ax.get_visible()]
    assert 3 == len(shown)
    assert ["depth k (gating bits)"] * 3 == [ax.get_xlabel() for ax in shown]
    assert "local slope" == shown[1].get_ylabel()


def test_points_over_decades_are_drawn_log_log(verdict_maker: Callable[..., Verdict]) -> None:
    x = [1e6 * 2**i for i in range(8)]
    verdict = verdict_maker(claim="path-latency-over-overhead-flop", points=points(x, [1e-9 * v for v in x], 1e-5))

    drawing = scaling_panel.draw(Evidence(tidy(()), (verdict,)))

    assert drawing is not None
    assert ("log", "log") == (drawing.figure.axes[0].get_xscale(), drawing.figure.axes[0].get_yscale())


@pytest.mark.parametrize("number", [2, 3])
def test_few_points_without_an_estimate_are_drawn_without_a_fit(
    verdict_maker: Callable[..., Verdict], number: int
) -> None:
    some = points([1, 2, 3][:number], [1, 2, 3][:number])
    verdict = verdict_maker(status="undecided", estimate=None, low=None, high=None, points=some)

    assert scaling_panel.draw(Evidence(tidy(()), (verdict,))) is not None


def test_without_fitted_points_there_is_no_panel(verdict_maker: Callable[..., Verdict]) -> None:
    assert scaling_panel.draw(Evidence(tidy(()), (verdict_maker(points=()),))) is None


def test_breaks_of_the_warm_line_are_marked_with_their_names(
    verdict_maker: Callable[..., Verdict], record_maker: Callable[..., Record], break_maker: Callable[..., object]
) -> None:
    line = tidy(summarise([record_maker(depth=k, cache="warm") for k in range(6)]))
    found = (break_maker(2, "L2"), break_maker(4, "L3"))
    verdict = verdict_maker(claim=warm.CLAIM, breaks=found)

    drawing = warm.draw(Evidence(line, (verdict, replace(verdict, group="other"))))

    assert [2, 4] == [at for at, _ in warm.breaks(Evidence(line, (verdict, verdict)))]
    assert drawing is not None
    texts = " ".join(text.get_text() for text in drawing.figure.axes[0].texts)
    assert "L2" in texts
    assert "L3" in texts


def test_as_many_laws_as_are_drawn_fit_one_figure(verdict_maker: Callable[..., Verdict]) -> None:
    sizes = [2.0**step for step in range(24)]
    made = tuple(
        verdict_maker(
            claim="path-latency-over-overhead-flop", group=f"tree-shared, N = {n}", points=points(sizes, sizes)
        )
        for n in range(8)
    )

    drawing = scaling_panel.draw(Evidence(tidy([]), made))

    assert drawing is not None
    assert len(inline_svg(drawing.figure, "scaling", "t", "d")) < LARGEST_SVG_BYTES
