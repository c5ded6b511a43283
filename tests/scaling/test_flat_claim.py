"""The flat law of collapsed latency holds, is broken, or cannot be told."""

from typing import Any

import pytest

from capratio.records.record import Record
from capratio.scaling.judge import judge
from capratio.scaling.margins import Margins
from tests.scaling.lines import Law, only

FLAT = "collapsed-latency-flat-over-depth"


def collapsed(laboratory: Any, law: Law, **given: Any) -> list[Record]:
    made: list[Record] = laboratory.line(FLAT, law, form="collapsed", **given)
    return made


def test_a_collapsed_layer_that_costs_the_same_at_every_depth_holds(laboratory: Any, margins: Margins) -> None:
    verdict = only(judge(collapsed(laboratory, lambda p: 2e-6), margins=margins))

    assert "holds" == verdict.status, verdict.sentence
    assert 12 == len(verdict.points)
    assert "t(0) is the dense layer" in verdict.regime
    assert "tree-shared, collapsed" in verdict.group


@pytest.mark.parametrize(
    "law, said",
    [
        (lambda p: 5e-6 * p.depth, "times its value there"),
        (lambda p: 6e-5, "a fixed cost of 5"),
        (lambda p: 0.0 if p.depth < 12 else 5e-5, "k = 12 by +4"),
        (lambda p: -4e-5, "by -3"),
    ],
    ids=["growing", "fixed cost", "one depth", "faster"],
)
def test_a_collapsed_layer_that_leaves_its_margin_is_broken_and_says_where(
    law: Law, said: str, laboratory: Any, margins: Margins
) -> None:
    verdict = only(judge(collapsed(laboratory, law), margins=margins))

    assert "broken" == verdict.status
    assert said in verdict.sentence


def test_a_collapsed_layer_on_the_edge_of_its_margin_is_undecided(laboratory: Any, margins: Margins) -> None:
    verdict = only(judge(collapsed(laboratory, lambda p: 0.13 * 113e-6), margins=margins))

    assert "undecided" == verdict.status
    assert "margin 0.15" in verdict.advice


def test_flatness_of_few_depths_is_undecided(laboratory: Any, margins: Margins) -> None:
    verdict = only(judge(collapsed(laboratory, lambda p: 0.0, sizes=(0, 4, 8, 12)), margins=margins))

    assert "undecided" == verdict.status
    assert "Needs k up to 17" in verdict.advice


def test_a_collapsed_layers_own_depth_zero_is_its_reference_where_measured(laboratory: Any, margins: Margins) -> None:
    # 60 µs of call at every depth, which the dense layer lacks.
    verdict = only(judge(collapsed(laboratory, lambda p: 6e-5, sizes=range(13)), margins=margins))

    assert "holds" == verdict.status
    assert "its own depth 0" in verdict.regime


def test_a_collapsed_layer_without_any_reference_is_undecided(laboratory: Any, margins: Margins) -> None:
    made = [record for record in collapsed(laboratory, lambda p: 0.0) if record.point.layer != "dense"]

    verdict = only(judge(made, margins=margins))

    assert "undecided" == verdict.status
    assert "Needs depth 0, or the dense layer" in verdict.advice
