"""A plan: which cases, in how many processes, for how long, and what does not fit."""

from pathlib import Path

import pytest

from capratio.sweep import plan as plan_module
from capratio.sweep.plan import plan

FILE = """
name = "planned"
replicates = 3
[sampling]
time_limit_s = 1.0
[defaults]
in_features = 512
[[cases]]
layer = "tree"
depth = [2, 10]
tokens = [1, 4]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "planned.toml"
    path.write_text(FILE)
    return path


def with_free_memory(monkeypatch: pytest.MonkeyPatch, free_bytes: int) -> None:
    monkeypatch.setattr(plan_module, "free_memory_bytes", lambda: free_bytes)


def test_cases_of_one_layer_share_a_process_a_replicate(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_free_memory(monkeypatch, 16 * 2**30)

    planned = plan([file], None)

    assert (4, 6) == (len(planned.cases), planned.processes)
    # 12 measurements of a second each, and what stands around them.
    assert 12.0 < planned.estimated_s < 120.0


def test_what_is_larger_than_the_free_memory_is_marked_and_takes_no_time(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_free_memory(monkeypatch, 16 * 2**30)
    whole = plan([file], None)
    # 2^11 - 1 nodes of 1 MiB do not fit; 7 do.
    with_free_memory(monkeypatch, 2 * 2**30)

    planned = plan([file], None)

    assert {(2, True), (10, False)} == {(each.case.point.depth, each.fits) for each in planned.cases}
    assert 3 == planned.processes
    assert planned.estimated_s < whole.estimated_s / 2


def test_what_gathers_takes_the_time_of_its_gathers_up_to_its_limit(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_free_memory(monkeypatch, 64 * 2**30)

    def seconds(backend: str, tokens: int) -> float:
        text = FILE.replace("[2, 10]", "2").replace("[1, 4]", f"{tokens}").replace("layer", "form = 'collapsed'\nlayer")
        file.write_text(
            f"{text}backend = {backend!r}\n".replace("time_limit_s", "case_time_limit_s = 40\ntime_limit_s")
        )
        return plan([file], None).estimated_s

    # A GiB takes 10.7 s in each of 3 processes, and 4 GiB at most the 40 s of the limit, of which a second is sampled.
    assert 3 * 10.7 == pytest.approx(seconds("gather-bmm", 1024) - seconds("reference", 1024), rel=0.05)
    assert 3 * (40 - 1.6) == pytest.approx(seconds("gather-bmm", 4096) - seconds("reference", 4096), rel=0.05)


def test_a_pattern_selects(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_free_memory(monkeypatch, 16 * 2**30)

    assert {10} == {each.case.point.depth for each in plan([file], "*-k10/*").cases}
