"""Each finding has a machine that is fine, one that is not and is told what to do, and one where there is nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from capratio.cost.roofline import Ceilings
from capratio.measure import health
from capratio.measure.aa_pair import AaPair, measure_aa_pair, pair_of
from capratio.measure.health import (
    Finding,
    check_health,
    judge_aa_pair,
    judge_ceilings,
    judge_clock,
    judge_governor,
    judge_gpu,
    judge_load,
    judge_machine,
    judge_memory,
    judge_new_memory,
    judge_steal,
    judge_system,
    judge_threads,
    judge_versions,
    pinned_versions,
    stolen_share,
)
from capratio.measure.telemetry import GpuState, NoTelemetry

GPU = GpuState("GPU A", 1.9e9, 2.0e9, 55.0, 300.0, 5.0, 0, ())


def ceilings(spread: float) -> Ceilings:
    return Ceilings(0.0, 2, "cpu", ((1024.0, 100e9), (2048.0, 10e9)), (), (), {"float32": 50e9}, spread)


def hot() -> GpuState:
    return GpuState("GPU A", 1.0e9, 2.0e9, 95.0, 300.0, 5.0, 0, ("power cap",))


FINDINGS: list[tuple[str, Finding]] = [
    ("ok", judge_system("linux")),
    ("warning", judge_system("darwin")),
    ("ok", judge_memory(16 * 2**30)),
    ("warning", judge_memory(2**30)),
    ("ok", judge_new_memory(taken_back=False)),
    ("warning", judge_new_memory(taken_back=True)),
    ("ok", judge_threads(2, 2, {})),
    ("ok", judge_threads(1, 2, {"OMP_NUM_THREADS": "1"})),
    ("warning", judge_threads(4, 2, {})),
    ("ok", judge_load(0.1, 2)),
    ("warning", judge_load(1.9, 2)),
    ("ok", judge_governor("performance")),
    ("warning", judge_governor("powersave")),
    ("absent", judge_governor(None)),
    ("ok", judge_clock(5e-8)),
    ("warning", judge_clock(1e-5)),
    ("ok", judge_aa_pair(AaPair(1.001, 0.001, 1.1, 1.05))),
    # As seen where both threads had one processor: a product of 0.67 ms took 15.9 ms, very evenly.
    ("warning", judge_aa_pair(AaPair(1.0002, 0.0003, 1.0, 23.8))),
    ("warning", judge_aa_pair(AaPair(1.05, 0.001, 1.1, 1.05))),
    ("warning", judge_aa_pair(AaPair(0.95, 0.001, 1.1, 1.05))),
    ("warning", judge_aa_pair(AaPair(1.0, 0.10, 1.1, 1.05))),
    ("ok", judge_ceilings(ceilings(0.02))),
    ("warning", judge_ceilings(ceilings(0.4))),
    ("ok", judge_steal(0.0)),
    ("warning", judge_steal(0.05)),
    ("absent", judge_steal(None)),
    ("ok", judge_gpu(GPU, True)),
    ("warning", judge_gpu(GPU, False)),
    ("warning", judge_gpu(hot(), True)),
    ("warning", judge_gpu(NoTelemetry("there is none"), True)),
    ("absent", judge_gpu(NoTelemetry("there is none"), False)),
    ("absent", judge_versions(None)),
]


@pytest.mark.parametrize("level, finding", FINDINGS, ids=lambda value: getattr(value, "name", value))
def test_a_finding_has_its_level_and_advice_exactly_when_it_warns(level: str, finding: Finding) -> None:
    assert level == finding.level
    assert (level == "warning") is (finding.advice is not None)


def test_caches_that_are_not_told_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "read_caches", lambda: ())

    assert "warning" == judge_machine().level


def test_versions_other_than_the_tested_ones_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_installed", lambda: [("torch", "2.13.0+cpu"), ("numpy", "2.0.1"), ("rich", "1.0")])

    finding = judge_versions({"torch": "2.13.0", "numpy": "2.4.6"})

    assert "warning" == finding.level
    assert "numpy 2.0.1 (tested 2.4.6)" == finding.value
    assert "ok" == judge_versions({"torch": "2.13.0"}).level


def test_the_tested_versions_are_read_from_a_constraints_file(tmp_path: Path) -> None:
    path = tmp_path / "constraints.txt"
    path.write_text("# pins\nNumPy==2.4.6\ntorch==2.13.0  # of the index\nscipy==1.0 ; python_version > '3'\n")

    assert {"numpy": "2.4.6", "torch": "2.13.0", "scipy": "1.0"} == pinned_versions(path)
    assert pinned_versions(tmp_path / "none") is None


class Times(tuple[float, ...]):
    """What psutil gives: a tuple of which one part has the name steal."""

    @property
    def steal(self) -> float:
        return self[-1]


def test_the_stolen_share_is_of_all_time_between_two_readings() -> None:
    assert 0.25 == stolen_share(Times((10.0, 5.0, 1.0)), Times((12.0, 6.0, 2.0)))
    assert stolen_share(Times((1.0, 1.0)), Times((1.0, 1.0))) is None
    assert stolen_share((1.0, 1.0), (2.0, 2.0)) is None


def test_a_pair_is_the_second_series_over_the_first() -> None:
    pair = pair_of((1.0,) * 9 + (3.0,), (2.0,) * 9 + (0.5,))

    assert AaPair(2.0, 0.0, 3.0, 2.0) == pair


def test_an_aa_pair_of_a_steady_clock_is_one(monkeypatch: pytest.MonkeyPatch, clock: Any) -> None:
    monkeypatch.setattr("capratio.measure.aa_pair.torch.mm", lambda *_: clock.pass_s(1e-3))

    assert pytest.approx(1.0) == measure_aa_pair(clock, samples=6).ratio


def test_all_is_looked_at_and_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def measured(threads: int, dtypes: tuple[str, ...], time_budget_s: float) -> Ceilings:
        asked.update(threads=threads, budget=time_budget_s)
        return ceilings(0.01)

    monkeypatch.setattr(health, "measure_ceilings", measured)
    monkeypatch.setattr(health, "measure_aa_pair", lambda _: AaPair(1.0, 0.001, 1.1, 1.05))
    findings = check_health()

    names = [finding.name for finding in findings]
    expected = {"system", "machine", "memory", "threads", "load", "governor", "clock", "versions", "A/A pair"}
    expected |= {"compiled threads", "new memory"}
    assert expected | {"ceilings", "stolen time", "GPU"} == set(names)
    assert len(names) == len(set(names))
    assert asked["budget"] <= 6.0
    assert {finding.level for finding in findings} <= {"ok", "warning", "absent"}


def test_a_judge_that_is_never_worried_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "BUSY_SHARE", 100.0)
    check: Callable[[str, Finding], None] = test_a_finding_has_its_level_and_advice_exactly_when_it_warns

    with pytest.raises(AssertionError):
        check("warning", judge_load(1.9, 2))


def test_a_machine_without_the_openmp_layer_is_told_what_to_install() -> None:
    missing = health.judge_compiled_threads("libgomp.so.1: cannot open shared object file")

    assert ("warning", "no OpenMP layer (libgomp.so.1: cannot open shared object file)") == (
        missing.level,
        missing.value,
    )
    assert "install the OpenMP runtime" in str(missing.advice)
    assert "ok" == health.judge_compiled_threads(None).level
