"""``capratio verdict`` prints every verdict, and its exit code is the worst of them."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from capratio.cli.main import run

Stand = Callable[..., None]


def verdict(status: str) -> SimpleNamespace:
    """A verdict with this status."""
    return SimpleNamespace(
        claim="path-latency-over-depth",
        group="line-k",
        title="Latency over depth",
        text="Overhead grows with depth.",
        kind="fitted",
        status=status,
        quantity="exponent",
        expected=1.0,
        estimate=1.02,
        low=0.97,
        high=1.08,
        margin=0.15,
        regime="N = 1, cold",
        points=(),
        breaks=(),
        advice="It needs depths up to 14." if status == "undecided" else None,
        sentence=f"The exponent lies in [0.97, 1.08], so the law {status}.",
    )


@pytest.mark.parametrize(
    "statuses, strict, code",
    [
        (["holds"], False, 0),
        (["holds"], True, 0),
        (["holds", "undecided"], False, 0),
        (["holds", "undecided"], True, 3),
        (["holds", "broken"], False, 1),
        (["undecided", "broken"], True, 1),
        ([], False, 0),
        ([], True, 3),
    ],
)
def test_a_broken_law_is_1_and_an_undecided_one_3_under_strict(
    statuses: list[str], strict: bool, code: int, stand_in: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in("capratio.records.store", read_run=lambda path: SimpleNamespace(records=(), machine={}))
    stand_in("capratio.scaling.judge", judge=lambda records, machine: [verdict(status) for status in statuses])

    assert code == run(["verdict", "run", *(["--strict"] if strict else [])])

    shown = capsys.readouterr().out
    assert len(statuses) == shown.count("1.02")
    assert ("undecided" in statuses) == ("It needs depths up to 14." in shown)
