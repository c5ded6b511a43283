"""Each fitted claim holds on its law, is broken by a wrong law, and is undecided where records cannot tell."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from capratio.records.record import Exact, Memory, Point, Record
from capratio.scaling.judge import judge
from capratio.scaling.margins import Margins
from capratio.scaling.verdict import Verdict

DEPTH = "path-latency-over-depth"
IN, OUT = "path-latency-over-in-features", "path-latency-over-out-features"
FLOP = "path-latency-over-overhead-flop"
FLAT = "collapsed-latency-flat-over-depth"
WARM = "warm-latency-over-depth"
MEMORY = "memory-over-parameters"

WIDTHS = (128, 192, 257, 384, 512, 769, 1024, 1536)
# Seconds that memory takes for the 4 bytes of a weight.
WEIGHT_S = 4e-10
CALL_S = 4e-5

Law = Callable[[Point], float]


def only(verdicts: list[Verdict]) -> Verdict:
    assert 1 == len(verdicts), [verdict.group for verdict in verdicts]
    return verdicts[0]


def dense(point: Point) -> float:
    return 2e-5 + WEIGHT_S * point.in_features * point.out_features


def forming(point: Point) -> float:
    """The right law: each node's weights cross the memory interface once."""
    return CALL_S + WEIGHT_S * point.depth * point.in_features * point.out_features


def swept_line(laboratory: Any, claim: str, law: Law, **given: Any) -> list[Record]:
    """A line of the claim's own size through a centre."""
    centre: dict[str, Any] = {"in_features": 512, "out_features": 512, "depth": 8}
    swept = {IN: "in_features", OUT: "out_features"}.get(claim, "depth")
    if swept != "depth":
        given = {"sizes": WIDTHS} | given
    made: list[Record] = laboratory.line(claim, law, swept=swept, dense_s=dense, **(centre | given))
    return made


@pytest.mark.parametrize("claim", [DEPTH, IN, OUT])
def test_overhead_that_grows_with_its_weights_holds(claim: str, laboratory: Any, margins: Margins) -> None:
    verdict = only(judge(swept_line(laboratory, claim, forming), margins=margins))

    assert "holds" == verdict.status, verdict.sentence
    assert verdict.low is not None
    assert verdict.high is not None
    assert verdict.low <= 1.0 <= verdict.high
    assert "N = 1, decode, cold" in verdict.regime
    assert "" == verdict.advice


WRONG: dict[str, Callable[[float], float]] = {
    "square": lambda x: x**2,
    "root": lambda x: x**0.5,
    "constant": lambda x: 1.0,
    "exponential": lambda x: 2.0 ** (12 * x),
}


@pytest.mark.parametrize("claim", [DEPTH, IN, OUT])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_law_is_broken(claim: str, wrong: str, laboratory: Any, margins: Margins) -> None:
    def law(point: Point) -> float:
        share = {IN: point.in_features / 1536, OUT: point.out_features / 1536}.get(claim, point.depth / 12)
        return CALL_S + 2e-3 * WRONG[wrong](share) / WRONG[wrong](1.0)

    verdict = only(judge(swept_line(laboratory, claim, law), margins=margins))

    assert "broken" == verdict.status, verdict.sentence
    assert verdict.sentence


def test_a_wrong_law_is_seldom_passed_and_the_right_one_seldom_broken(
    laboratory_of: Callable[..., Any], margins: Margins
) -> None:
    quick = replace(margins, bootstrap_draws=200)
    laws: dict[str, Law] = {"right": forming, "off": lambda p: CALL_S + 1e-4 * p.depth**1.4}

    counts = {
        name: [
            only(judge(swept_line(laboratory_of(seed=seed), DEPTH, law), margins=quick)).status for seed in range(25)
        ]
        for name, law in laws.items()
    }

    assert 0 == counts["right"].count("broken")
    assert counts["right"].count("holds") >= 22
    assert 0 == counts["off"].count("holds")


def test_too_few_depths_are_undecided_and_told_how_far_to_go(laboratory: Any, margins: Margins) -> None:
    verdict = only(judge(swept_line(laboratory, DEPTH, forming, sizes=range(1, 7)), margins=margins))

    assert "undecided" == verdict.status
    assert "Needs k up to 8" in verdict.advice
    # What can be shown is shown.
    assert verdict.estimate is not None


def test_too_few_widths_are_undecided(laboratory: Any, margins: Margins) -> None:
    verdict = only(judge(swept_line(laboratory, IN, forming, sizes=WIDTHS[:5]), margins=margins))

    assert "undecided" == verdict.status
    assert "Needs 8 sizes of p; 5 were measured." == verdict.advice


@pytest.mark.parametrize("processes", [1, 2])
def test_too_few_processes_are_undecided(processes: int, laboratory: Any, margins: Margins) -> None:
    verdict = only(judge(swept_line(laboratory, DEPTH, forming, processes=processes), margins=margins))

    assert "undecided" == verdict.status


def test_an_overhead_under_the_noise_is_below_resolution_and_says_so(laboratory: Any, margins: Margins) -> None:
    verdict = only(judge(swept_line(laboratory, DEPTH, lambda p: 1e-7 * p.depth), margins=margins))

    assert "undecided" == verdict.status
    assert sum(not point.resolved for point in verdict.points) > 6
    assert "below resolution" in verdict.sentence
    assert "above resolution" in verdict.advice


def test_noise_that_hides_the_exponent_asks_for_processes(laboratory_of: Callable[..., Any], margins: Margins) -> None:
    made = swept_line(laboratory_of(seed=1, between=0.15), DEPTH, forming)

    verdict = only(judge(made, margins=margins))

    assert "undecided" == verdict.status
    assert "processes a case" in verdict.advice
    assert "margin 0.15" in verdict.advice


def test_a_size_whose_processes_failed_is_left_out_and_said(laboratory: Any, margins: Margins) -> None:
    made = swept_line(laboratory, DEPTH, forming)
    kept = [record for record in made if record.point.depth != 9 or record.replicate == 0]

    verdict = only(judge(kept, margins=margins))

    assert "holds" == verdict.status
    assert 11 == len(verdict.points)
    assert "k = 9 left out for want of processes" in verdict.regime


def test_overhead_that_does_not_grow_has_no_exponent(laboratory: Any, margins: Margins) -> None:
    verdict = only(judge(swept_line(laboratory, DEPTH, lambda p: 2e-3), margins=margins))

    assert ("broken", None) == (verdict.status, verdict.estimate)
    assert "does not grow" in verdict.sentence


def test_without_a_dense_layer_overhead_is_undecided(laboratory: Any, margins: Margins) -> None:
    made = [record for record in swept_line(laboratory, DEPTH, forming) if record.point.layer != "dense"]

    verdict = only(judge(made, margins=margins))

    assert ("undecided", ()) == (verdict.status, verdict.points)
    assert "dense layer of the same p, q" in verdict.advice


def test_warm_and_batched_cases_do_not_decide_the_law_over_depth(laboratory: Any, margins: Margins) -> None:
    made = swept_line(laboratory, DEPTH, forming)
    bent = swept_line(laboratory, DEPTH, lambda p: 1e-4 * p.depth**2, cache="warm")
    batch = swept_line(laboratory, DEPTH, lambda p: 1e-4 * p.depth**2, tokens=64, pass_="forward")

    verdict = only(judge([*made, *bent, *batch], margins=margins))

    assert "holds" == verdict.status


def test_a_batch_that_applies_nodes_is_judged_over_depth(laboratory: Any, margins: Margins) -> None:
    made = swept_line(laboratory, DEPTH, forming, tokens=64, pass_="forward", order="nodes", cache="warm")

    verdict = only(judge(made, margins=margins))

    assert "holds" == verdict.status
    assert "N = 64" in verdict.regime
    assert "order nodes" in verdict.regime


def overhead_flop(record: Record) -> int:
    assert record.exact is not None
    return record.exact.flop["overhead"]


@pytest.mark.parametrize("exponent, status", [(1.0, "holds"), (1.5, "broken"), (0.5, "broken")])
def test_overhead_of_a_batch_is_held_against_its_counted_flop(
    exponent: float, status: str, laboratory: Any, margins: Margins
) -> None:
    batch: dict[str, Any] = {"tokens": 256, "pass_": "forward", "cache": "warm"}

    def law(point: Point) -> float:
        probe = laboratory.record(depth=point.depth, in_features=512, out_features=512, **batch)
        return CALL_S + 1e-3 * float((overhead_flop(probe) / 1e8) ** exponent)

    verdict = only(judge(swept_line(laboratory, FLOP, law, **batch), margins=margins))

    assert status == verdict.status, verdict.sentence
    assert "FLOP" in verdict.regime
    assert "order prefixes" in verdict.regime


def test_where_a_batch_leaves_its_law_the_cause_is_named(laboratory: Any, margins: Margins) -> None:
    batch: dict[str, Any] = {"tokens": 64, "pass_": "forward", "cache": "warm"}

    def law(point: Point) -> float:
        flop = overhead_flop(laboratory.record(depth=point.depth, in_features=512, out_features=512, **batch))
        # Beyond 64 leaves each is visited by one token, and costs five times as much.
        edge = overhead_flop(laboratory.record(depth=6, in_features=512, out_features=512, **batch))
        return CALL_S + 1e-10 * (min(flop, edge) + 5 * max(flop - edge, 0))

    verdict = only(judge(swept_line(laboratory, FLOP, law, **batch), margins=margins))

    assert verdict.status != "holds"
    assert "fewer than one token a leaf" in {each.name for each in verdict.breaks}
    assert "fewer than one token a leaf" in verdict.sentence


def test_a_batch_of_few_depths_is_undecided(laboratory: Any, margins: Margins) -> None:
    batch: dict[str, Any] = {"tokens": 64, "pass_": "forward", "cache": "warm", "sizes": (4, 8, 12)}

    verdict = only(judge(swept_line(laboratory, FLOP, forming, **batch), margins=margins))

    assert ("undecided", None) == (verdict.status, verdict.estimate)


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


def with_memory(record: Record, held: float, peak: int | None = 0) -> Record:
    return replace(record, memory=Memory(int(held), peak, None, None, None, {}))


def parameters(record: Record) -> int:
    assert isinstance(record.exact, Exact)
    return record.exact.parameters


@pytest.mark.parametrize(
    "held, status",
    [
        (lambda x: 4 * x, "holds"),
        (lambda x: 4 * x + 3e6, "holds"),
        (lambda x: 4 * x**1.08, "broken"),
        (lambda x: 4 * x**0.9, "broken"),
        (lambda x: 5e8, "broken"),
    ],
)
def test_memory_is_held_against_parameters(
    held: Callable[[float], float], status: str, laboratory: Any, margins: Margins
) -> None:
    made = swept_line(laboratory, MEMORY, forming, sizes=range(13))
    made = [with_memory(record, held(parameters(record))) for record in made]

    verdict = only(judge(made, margins=margins))

    assert status == verdict.status, verdict.sentence
    assert 0.05 == verdict.margin


def test_the_path_forms_own_temporaries_do_not_break_the_memory_law(laboratory: Any, margins: Margins) -> None:
    matrix = 4 * 512 * 512
    made = [
        with_memory(record, 4 * parameters(record), (record.point.depth + 1) * matrix)
        for record in swept_line(laboratory, MEMORY, forming, sizes=range(13))
    ]

    assert "holds" == only(judge(made, margins=margins)).status


def test_memory_of_few_depths_is_undecided_and_a_lost_peak_is_told(laboratory: Any, margins: Margins) -> None:
    made = swept_line(laboratory, MEMORY, forming, sizes=(0, 4, 8, 12))
    made = [with_memory(record, 4 * parameters(record), None) for record in made]

    verdict = only(judge(made, margins=margins))

    assert "undecided" == verdict.status
    assert "state alone" in verdict.regime
