"""A case's id names everything that was asked for."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capratio.records.case_id import case_id
from capratio.records.record import Point

POINT = Point(
    "tree-shared", "path", 512, 256, 8, 1024, "float32", "cpu", "train", "cold", "text", "zipf", "reference", 2
)


def test_the_usual_case_has_no_brackets() -> None:
    assert "tree-shared/p512-q256-k8/n1024/float32/cpu/train/cold/text+zipf/reference/t2" == case_id(POINT)


@pytest.mark.parametrize(
    "changed, first",
    [
        ({"form": "collapsed"}, "tree-shared[collapsed]"),
        ({"bias": False}, "tree-shared[nobias]"),
        ({"gate": "thresholds"}, "tree-shared[gate=thresholds]"),
        ({"order": "leaves"}, "tree-shared[order=leaves]"),
        ({"order": "auto"}, "tree-shared"),
        ({"weight_gradient": "dense"}, "tree-shared"),
        ({"weight_gradient": "touched"}, "tree-shared[weight_gradient=touched]"),
        ({"options": {"b": "2", "a": "1"}}, "tree-shared[a=1,b=2]"),
        (
            {"form": "collapsed", "bias": False, "gate": "hyperplane", "options": {"z": "x"}},
            "tree-shared[collapsed,nobias,gate=hyperplane,z=x]",
        ),
        ({"layer": "mine.layers:Fast"}, "mine.layers:Fast"),
        ({"layer": "a/b[c],d=e"}, "a%2Fb%5Bc%5D%2Cd%3De"),
    ],
)
def test_what_is_unusual_stands_in_brackets(changed: dict[str, Any], first: str) -> None:
    assert first == case_id(replace(POINT, **changed)).split("/")[0]


@pytest.mark.parametrize(
    "one, other",
    [
        ({"form": "nobias"}, {"bias": False}),
        ({"options": {"gate": "x"}}, {"gate": "x"}),
        ({"options": {":gate": "x"}}, {"options": {"gate": "x"}}),
        ({"options": {"order": "x"}}, {"order": "x"}),
        ({"options": {"weight_gradient": "x"}}, {"weight_gradient": "x"}),
        ({"options": {"a": "1,b=2"}}, {"options": {"a": "1", "b": "2"}}),
        ({"layer": "a%2Fb"}, {"layer": "a/b"}),
        ({"options": {"form": "nobias"}}, {"form": "nobias"}),
    ],
)
def test_names_made_to_collide_do_not(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert case_id(replace(POINT, **one)) != case_id(replace(POINT, **other))


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_two_points_have_one_id_only_when_they_are_one_case(
    points_strategy: st.SearchStrategy[Point], data: st.DataObject
) -> None:
    one = data.draw(points_strategy)
    other = data.draw(points_strategy)
    field = data.draw(st.sampled_from(sorted(Point.__dataclass_fields__)))
    near = replace(one, **{field: getattr(other, field)})

    for first, second in ((one, other), (one, near)):
        assert (_asked(first) == _asked(second)) == (case_id(first) == case_id(second))


def _asked(point: Point) -> Point:
    return replace(point, order=None if point.order == "auto" else point.order, options=point.options or None)
