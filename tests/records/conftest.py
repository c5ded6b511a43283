"""Records made by hand and by hypothesis."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import strategies as st

from capratio.records.codec import encode
from capratio.records.record import SCHEMA, STATUSES, Energy, Exact, Limit, Memory, Point, Record, Timing

POINT = Point(
    "tree-shared", "path", 512, 512, 8, 1024, "float32", "cpu", "forward", "warm", "text", "uniform", "reference", 2
)
TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
COUNT = st.integers(0, 2**62)
SECONDS = st.floats(1e-9, 1e3)

SCALARS: dict[object, st.SearchStrategy[Any]] = {str: TEXT, int: COUNT, float: SECONDS, bool: st.booleans()}


def built(cls: type, **given: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Any ``cls`` with finite numbers that fit 64 bits; fields as given, or any value of their annotation."""
    hints = get_type_hints(cls)
    return st.builds(cls, **({f.name: _of(hints[f.name]) for f in fields(cls) if f.name not in given} | given))


def _of(hint: Any) -> st.SearchStrategy[Any]:
    arguments = get_args(hint)
    if type(None) in arguments:
        return st.none() | _of(arguments[0])
    if get_origin(hint) is tuple:
        return st.lists(_of(arguments[0]), max_size=2).map(tuple)
    if get_origin(hint) is dict:
        return st.dictionaries(TEXT, _of(arguments[1]), max_size=2)
    return SCALARS[hint]


POINTS = built(
    Point,
    in_features=st.integers(1, 9),
    out_features=st.integers(1, 9),
    depth=st.integers(0, 9),
    tokens=st.integers(1, 9),
    threads=st.integers(1, 9),
)
RECORDS = built(
    Record,
    status=st.just("failed"),
    reason=TEXT.filter(bool),
    point=POINTS,
    exact=st.none() | built(Exact),
    timing=st.none(),
    memory=st.none() | built(Memory),
    limit=st.none() | built(Limit),
    energy=st.none() | built(Energy),
    schema=st.just(SCHEMA),
)
TIMINGS = built(Timing, samples_s=st.lists(SECONDS, min_size=1, max_size=5).map(tuple))
ANY_RECORDS = st.builds(
    lambda record, timing, status: replace(record, timing=timing if status == "measured" else None, status=status),
    RECORDS,
    TIMINGS,
    st.sampled_from(STATUSES),
)


def _made(case: str = "a", replicate: int = 0, samples_s: tuple[float, ...] = (1.0, 2.0, 3.0), **given: Any) -> Record:
    fields: dict[str, Any] = {
        "case": case,
        "replicate": replicate,
        "block": replicate,
        "suite": "tree",
        "group": "k line",
        "claims": (),
        "status": "measured",
        "reason": None,
        "started_at": "2026-05-04T10:00:00+00:00",
        "point": POINT,
        "timing": Timing(samples_s, 5, 0, "count", 0.0),
        "limit": Limit(1.0, "memory", 1e9, 1e11, 0.02),
    }
    return Record(**(fields | given))


@pytest.fixture(scope="session")
def made() -> Callable[..., Record]:
    """Makes one measured record from what a test names."""
    return _made


@pytest.fixture(scope="session")
def failed() -> Callable[..., Record]:
    """Makes one record of a case that was refused."""
    return lambda **given: _made(
        **({"status": "refused", "reason": "too large.", "timing": None, "limit": None} | given)
    )


@pytest.fixture(scope="session")
def records_strategy() -> st.SearchStrategy[Record]:
    """Any record."""
    return ANY_RECORDS


@pytest.fixture(scope="session")
def points_strategy() -> st.SearchStrategy[Point]:
    """Any point, reasonable or not."""
    return POINTS


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run of two records, as a sweep leaves it."""
    (tmp_path / "machine.json").write_text('{"cpu_model": "x"}')
    (tmp_path / "records.jsonl").write_text("".join(f"{encode(_made(replicate=r))}\n" for r in range(2)))
    return tmp_path
