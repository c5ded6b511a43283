"""Ours beside its peers: ratios, shares and missing peers counted by hand on records made by hand."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from capratio.records.record import Limit, Record, Timing
from capratio.report.figures import side_by_side as figure
from capratio.report.page import write_report
from capratio.report.side_by_side import (
    LINEAR,
    Estimate,
    asked_backend,
    compare,
    comparing,
)
from capratio.report.side_by_side_summary import missing_peers, summarise_calls
from capratio.report.side_by_side_tables import MOST_ROWS, POINT_HEADINGS, side_by_side_section

Maker = Callable[..., Record]
Make = Callable[..., list[Record]]


@pytest.fixture
def make(record_maker: Maker) -> Make:
    """Records of one point by one backend: a process a latency, in microseconds, with a limit."""

    def made(
        backend: str,
        latencies_us: tuple[float, ...],
        limit_us: float = 200.0,
        depth: int = 2,
        tokens: int = 8,
        layer: str = "tree-shared",
    ) -> list[Record]:
        records = []
        for replicate, latency_us in enumerate(latencies_us):
            form = "path" if layer == "dense" else "collapsed"
            record = record_maker(
                layer, form, 8, 4, depth, tokens=tokens, pass_="forward", cache="warm", replicate=replicate
            )
            name = layer if layer == "dense" else f"{layer}[{form}]"
            case = f"{name}/p8-q4-k{depth}/n{tokens}/float32/cpu/forward/warm/text+measured/{backend}/t2"
            timing = Timing((latency_us * 1e-6,), 1, 0, "count", 1.0)
            limit = Limit(limit_us * 1e-6, "memory", 1e10, 1e11, 0.02)
            exact = replace(record.exact, visited_levels=(1,) * depth + (4,))  # type: ignore[type-var]
            records.append(replace(record, case=case, timing=timing, limit=limit, exact=exact))
        return records

    return made


def failed(records: list[Record], status: str = "refused") -> list[Record]:
    return [replace(each, status=status, reason="too large.", timing=None, exact=None, limit=None) for each in records]


def test_a_ratio_is_the_median_of_the_ratios_inside_each_process(make: Make) -> None:
    records = make("auto", (300.0, 400.0, 200.0)) + make("grouped-mm", (600.0, 200.0, 400.0))

    (point,) = compare(records)

    # 300/200, 400/200, 200/200 and 300/600, 400/200, 200/400; the medians of latency alone would give 300/400.
    assert point.over_limit is not None
    assert point.over_fastest is not None
    assert 1.5 == pytest.approx(point.over_limit.value)
    assert 0.5 == pytest.approx(point.over_fastest.value)
    assert point.over_limit.low < 1.5 < point.over_limit.high
    assert 2.0 == pytest.approx(point.speedup)
    # 8 tokens over 4 leaves.
    assert 2.0 == point.tokens_a_leaf
    assert {"auto": 1.5, "grouped-mm": 2.0} == pytest.approx(dict(point.times_limit))


def test_the_fastest_peer_is_named_and_ours_is_not_a_peer(make: Make) -> None:
    (point,) = compare(make("auto", (300.0,)) + make("reference", (500.0,)) + make("grouped-mm", (400.0,)))

    assert ("auto", "grouped-mm") == (point.ours, point.fastest)
    assert Estimate(0.75, 0.75, 0.75) == pytest.approx(point.over_fastest)


def test_points_are_sorted_worst_against_the_limit_first(make: Make) -> None:
    records = [
        record
        # Ratios 1.5, 4.5 and 3 of a large limit; excesses of 30 and 40 us over small ones, whose ratios are larger.
        for tokens, latency_us, limit_us in ((1, 300, 200), (2, 900, 200), (4, 600, 200), (8, 31, 1), (16, 50, 10))
        for backend in ("auto", "reference")
        for record in make(backend, (latency_us,), limit_us, tokens=tokens)
    ]

    assert [2, 4, 1, 16, 8] == [point.tokens for point in compare(records)]


def test_depth_zero_is_held_against_the_dense_layer_of_its_sizes(make: Make) -> None:
    records = make("auto", (210.0,), depth=0) + make("auto", (200.0,), depth=0, layer="dense")

    (point,) = compare(records)

    assert LINEAR == point.fastest
    assert point.over_fastest is not None
    assert 1.05 == pytest.approx(point.over_fastest.value)
    assert [] == comparing(records)


def test_a_point_of_one_backend_is_not_compared(make: Make) -> None:
    assert [] == compare(make("auto", (300.0,)))
    assert side_by_side_section(make("auto", (300.0,))) is None


def system(make: Make, backend: str, latency_us: float, **options: str) -> list[Record]:
    """Records of a system with options, which has no leaves."""
    words = ",".join(f"{name}={value}" for name, value in options.items())
    return [
        replace(
            record,
            case=record.case.replace("tree-shared[collapsed]", f"memory-table[{words}]"),
            point=replace(record.point, layer="memory-table", form="path", options=options),
            exact=None if record.exact is None else replace(record.exact, visited_levels=None),
        )
        for record in make(backend, (latency_us,), depth=0)
    ]


def test_systems_of_different_options_are_different_layers_and_none_is_a_tree_of_depth_zero(make: Make) -> None:
    records = [
        record
        for rows, latency_us in (("8", 100.0), ("16", 200.0))
        for backend, times in (("auto", 1.0), ("embedding-bag", 2.0))
        for record in system(make, backend, latency_us * times, lookup="ids", rows=rows)
    ]

    points = compare(records + make("auto", (10.0,), depth=0, layer="dense"))

    assert {"memory-table[rows=8]": 0.5, "memory-table[rows=16]": 0.5} == pytest.approx(
        {point.series: point.over_fastest.value for point in points if point.over_fastest is not None}
    )
    assert {"embedding-bag"} == {point.fastest for point in points}
    names = [summary.name for summary in summarise_calls(points)]
    assert ["memory-table[rows=16]: forward warm", "memory-table[rows=8]: forward warm"] == names
    (alone,) = compare(records[:2])
    assert "memory-table" == alone.series


def test_a_suite_without_a_peer_has_no_part_in_the_section(make: Make) -> None:
    beside = make("auto", (200.0,)) + make("reference", (400.0,))
    alone = [replace(record, suite="another") for record in make("auto", (10.0,), tokens=64)]

    assert beside == comparing(beside + alone)


def test_a_summary_counts_what_a_hand_counts(make: Make) -> None:
    # Over the limit: 1.0, 4.0 (limit 200 us); 50 us over a limit of 50 us. Peers: 2x slower, 2x faster, 1.1x faster.
    records = [
        *make("auto", (200.0,), tokens=8),
        *make("reference", (400.0,), tokens=8),
        *make("auto", (800.0,), tokens=64),
        *make("reference", (400.0,), tokens=64),
        *make("auto", (100.0,), limit_us=50.0, tokens=16),
        *make("reference", (91.0,), limit_us=50.0, tokens=16),
    ]

    (summary,) = summarise_calls(compare(records))

    assert (3, 2, 1) == (summary.points, summary.large, summary.small)
    assert 2.0 == pytest.approx(summary.mean_over_limit)
    assert 4.0 == pytest.approx(summary.worst_over_limit)
    assert 50e-6 == pytest.approx(summary.largest_excess_s)
    # 9 us are less than a call's noise.
    assert (3, 2, 1) == (summary.compared, summary.peer_faster, summary.peer_clearly_faster)
    # At most four tokens a leaf: 8 and 16 tokens over 4 leaves.
    assert 91 / 100 == pytest.approx(summary.least_speedup)


def test_a_listed_peer_without_a_time_is_named_with_its_reason(make: Make) -> None:
    records = [
        *make("auto", (200.0, 210.0)),
        *make("reference", (400.0, 410.0)),
        *failed(make("gather-bmm", (1.0, 1.0))),
    ]

    grouped, gathered = missing_peers(records)

    assert "grouped-mm is a listed peer of tree-shared, collapsed and has no time in this run" in grouped
    assert "no case asks for it" in grouped
    assert "gather-bmm" in gathered
    assert "2 measurements ended without one, the first refused: too large." in gathered


@pytest.mark.parametrize(("form", "peer"), [("path", "ultrafastbert"), ("leaf", "fastfeedforward")])
def test_a_published_layer_without_a_time_is_missing(make: Make, form: str, peer: str) -> None:
    def of_the_layer(records: list[Record]) -> list[Record]:
        point = replace(records[0].point, layer="fast-feedforward", form=form)
        return [replace(record, point=point) for record in records]

    ours, theirs = of_the_layer(make("auto", (200.0,))), of_the_layer(make(peer, (900.0,)))

    assert [] == missing_peers(ours + theirs)
    (missing,) = missing_peers(ours + failed(theirs))
    assert f"{peer} is a listed peer of fast-feedforward" in missing


def test_no_peer_is_missing_where_each_has_a_time(make: Make) -> None:
    backends = ("auto", "reference", "grouped-mm", "gather-bmm")

    assert [] == missing_peers([record for backend in backends for record in make(backend, (200.0,))])


def test_a_peer_with_a_wrong_answer_has_no_part_in_a_point(make: Make) -> None:
    records = make("auto", (200.0,)) + failed(make("grouped-mm", (1.0,)), "wrong") + make("reference", (300.0,))

    (point,) = compare(records)

    assert {"auto", "reference"} == set(point.latency_s)
    assert "reference" == point.fastest


def test_the_table_keeps_the_worst_points_and_says_so(make: Make) -> None:
    records = [
        record
        for tokens in range(1, MOST_ROWS + 3)
        for backend in ("auto", "reference")
        for record in make(backend, (200.0 + tokens,), tokens=tokens)
    ]

    section = side_by_side_section(records)

    assert section is not None
    assert MOST_ROWS == len(section.rows)
    assert section.caption.startswith(f"The {MOST_ROWS} worst of {MOST_ROWS + 2} points")
    assert all(len(section.headings) == len(row) for row in section.rows)


def test_what_decides_stands_before_the_peers_and_what_no_point_has_is_left_out(make: Make) -> None:
    compared = [*make("auto", (300.0,)), *make("reference", (500.0,))]
    unlimited = [replace(record, limit=None) for record in compared]

    whole, without_limit = side_by_side_section(compared), side_by_side_section(unlimited)

    assert whole is not None
    assert without_limit is not None
    assert [*POINT_HEADINGS, "reference"] == whole.headings
    assert ["limit", "ours / limit"] == [each for each in whole.headings if each not in without_limit.headings]
    assert all(len(without_limit.headings) == len(row) for row in without_limit.rows)


def test_the_figure_has_a_mark_a_backend_and_leaves_depth_zero_out(make: Make) -> None:
    records = make("auto", (300.0,)) + make("reference", (500.0,)) + make("auto", (200.0,), depth=0)
    points = compare([*records, *make("auto", (200.0,), depth=0, layer="dense")])

    (rows,) = figure.select(points).values()

    assert [("auto", 2.0, 1.5), ("reference", 2.0, 2.5)] == list(rows.round(6).itertuples(index=False, name=None))
    drawing = figure.draw(points)
    assert drawing is not None
    (axes,) = drawing.figure.axes
    assert ("log", "log") == (axes.get_xscale(), axes.get_yscale())


def test_no_points_give_no_figure() -> None:
    assert figure.draw([]) is None


def test_the_backend_of_an_id_is_the_one_that_was_asked_for(make: Make) -> None:
    assert "auto" == asked_backend(make("auto", (1.0,))[0].case)


@pytest.mark.parametrize("name", ["index_html", "markdown"])
def test_a_page_of_a_side_by_side_run_compares_and_names_who_is_missing(
    make: Make, run_writer: Callable[[Path, list[Record]], Path], tmp_path: Path, name: str
) -> None:
    records = make("auto", (300.0, 310.0)) + make("reference", (500.0, 520.0)) + make("grouped-mm", (400.0, 410.0))

    files = write_report(run_writer(tmp_path / "run", records), tmp_path / "report", "capratio report run")

    page = getattr(files, name).read_text(encoding="utf-8")
    assert "Side by side" in page
    assert "gather-bmm is a listed peer of tree-shared, collapsed and has no time in this run" in page
    assert "grouped-mm is a listed peer" not in page
    assert page.index("no case in this run") < page.index("One process measures our kernels and their peers")
    if name == "index_html":
        assert '<p class="status broken"><span aria-hidden="true">✗</span> gather-bmm' in page
        assert page.index('id="side-by-side"') < page.index('id="side-by-side-figure-title"')


def test_a_page_of_another_run_has_no_such_section(
    make: Make, run_writer: Callable[[Path, list[Record]], Path], tmp_path: Path
) -> None:
    files = write_report(run_writer(tmp_path / "run", make("auto", (300.0,))), tmp_path / "report", "capratio report")

    assert "side-by-side" not in files.index_html.read_text(encoding="utf-8")
