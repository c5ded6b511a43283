"""Breaks of the warm line are found, and named by the cache that the table leaves."""

from typing import Any

from capratio.records.record import Point, Record
from capratio.scaling.judge import judge
from capratio.scaling.margins import Margins
from tests.scaling.lines import Law, only

WARM = "warm-latency-over-depth"


def warm(laboratory: Any, law: Law, **given: Any) -> list[Record]:
    fields: dict[str, Any] = {"form": "collapsed", "cache": "warm", "in_features": 512, "out_features": 512} | given
    made: list[Record] = laboratory.line(WARM, law, dense_s=1e-9, **fields)
    return made


def leaving_l3(point: Point) -> float:
    """Leaves of 1 MiB under a cache of 32 MiB."""
    return 31e-6 + 82e-6 * max(0.0, 1.0 - float(2.0 ** (5 - point.depth)))


def test_a_warm_line_that_bends_where_its_table_leaves_l3_holds(
    laboratory: Any, margins: Margins, machine: dict[str, object]
) -> None:
    verdict = only(judge(warm(laboratory, leaving_l3), machine, margins))

    assert "holds" == verdict.status
    assert "L3" == verdict.breaks[0].name
    assert 4 <= verdict.breaks[0].at <= 6
    assert "MiB" in verdict.sentence


def test_a_warm_line_that_bends_elsewhere_is_undecided(
    laboratory: Any, margins: Margins, machine: dict[str, object]
) -> None:
    verdict = only(judge(warm(laboratory, lambda p: 31e-6 if p.depth < 9 else 113e-6), machine, margins))

    assert "undecided" == verdict.status
    assert "L3 32.0 MiB" in verdict.advice


def test_a_straight_warm_line_holds_without_a_break(
    laboratory: Any, margins: Margins, machine: dict[str, object]
) -> None:
    verdict = only(judge(warm(laboratory, lambda p: 3e-5 * (1 + p.depth), form="path"), machine, margins))

    assert ("holds", ()) == (verdict.status, verdict.breaks)


def test_the_step_from_the_dense_product_to_the_first_bit_is_no_break(
    laboratory: Any, margins: Margins, machine: dict[str, Any]
) -> None:
    made = warm(laboratory, lambda p: 35e-6 if p.depth == 0 else 86e-6, sizes=tuple(range(13)))

    verdict = only(judge(made, machine, margins))

    assert ("holds", ()) == (verdict.status, verdict.breaks)
    assert "k = 1 to 12" in verdict.regime


def test_without_cache_sizes_a_bent_warm_line_is_undecided(laboratory: Any, margins: Margins) -> None:
    verdict = only(judge(warm(laboratory, leaving_l3), None, margins))

    assert "undecided" == verdict.status
    assert "machine.json" in verdict.advice


def test_a_warm_line_of_few_depths_is_undecided(laboratory: Any, margins: Margins) -> None:
    verdict = only(judge(warm(laboratory, leaving_l3, sizes=(1, 2, 3)), None, margins))

    assert "undecided" == verdict.status
