"""What a person sees of a gate that runs: a table on a terminal, lines elsewhere."""

from io import StringIO

import pytest
from rich.console import Console
from rich.live import Live

from capratio.cli import gate_progress
from capratio.cli.gate_progress import LineProgress, TableProgress
from capratio.gate.blocks_run import run_blocks
from capratio.gate.policy import Policy
from tests.gate.simulated import SimulatedMachine

CASES = ["dense/n1", "tree[path]/n1"]


def test_lines_name_the_stages_the_slowest_case_and_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = iter(range(0, 10_000, 4))
    monkeypatch.setattr(gate_progress, "monotonic", lambda: float(next(now_s)))
    stream = StringIO()

    machine = SimulatedMachine(slowdowns={"tree[path]/n1": 0.2})
    run_blocks(CASES, Policy(), 3, machine, LineProgress(stream, between_s=10.0))

    said = stream.getvalue().splitlines()
    assert ["trying both sides, 1 block", "comparing, 12 blocks"] == said[:2]
    assert "confirming, 12 blocks" in said
    assert any(line.endswith("left; slowest so far tree[path]/n1, head / base 1.2") for line in (s[:-2] for s in said))


def test_the_table_shows_every_case_with_its_interval_and_a_name_with_brackets_as_it_is() -> None:
    shown = StringIO()
    console = Console(file=shown, width=120)
    machine = SimulatedMachine(slowdowns={"tree[path]/n1": 0.2})

    with Live(console=Console(file=StringIO())) as live:
        run_blocks(CASES, Policy(), 3, machine, TableProgress(live))
        console.print(live.renderable)

    assert "confirming: block 12 of 12, about" in shown.getvalue()
    assert "regressed" in shown.getvalue()
    assert "tree[path]" in shown.getvalue()
