"""A figure becomes one slim SVG element of its own."""

import re
import xml.etree.ElementTree as ElementTree

import pytest
from matplotlib.figure import Figure

from capratio.errors import InputError
from capratio.report.figures.canvas import paper
from capratio.report.palette import SHARED, TONES
from capratio.report.svg import _without_bare_groups, file_svg, inline_svg


def _figure(points: int = 3) -> Figure:
    with paper():
        figure = Figure(figsize=(4, 3))
        ax = figure.subplots()
        ax.plot(range(points), range(points), color=SHARED.light, marker="o")
        ax.set_xlabel("depth <k> & more")
    return figure


def test_text_stays_text_and_is_escaped() -> None:
    svg = inline_svg(_figure(), "one", "A <title>", "says & tells")

    assert "depth &lt;k&gt; &amp; more" in svg
    assert "A &lt;title&gt;" in svg
    assert ElementTree.fromstring(svg).tag.endswith("svg")


def test_colours_are_variables_so_that_the_page_sets_light_and_dark() -> None:
    svg = inline_svg(_figure(), "one", "t", "d")

    assert "var(--shared)" in svg
    assert "var(--ink)" in svg
    assert [] == re.findall(r"#[0-9a-fA-F]{6}\b", svg)


def test_two_figures_of_one_page_share_no_id() -> None:
    first, second = (set(re.findall(r' id="([^"]+)"', inline_svg(_figure(), name, "t", "d"))) for name in ("a", "b"))

    assert first
    assert not first & second


def test_a_group_that_says_nothing_is_left_out_and_others_end_where_they_ended() -> None:
    text = '<svg>\n<g>\n<g style="a">\n<g>\n<path/>\n</g>\n</g>\n<use/>\n</g>\n</svg>'

    assert '<svg>\n<g style="a">\n<path/>\n</g>\n<use/>\n</svg>' == _without_bare_groups(text)


def test_no_rule_of_the_figure_reaches_the_page() -> None:
    assert "<style" not in inline_svg(_figure(), "one", "t", "d")


def test_the_same_figure_gives_the_same_bytes() -> None:
    assert inline_svg(_figure(), "one", "t", "d") == inline_svg(_figure(), "one", "t", "d")


def test_a_file_brings_its_own_tones_for_light_and_dark() -> None:
    text = file_svg(inline_svg(_figure(), "one", "t", "d"))

    assert all(f"--{tone.name}:{tone.light}" in text and f"--{tone.name}:{tone.dark}" in text for tone in TONES)
    assert "prefers-color-scheme: dark" in text
    assert ElementTree.fromstring(text).tag.endswith("svg")


def test_a_figure_of_too_many_points_is_refused_with_its_size() -> None:
    with pytest.raises(InputError, match=r"figure 'many' takes \d+ bytes; at most 150000"):
        inline_svg(_figure(5000), "many", "t", "d")
