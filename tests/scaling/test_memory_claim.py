"""Memory is held against parameters."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from capratio.records.record import Exact, Memory, Record
from capratio.scaling.judge import judge
from capratio.scaling.margins import Margins
from tests.scaling.lines import forming, only, swept_line

MEMORY = "memory-over-parameters"


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
