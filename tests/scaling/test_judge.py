"""Records in, verdicts out: groups, order, seeds, speed, and what cannot be judged."""

import time
from dataclasses import replace
from typing import Any

import pytest

from capratio.errors import InputError
from capratio.records.record import Record, Timing
from capratio.scaling.claims import CLAIMS
from capratio.scaling.judge import judge
from capratio.scaling.lines import latency_s
from capratio.scaling.margins import Margins

DEPTH = "path-latency-over-depth"


def test_every_claim_has_an_id_a_title_and_a_text_that_begins_with_one_sentence() -> None:
    for name, kind in CLAIMS.items():
        first = kind().text.partition("\n\n")[0]

        assert name == kind.id
        assert kind.title
        assert first.endswith(".")
        assert "\n" not in first


def test_no_claim_gives_no_verdict(laboratory: Any) -> None:
    assert [] == judge([laboratory.record()])
    assert [] == judge([])


def test_verdicts_do_not_hang_on_the_order_of_records_or_on_other_claims(laboratory: Any, margins: Margins) -> None:
    made = laboratory.line(DEPTH, lambda p: 1e-4 * p.depth)

    alone = judge(made, margins=margins)
    others = laboratory.line("collapsed-latency-flat-over-depth", lambda p: 1e-6, form="collapsed")
    among = judge([*others, *reversed(made)], margins=margins)

    def shown(verdict: Any) -> tuple[object, ...]:
        return verdict.status, verdict.estimate, verdict.low, verdict.high

    assert [shown(alone[0])] == [shown(verdict) for verdict in among if verdict.claim == DEPTH]


def test_lines_of_different_layers_and_widths_are_judged_apart_and_named_apart(
    laboratory: Any, margins: Margins
) -> None:
    made = [
        record
        for layer in ("tree-unit", "tree-shared")
        for width in (128, 64)
        for record in laboratory.line(DEPTH, lambda p: 1e-4 * p.depth, layer=layer, in_features=width, processes=3)
    ]

    groups = [verdict.group for verdict in judge(made, margins=margins)]

    assert [
        "tree-shared, p = 64, q = 48",
        "tree-shared, p = 128, q = 48",
        "tree-unit, p = 64, q = 48",
        "tree-unit, p = 128, q = 48",
    ] == groups


def test_what_parts_two_groups_is_in_their_names(laboratory: Any, margins: Margins) -> None:
    made = [
        record
        for pass_ in ("decode", "forward")
        for record in laboratory.line(DEPTH, lambda p: 1e-4 * p.depth, pass_=pass_, processes=3)
    ]

    groups = [verdict.group for verdict in judge(made, margins=margins)]

    assert ["tree-shared, p = 64, q = 48, decode", "tree-shared, p = 64, q = 48, forward"] == groups


def test_orders_measured_beside_each_other_are_lines_of_their_own(laboratory: Any, margins: Margins) -> None:
    made = [
        record
        for order in ("nodes", "leaves")
        for record in laboratory.line(DEPTH, lambda p: 1e-4 * p.depth, order=order, processes=3)
    ]

    groups = [verdict.group for verdict in judge(made, margins=margins)]

    assert ["tree-shared, p = 64, q = 48, order leaves", "tree-shared, p = 64, q = 48, order nodes"] == sorted(groups)


def test_a_layer_that_changes_its_order_along_a_line_is_one_line(laboratory: Any, margins: Margins) -> None:
    made = [
        record
        for order, sizes in (("nodes", range(1, 7)), ("prefixes", range(7, 13)))
        for record in laboratory.line(DEPTH, lambda p: 1e-4 * p.depth, order=order, sizes=sizes, processes=3)
    ]

    (verdict,) = judge(made, margins=margins)

    assert 12 == len(verdict.points)
    assert "order nodes and prefixes" in verdict.regime


def test_failed_cases_leave_a_claim_undecided_and_not_unsaid(laboratory: Any) -> None:
    record = laboratory.record((DEPTH, "parameters"))
    failed = replace(record, status="refused", reason="too large.", timing=None, exact=None, memory=None)

    verdicts = judge([failed])

    assert [("parameters", "undecided"), (DEPTH, "undecided")] == [(v.claim, v.status) for v in verdicts]
    assert all(verdict.advice for verdict in verdicts)


def test_a_claim_that_is_not_known_is_undecided(laboratory: Any) -> None:
    (verdict,) = judge([laboratory.record(("made-up",))])

    assert ("made-up", "undecided") == (verdict.claim, verdict.status)
    assert DEPTH in verdict.advice


@pytest.mark.parametrize("sizes", [{"depth": 10**12}, {"depth": -1}, {"in_features": 0}, {"tokens": -1}])
def test_sizes_that_no_layer_has_are_refused(sizes: dict[str, int], laboratory: Any) -> None:
    record = laboratory.record(tuple(CLAIMS))

    with pytest.raises(InputError, match="not written by a sweep"):
        judge([replace(record, point=replace(record.point, **sizes))])


def test_every_undecided_verdict_has_advice(laboratory: Any, margins: Margins) -> None:
    fitted = [name for name, kind in CLAIMS.items() if kind.kind == "fitted"]
    made = [
        laboratory.record((name,), depth=k, cache=cache, form=form)
        for name in fitted
        for k in (1, 2)
        for cache in ("warm", "cold")
        for form in ("path", "collapsed")
    ]

    verdicts = judge(made, margins=margins)

    assert {"undecided"} == {verdict.status for verdict in verdicts}
    assert all(verdict.advice.endswith(".") for verdict in verdicts)


def test_the_dense_layer_of_the_same_replicate_is_taken_off(laboratory: Any, margins: Margins) -> None:
    made = []
    for replicate in range(3):
        # A slow day makes both slow; their difference stays.
        slow = 1e-4 * replicate
        made.append(
            replace(laboratory.record((), replicate=replicate, layer="dense", depth=0), timing=timing(1e-4 + slow))
        )
        for k in range(1, 9):
            tree = laboratory.record((DEPTH,), replicate=replicate, depth=k)
            made.append(replace(tree, timing=timing(1e-4 + slow + 1e-5 * k)))

    (verdict,) = judge(made, margins=margins)

    assert [pytest.approx(1e-5 * k) for k in range(1, 9)] == [point.y for point in verdict.points]
    assert "holds" == verdict.status


def timing(latency: float) -> Timing:
    return Timing((latency,) * 3, 0, 0, "count", 0.0)


def test_device_time_is_taken_where_there_is_one(laboratory: Any) -> None:
    record = laboratory.record()

    both = replace(record, timing=replace(timing(5e-5), device_samples_s=(1e-6, 2e-6, 9e-6)))

    assert 2e-6 == latency_s(both)
    assert 5e-5 == latency_s(replace(record, timing=timing(5e-5)))
    assert latency_s(replace(record, timing=None)) is None


def full_run(laboratory: Any) -> list[Record]:
    """About the shape of the full sweep: a line over k of every layer, two lines over widths, seven processes."""
    claims = tuple(CLAIMS)
    made = []
    calls = [(1, "decode", "cold"), (1, "decode", "warm"), (1024, "forward", "warm"), (1024, "train", "warm")]
    shapes = [("dense", "path", 0, 512, 512)]
    shapes += [
        (layer, form, k, 512, 512)
        for layer in ("tree-shared", "tree-unit", "tree-bias")
        for form in ("path", "collapsed")
        for k in range(13)
    ]
    widths = (128, 192, 257, 384, 769, 1024, 1536)
    for width in widths:
        for sizes in ((width, 512), (512, width)):
            shapes += [("dense", "path", 0, *sizes), ("tree-shared", "path", 8, *sizes)]
    for layer, form, k, p, q in shapes:
        for tokens, pass_, cache in calls:
            fields: dict[str, Any] = {"layer": layer, "form": form, "depth": k, "in_features": p, "out_features": q}
            fields |= {"tokens": tokens, "pass_": pass_, "cache": cache}
            first = laboratory.record(claims, 1e-4 + 1e-5 * k, 0, **fields)
            made += [
                replace(first, replicate=r, timing=timing((1e-4 + 1e-5 * k) * (1 + 0.01 * ((r * 7 + k) % 5))))
                for r in range(7)
            ]
    return made


def test_a_full_run_is_judged_within_seconds(laboratory: Any, machine: dict[str, object]) -> None:
    made = full_run(laboratory)

    begun = time.process_time()
    verdicts = judge(made, machine)
    took_s = time.process_time() - begun

    assert len(made) > 2000
    assert len(verdicts) > 60
    # A few seconds on an idle core; the bound allows for a slow and busy one.
    assert took_s < 20.0
