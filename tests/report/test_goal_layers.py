"""Goals that hold a layer against others of its run: replicate by replicate, the fastest counts, options choose."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from capratio.records.record import Record, Timing
from capratio.report.goal_answers import answer_goals
from capratio.report.goal_table import goal_rows
from capratio.report.goals import Goal
from capratio.report.quantities import NOTHING

Maker = Callable[..., Record]
Make = Callable[..., list[Record]]


@pytest.fixture
def make(record_maker: Maker) -> Make:
    """Records of one layer that is no tree: a process a latency, in microseconds."""

    def made(
        *latencies_us: float,
        layer: str,
        options: dict[str, str],
        backend: str = "auto",
        tokens: int = 8,
        pass_: str = "forward",
    ) -> list[Record]:
        words = ",".join(f"{name}={value}" for name, value in options.items())
        records = []
        for replicate, latency_us in enumerate(latencies_us):
            record = record_maker(
                "dense", "path", 8, 4, 0, tokens=tokens, pass_=pass_, cache="warm", replicate=replicate
            )
            records.append(
                replace(
                    record,
                    case=f"{layer}[{words}]/p8-q4-k0/n{tokens}/float32/cpu/{pass_}/warm/text+measured/{backend}/t2",
                    point=replace(record.point, layer=layer, options=options),
                    timing=Timing((latency_us * 1e-6,), 1, 0, "count", 1.0),
                )
            )
        return records

    return made


MIXTURE, DENSE = "moe-sparse", "mine.layers:Dense"
BESIDE = Goal(
    "beside", "layers", "worst", {"layer": MIXTURE, "options": {"experts": "16"}}, 1.1, beside=({"layer": DENSE},)
)


def mixture(make: Make, *latencies_us: float, experts: str = "16", tokens: int = 8) -> list[Record]:
    return make(*latencies_us, layer=MIXTURE, tokens=tokens, options={"experts": experts})


def users(make: Make, *latencies_us: float, hidden: str = "4", tokens: int = 8, layer: str = DENSE) -> list[Record]:
    """A user's layer, whose process is another one."""
    return make(*latencies_us, layer=layer, tokens=tokens, options={"hidden": hidden}, backend="module")


def test_a_layer_is_held_against_another_one_replicate_by_replicate(make: Make) -> None:
    # 1.06, 1.04 and 1.05; the mixture of 8 experts is another layer, and so is what has other tokens.
    records = [
        *mixture(make, 106, 104, 210),
        *mixture(make, 900, 900, 900, experts="8"),
        *users(make, 100, 100, 200),
        *users(make, 10, 10, 10, tokens=16),
        *users(make, 10, 10, 10, layer="mine.layers:Other"),
    ]

    (found,) = answer_goals([BESIDE], records)

    assert ("met", 1) == (found.status, found.points)
    assert found.ratio is not None
    assert 1.05 == pytest.approx(found.ratio.value)


def test_the_fastest_of_the_layers_beside_counts_and_options_choose_among_them(make: Make) -> None:
    records = mixture(make, 120) + users(make, 200) + users(make, 100, hidden="8")
    chosen = replace(BESIDE, beside=({"layer": DENSE, "options": {"hidden": "4"}},))

    fastest, slower = answer_goals([BESIDE, chosen], records)

    assert ("missed", "met") == (fastest.status, slower.status)
    assert (1.2, 0.6) == pytest.approx([found.ratio.value for found in (fastest, slower) if found.ratio])


def test_a_goal_of_a_users_layer_covers_the_options_that_it_names(make: Make) -> None:
    goal = Goal(
        "own",
        "layers",
        "worst",
        {"layer": DENSE, "options": {"hidden": "4"}},
        0.5,
        beside=({"layer": DENSE, "options": {"hidden": "8"}},),
    )

    (found,) = answer_goals([goal], users(make, 100) + users(make, 400, hidden="8"))

    assert ("met", 1) == (found.status, found.points)
    assert found.ratio is not None
    assert 0.25 == pytest.approx(found.ratio.value)


def test_without_a_bound_what_is_seen_is_told_and_not_judged(make: Make) -> None:
    goal = replace(BESIDE, ratio_at_most=None)

    (row,) = goal_rows(answer_goals([goal], mixture(make, 300) + users(make, 100)))

    assert (NOTHING, "1", "3.00", "told, without a goal") == (*row.cells[1:4], row.cells[5])
    assert ("", "") == (row.tone, row.missed)
    (absent,) = goal_rows(answer_goals([goal], mixture(make, 300)))
    assert ("0, and 1 without a time", "not in this run") == (absent.cells[2], absent.cells[5])


def test_an_option_of_a_gradient_is_no_mode_that_a_side_chooses(make: Make) -> None:
    goal = Goal("table", "peers", "worst", {"layer": "memory-table", "pass": "train"}, 0.5, None, ("embedding-bag",))
    records = [
        record
        for backend, dense_us, touched_us in (("auto", 100, 30), ("embedding-bag", 400, 50))
        for latency_us, options in ((dense_us, {}), (touched_us, {":weight_gradient": "touched"}))
        for record in make(latency_us, layer="memory-table", options=options, backend=backend, pass_="train")
    ]

    (found,) = answer_goals([goal], records)

    # 0.25 and 0.6: each gradient against its like.
    assert ("missed", 2, 1) == (found.status, found.points, found.missed_points)
