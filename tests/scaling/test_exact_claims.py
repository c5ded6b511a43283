"""Each exact claim holds on right counts, is broken by a planted error of one, and is undecided without points."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from capratio.records.record import Exact, Record
from capratio.scaling.claims import CLAIMS
from capratio.scaling.judge import judge

# The laws of trees; those of other systems have a file of their own.
EXACT = [
    name
    for name, kind in CLAIMS.items()
    if kind.kind == "exact" and name not in ("system-counts", "fast-feedforward-counts")
]
SERIES = (
    ("dense", "path"),
    ("tree-shared", "path"),
    ("tree-shared", "collapsed"),
    ("tree-unit", "path"),
    ("tree-unit", "collapsed"),
    ("tree-bias", "path"),
    ("tree-bias", "collapsed"),
)
CALLS = ((1, "decode"), (5, "forward"), (37, "forward"), (6, "train"))


def every_case(laboratory: Any, claim: str) -> Iterator[Record]:
    """Every layer, form, depth, order, gate and pass, with odd widths."""
    for layer, form in SERIES:
        for depth in (0,) if layer == "dense" else (0, 1, 4, 7):
            for tokens, pass_ in CALLS:
                sizes = {"in_features": 15, "out_features": 9, "depth": depth, "tokens": tokens, "pass_": pass_}
                for order in ("leaves", "prefixes", "nodes") if (layer, form) == ("tree-shared", "path") else (None,):
                    yield laboratory.record((claim,), layer=layer, form=form, order=order, **sizes)
                gate = {"tree-shared": "hyperplanes", "tree-bias": "hyperplanes", "tree-unit": "thresholds"}.get(layer)
                if gate:
                    yield laboratory.record((claim,), layer=layer, form=form, gate=gate, bias=False, **sizes)


def exact_of(record: Record) -> Exact:
    assert record.exact is not None
    return record.exact


@pytest.mark.parametrize("claim", EXACT)
def test_right_counts_hold_for_every_layer_depth_order_gate_and_pass(claim: str, laboratory: Any) -> None:
    verdicts = judge(list(every_case(laboratory, claim)))

    assert verdicts
    assert {"holds"} == {verdict.status for verdict in verdicts}, [v.sentence for v in verdicts if v.status != "holds"]
    assert all(verdict.expected == verdict.estimate for verdict in verdicts)


def off(name: str, by: int = 1) -> Callable[[Exact], Exact]:
    """Change one field."""
    return lambda exact: replace(exact, **{name: getattr(exact, name) + by})


def off_class(field: str, name: str, by: int = 1) -> Callable[[Exact], Exact]:
    """Change one FLOP class of one count."""
    return lambda exact: replace(exact, **{field: getattr(exact, field) | {name: getattr(exact, field)[name] + by}})


PLANTED = [
    ("parameters", "tree-shared", off("weight_parameters")),
    ("parameters", "tree-unit", off("parameters", -1)),
    ("capacity-ratio", "tree-shared", off("weight_parameters")),
    ("capacity-ratio", "tree-shared", off_class("law_flop", "overhead")),
    ("capacity-ratio", "tree-bias", lambda exact: replace(exact, capacity_ratio=(exact.capacity_ratio or 0) * 1.0001)),
    ("overhead-flop-per-unit", "tree-shared", off_class("law_flop", "overhead")),
    ("overhead-flop-per-unit", "tree-unit", off_class("law_flop", "overhead", 15)),
    ("total-overhead-flop", "tree-shared", off_class("law_flop", "overhead")),
    ("total-overhead-flop", "tree-shared", off_class("flop", "overhead")),
    ("dense-flop", "dense", off_class("flop", "product")),
    ("dense-flop", "tree-shared", off_class("law_flop", "product")),
    ("tree-bias-overhead-flop", "tree-bias", off_class("law_flop", "overhead", -9)),
    ("tree-bias-overhead-flop", "tree-bias", off_class("flop", "overhead")),
    ("executed-flop", "tree-shared", off_class("flop", "overhead")),
    ("executed-flop", "tree-shared", off_class("flop", "bias")),
    ("executed-flop", "tree-unit", off_class("promised_flop", "padded")),
    ("touched-parameters", "tree-shared", off("touched_parameters")),
]


@pytest.mark.parametrize("claim, layer, plant", PLANTED)
def test_a_planted_error_of_one_breaks_the_claim_and_names_the_case(
    claim: str, layer: str, plant: Callable[[Exact], Exact], laboratory: Any
) -> None:
    depths = (0, 0, 0) if layer == "dense" else (2, 3, 4)
    made = [laboratory.record((claim,), layer=layer, depth=k, replicate=r) for r, k in enumerate(depths)]
    made[1] = replace(made[1], case="the bad one", exact=plant(exact_of(made[1])))

    (verdict,) = judge(made)

    assert "broken" == verdict.status
    assert "the bad one, replicate 1" in verdict.sentence
    assert "1 of" in verdict.sentence
    assert verdict.estimate != verdict.expected


def test_a_bug_that_counter_and_promise_share_is_found_by_the_claims_own_sum(laboratory: Any) -> None:
    record = laboratory.record(("executed-flop",), tokens=8, pass_="forward", depth=3)
    exact = exact_of(record)
    wrong = exact.flop | {"overhead": exact.flop["overhead"] + 64 * 48}

    (verdict,) = judge([replace(record, exact=replace(exact, flop=wrong, promised_flop=wrong))])

    assert "broken" == verdict.status


def test_more_visited_nodes_than_a_level_has_are_found(laboratory: Any) -> None:
    record = laboratory.record(("touched-parameters",), tokens=2, pass_="forward", depth=2)
    exact = exact_of(record)
    levels = (1, 2, 3)

    made = replace(exact, visited_levels=levels, touched_parameters=6 * 64 * 48 + 48)
    (verdict,) = judge([replace(record, exact=made)])

    assert "broken" == verdict.status
    assert "visited nodes of level 2" in verdict.quantity


@pytest.mark.parametrize("claim", EXACT)
def test_a_users_layer_has_no_law_and_is_undecided(claim: str, laboratory: Any) -> None:
    record = laboratory.record((claim,))
    foreign = replace(record.point, layer="mine.layers:Fast")

    (verdict,) = judge([replace(record, point=foreign)])

    assert "undecided" == verdict.status
    assert "mine.layers:Fast has no closed form here" in verdict.advice


def test_a_lower_bound_of_flop_does_not_decide(laboratory: Any) -> None:
    record = laboratory.record(("executed-flop",))

    bound = replace(exact_of(record), flop_is_lower_bound=True, unknown_operations=("mine::fast",))
    (verdict,) = judge([replace(record, exact=bound)])

    assert "undecided" == verdict.status
    assert "mine::fast" in verdict.advice


def test_the_law_of_a_unit_is_k_q_and_of_a_token_k_p_q_by_hand(laboratory: Any) -> None:
    made = [laboratory.record(("overhead-flop-per-unit", "total-overhead-flop"), depth=k) for k in range(13)]

    unit, token = judge(made)

    # k = 12, p = 64, q = 48.
    assert 576 == unit.expected
    assert 36_864 == token.expected


def test_capacity_of_the_path_form_is_that_of_the_papers_table(laboratory: Any) -> None:
    made = [laboratory.record(("capacity-ratio",), depth=k) for k in (4, 8, 12)]

    (verdict,) = judge(made)

    assert [10.33, 102.2, 1170.1] == [round(point.y, 2 if point.x == 4 else 1) for point in verdict.points]


def test_tree_bias_is_left_out_where_the_law_is_about_matrices(laboratory: Any) -> None:
    made = [laboratory.record(("total-overhead-flop",), layer=layer) for layer in ("tree-shared", "tree-bias")]

    assert ["tree-shared"] == [verdict.group for verdict in judge(made)]
