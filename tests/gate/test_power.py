"""The power that a gate states, against gates that were run."""

from math import exp, log
from random import Random

import pytest

from capratio.gate.power import power, process_spread, ratio_spread
from capratio.gate.rank_inference import paired


@pytest.mark.parametrize(
    "spread, blocks, slowdown, alpha", [(0.02, 12, 0.05, 0.005), (0.04, 24, 0.05, 0.01), (0.03, 12, 0.08, 0.001)]
)
def test_the_stated_power_is_that_of_gates_on_normal_noise(
    spread: float, blocks: int, slowdown: float, alpha: float
) -> None:
    draw = Random(1)
    found = 0
    for _ in range(400):
        ratios = [draw.gauss(log(1 + slowdown), spread) for _ in range(blocks)]
        found += paired(ratios).p_above(log(1.02)) <= alpha

    # Ranks find a little less than Student's test on normal noise; 400 gates know a share to 0.05.
    assert power(spread, blocks, 0.02, slowdown, alpha) == pytest.approx(found / 400, abs=0.09)


def test_so_few_blocks_that_no_p_value_gets_there_find_nothing() -> None:
    assert 0.0 == power(0.0001, 8, 0.02, 0.5, 0.001)


def test_without_noise_everything_beyond_the_budget_is_found_and_nothing_within() -> None:
    assert (1.0, 0.0) == (power(0.0, 12, 0.02, 0.03, 0.01), power(0.0, 12, 0.02, 0.01, 0.01))


def test_the_spread_of_processes_is_that_of_one_side_and_a_wild_process_counts_once() -> None:
    draw = Random(2)
    ratios = [draw.gauss(0, 0.01) - draw.gauss(0, 0.01) for _ in range(2000)]

    assert process_spread(ratios) == pytest.approx(0.01, rel=0.06)
    assert ratio_spread([*ratios, log(exp(30))]) == pytest.approx(ratio_spread(ratios), rel=0.01)
