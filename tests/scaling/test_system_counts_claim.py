"""The claim about systems that are no trees: holds on their closed forms, broken by one, undecided without visits."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from capratio.cost.systems.table import SYSTEMS
from capratio.records.record import Exact, Record
from capratio.scaling.judge import judge

CLAIM = ("system-counts",)


def measured(laboratory: Any, layer: str, tokens: int = 1, pass_: str = "forward", **changed: Any) -> Record:
    """A record of a system at its defaults, its counts from its own specification."""
    spec = SYSTEMS[layer].from_options(32, 32, {})
    visits = spec.one_token()
    executed = spec.executed(visits, pass_)
    like_dense = laboratory.record(CLAIM, layer="dense", depth=0, in_features=32, out_features=32, tokens=1)
    exact = replace(
        like_dense.exact,
        flop=executed.flop.as_dict(),
        routing_operations=executed.routing_operations,
        parameters=spec.parameters,
        touched_parameters=spec.touched_parameters(visits),
        visited_levels=None,
        visits=dict(visits.counts),
    )
    point = replace(like_dense.point, layer=layer, tokens=tokens, pass_=pass_, options=spec.options or None)
    assert isinstance(like_dense, Record)
    return replace(like_dense, point=point, exact=replace(exact, **changed), case=f"{layer}/{pass_}")


@pytest.mark.parametrize("pass_", ["forward", "train"])
@pytest.mark.parametrize("layer", list(SYSTEMS))
def test_every_system_holds_on_its_closed_form(layer: str, pass_: str, laboratory: Any) -> None:
    (verdict,) = judge([measured(laboratory, layer, pass_=pass_)])

    assert ("holds", layer) == (verdict.status, verdict.group)


def one_more(name: str) -> Callable[[Exact], dict[str, Any]]:
    return lambda exact: {name: getattr(exact, name) + 1}


@pytest.mark.parametrize(
    "planted",
    [
        one_more("routing_operations"),
        one_more("parameters"),
        one_more("touched_parameters"),
        lambda exact: {"flop": exact.flop | {"product": exact.flop["product"] + 1}},
        lambda exact: {"flop": exact.flop | {"gating": exact.flop["gating"] + 1}},
    ],
)
def test_a_count_that_is_off_by_one_breaks_it(planted: Callable[[Exact], dict[str, Any]], laboratory: Any) -> None:
    right = measured(laboratory, "moe-sparse")
    assert right.exact is not None

    (verdict,) = judge([measured(laboratory, "moe-sparse", **planted(right.exact))])

    assert "broken" == verdict.status
    assert "promises" in verdict.sentence


def test_a_law_whose_own_quantity_is_nothing_shows_the_first_that_is_not(laboratory: Any) -> None:
    # A look-up adds a row: there is no product, and 32 additions.
    (verdict,) = judge([measured(laboratory, "memory-table")])
    (mixture,) = judge([measured(laboratory, "moe-sparse")])

    assert verdict.quantity.startswith("overhead FLOP at")
    assert (32, 32) == (verdict.estimate, verdict.expected)
    assert mixture.quantity.startswith("product FLOP at")


def test_a_record_without_visits_says_nothing(laboratory: Any) -> None:
    (verdict,) = judge([measured(laboratory, "moe-sparse", visits=None)])

    assert "undecided" == verdict.status


def test_the_laws_of_trees_do_not_ask_about_other_systems(laboratory: Any) -> None:
    claims = ("executed-flop", "touched-parameters", "system-counts")
    records = [
        replace(measured(laboratory, "moe-sparse"), claims=claims),
        laboratory.record(claims, layer="dense", depth=0),
    ]

    verdicts = judge(records)

    groups = {(verdict.claim, verdict.group) for verdict in verdicts}
    assert {("executed-flop", "dense"), ("touched-parameters", "dense"), ("system-counts", "moe-sparse")} == groups
