"""Real processes of a gate: a side's layers by the gate's clock, and each way in which a case can go wrong."""

import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from textwrap import dedent

import pytest

from capratio.gate.block_plan import HEAD, PAIR, TRIAL, BlockPlan
from capratio.gate.process_result import ProcessResult
from capratio.gate.side_process import MeasuredCase, SideEnvironment, SideProcesses
from capratio.sweep.case import Sampling
from tests.sweep.points import POINT

SAMPLING = {"min_samples": 3, "max_samples": 20, "time_limit_s": 0.05, "case_time_limit_s": 20.0}
LAYERS = """
    import os, random, time
    import torch
    from torch import nn

    class Linear(nn.Linear):
        pass

    class Slow(nn.Linear):
        def forward(self, x):
            time.sleep(0.002)
            return super().forward(x)

    class Crashes(nn.Linear):
        def forward(self, x):
            os._exit(3)

    class Hangs(nn.Linear):
        def forward(self, x):
            time.sleep(600)

    class Prints(nn.Linear):
        def forward(self, x):
            os.write(1, b"not an event\\n")
            print("nor this")
            return super().forward(x)

    class Changes(nn.Linear):
        def forward(self, x):
            return super().forward(x) + random.random()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "layers_of_a_side.py").write_text(dedent(LAYERS))
    return tmp_path


def case(name: str, case_time_limit_s: float = 20.0, **given: object) -> MeasuredCase:
    layer = {
        "layer": f"layers_of_a_side:{name}",
        "arguments": {"in_features": 8, "out_features": 4},
        "in_features": 8,
        "tokens": 3,
        "dtype": "float32",
        "device": "cpu",
        "pass_": "forward",
    }
    return MeasuredCase(name, {"layer": layer | given}, 1, SAMPLING | {"case_time_limit_s": case_time_limit_s})


def point_of(layer: str) -> MeasuredCase:
    """A user's layer as a case file describes it."""
    options = {"in_features": "8", "out_features": "4"}
    point = replace(POINT, layer=layer, in_features=8, out_features=4, tokens=3, options=options)
    return MeasuredCase(layer, {"point": asdict(point), "sampling": asdict(Sampling())}, 1, SAMPLING)


def measured(folder: Path, *cases: MeasuredCase, stage: str = TRIAL, **given: object) -> ProcessResult:
    side = SideEnvironment(sys.executable, own=False, inside=(str(folder),), paths=(str(folder),), **given)  # type: ignore[arg-type]
    return run_on(side, cases, stage)


def run_on(side: SideEnvironment, cases: Sequence[MeasuredCase], stage: str = TRIAL) -> ProcessResult:
    """What head's process measures alone, in two rounds."""
    plan = BlockPlan(stage, 0, ((HEAD,), (HEAD,)), tuple(each.id for each in cases), 1)
    return SideProcesses(side, side, cases).measure(plan)[HEAD]


def test_a_users_layer_is_counted_and_timed(folder: Path) -> None:
    result = measured(folder, case("Linear"))

    assert {} == result.failed
    # Three tokens of 8 x 4 products with a bias: 2 * 3 * 8 * 4 + 3 * 4 FLOP, 8 * 4 + 4 parameters.
    assert (204, 36) == (result.counts["Linear"]["flop"], result.counts["Linear"]["parameters"])
    assert 4 <= len(result.samples_s["Linear"]) <= 20
    assert 2 == len(result.anchors)
    assert {"product_s", "stream_s"} == set(result.anchors[0])


def test_a_training_step_counts_its_backward_products(folder: Path) -> None:
    result = measured(folder, case("Linear", pass_="train"))

    # Forward and the two products of backward: 3 * 192, bias added and its gradient summed.
    assert 3 * 192 < result.counts["Linear"]["flop"] < 4 * 192


def test_only_the_trial_counts(folder: Path) -> None:
    assert {} == measured(folder, case("Linear"), stage=PAIR).counts


def test_a_slowdown_that_is_put_in_is_seen_by_the_clock(folder: Path) -> None:
    plain, slowed = measured(folder, case("Slow")), measured(folder, case("Slow"), slowdowns={"Slow": 0.5})

    # The layer sleeps for 2 ms, and its call then spins for half of what it took.
    assert min(plain.samples_s["Slow"]) < 3e-3 <= min(slowed.samples_s["Slow"])


def test_a_case_that_crashes_or_hangs_is_named_and_the_others_are_measured(folder: Path) -> None:
    cases = [case("Linear"), case("Crashes"), case("Hangs", 3.0), case("Prints"), case("Changes"), case("Nowhere")]
    short = [MeasuredCase(c.id, c.described, c.threads, {**c.sampling, "case_time_limit_s": 8.0}) for c in cases]

    result = measured(folder, *short)

    assert {"Linear", "Prints"} == set(result.samples_s)
    assert result.failed["Crashes"].startswith("crashed: the process ended with exit code 3")
    assert "timed-out: the case took more than 8 s; its process was killed." == result.failed["Hangs"]
    assert "output changes from call to call" in result.failed["Changes"]
    assert "has no class or function 'Nowhere'" in result.failed["Nowhere"]
    assert result.broken is None


def test_a_layer_that_is_not_of_the_side_is_refused(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    side = SideEnvironment(sys.executable, own=False, inside=(str(elsewhere),), paths=(str(folder),))

    result = run_on(side, [case("Linear"), point_of("layers_of_a_side:Linear"), point_of("torch.nn:Identity")])

    assert ["Linear", "layers_of_a_side:Linear", "torch.nn:Identity"] == sorted(result.failed)
    assert all("which is not of this side" in reason for reason in result.failed.values())


def test_a_layer_of_the_side_that_a_case_file_describes_is_measured(folder: Path) -> None:
    result = measured(folder, point_of("layers_of_a_side:Linear"))

    assert {} == result.failed
    assert 36 == result.counts["layers_of_a_side:Linear"]["parameters"]


def own_side(folder: Path, side_cases: str) -> SideEnvironment:
    """A side that brings a capratio of its own, whose clock cannot even be imported."""
    for name, source in {
        "capratio/__init__.py": "",
        "capratio/measure/__init__.py": "",
        "capratio/measure/latency.py": "raise RuntimeError('the clock of the side was taken')",
        "capratio/sweep/__init__.py": "",
        "capratio/sweep/side_cases.py": dedent(side_cases),
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(source)
    return SideEnvironment(sys.executable, own=True, inside=(str(folder),), paths=(str(folder),))


def test_a_commit_builds_its_layers_by_its_own_capratio_and_is_timed_by_the_clock_of_the_gate(tmp_path: Path) -> None:
    side = own_side(
        tmp_path,
        """
        from types import SimpleNamespace
        PROTOCOL = 1
        def ready_case(described, seed, inside):
            return SimpleNamespace(
                call=lambda x: sum(range(x)), prepare=lambda i: 1000, check=lambda i, out: None,
                evict=None, device="cpu", cold=False, counts=lambda: {"flop": 1000},
            )
        """,
    )

    result = run_on(side, [case("any")])

    assert (None, {"flop": 1000}) == (result.broken, result.counts["any"])
    assert 0 < result.latency_s("any") < 1e-3


@pytest.mark.parametrize(
    "side_cases, expected",
    [
        ("PROTOCOL = 2", "the side speaks protocol 2 and this gate 1"),
        ("import nowhere", "No module named 'nowhere': it does not import"),
        ("def broken(:", "it does not import \\(SyntaxError"),
    ],
)
def test_a_commit_that_cannot_be_asked_says_why(tmp_path: Path, side_cases: str, expected: str) -> None:
    side = own_side(tmp_path, side_cases)

    result = run_on(side, [case("any")])

    assert result.broken is not None
    assert re.search(expected, result.broken)


def test_a_commit_from_before_the_gate_says_so(tmp_path: Path) -> None:
    side = own_side(tmp_path, "")
    (tmp_path / "capratio" / "sweep" / "side_cases.py").unlink()

    result = run_on(side, [case("any")])

    assert "it is older than the gate; compare with a later one" in (result.broken or "")
