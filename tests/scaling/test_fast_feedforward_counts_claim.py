"""The claim about fast feedforward layers holds on what their runs count, and is broken by one."""

from dataclasses import replace
from typing import Any

import pytest
from torch import nn

from capratio.records.record import Exact, Point, Record
from capratio.scaling.judge import judge
from capratio.sweep.case import Case, Sampling
from capratio.sweep.measure_case import count_exactly
from capratio.sweep.prepare import build_layer, prepare_trial
from tests.sweep.points import POINT

CLAIM = ("fast-feedforward-counts",)
LEAF = replace(
    POINT, layer="fast-feedforward", form="leaf", gate="descent", options={"hidden": "3"}, order=None, tokens=6
)
POINTS = {
    "leaf": LEAF,
    "leaf, one bias": replace(LEAF, bias=False),
    "leaf, depth 0": replace(LEAF, depth=0),
    "path, bias": replace(LEAF, form="path", options=None),
    "path": replace(LEAF, form="path", bias=False, options=None),
}


def counted(laboratory: Any, point: Point) -> Record:
    """A record of what one call counts while it runs."""
    case = Case(point, "suite", "group", 1, sampling=Sampling(decode_tokens=4))
    layer = build_layer(point, seed=1)
    assert isinstance(layer, nn.Module)
    exact = count_exactly(layer, prepare_trial(layer, case, seed=1), case)
    record = laboratory.record(CLAIM, layer="dense", depth=0)
    assert isinstance(record, Record)
    return replace(record, point=point, exact=exact, case="fast-feedforward")


@pytest.mark.parametrize(("pass_", "tokens"), [("forward", 6), ("decode", 1), ("train", 6)])
@pytest.mark.parametrize("name", POINTS)
def test_what_a_call_counts_is_what_the_tree_says(name: str, pass_: str, tokens: int, laboratory: Any) -> None:
    (verdict,) = judge([counted(laboratory, replace(POINTS[name], pass_=pass_, tokens=tokens))])

    assert "holds" == verdict.status, verdict.sentence


def one_more(exact: Exact, name: str) -> Exact:
    if name in exact.flop:
        return replace(exact, flop=exact.flop | {name: exact.flop[name] + 1})
    return replace(exact, **{name: getattr(exact, name) + 1})


@pytest.mark.parametrize("name", ["product", "overhead", "gating", "parameters", "touched_parameters"])
def test_a_count_that_is_off_by_one_breaks_it(name: str, laboratory: Any) -> None:
    right = counted(laboratory, LEAF)
    assert right.exact is not None

    (verdict,) = judge([replace(right, exact=one_more(right.exact, name))])

    assert "broken" == verdict.status


def test_a_record_without_counted_visits_says_nothing(laboratory: Any) -> None:
    right = counted(laboratory, LEAF)
    assert right.exact is not None

    (verdict,) = judge([replace(right, exact=replace(right.exact, visited_levels=None))])

    assert "undecided" == verdict.status
