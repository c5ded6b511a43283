"""The benchmark of dropped tokens counts what it says, and writes every row."""

import itertools
import json
from pathlib import Path

import pytest
import torch

from benchmarks import moe_dropped_tokens as benchmark


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "TOKENS", 64)
    monkeypatch.setattr(benchmark, "STEP_TOKENS", 32)
    monkeypatch.setattr(benchmark, "STEPS", 2)


def test_a_router_that_sends_all_to_one_expert_drops_all_but_its_slots() -> None:
    # All logits are equal, so that all tokens choose the same experts, with shares of 1/16, or of 1/2 each.
    router = torch.zeros(benchmark.EXPERTS, benchmark.FEATURES)

    one = benchmark.dropped("fresh", router, 1, 0, 2.0, prioritised=False)
    two = benchmark.dropped("fresh", router, 2, 0, 2.0, prioritised=True)

    # 8 slots of 64.
    assert (56 / 64, 56 / 64) == (one.tokens, one.choices)
    assert pytest.approx(56 / 64 / 16) == one.share
    assert (56 / 64, 56 / 64) == (two.tokens, two.choices)
    assert pytest.approx(56 / 64) == two.share


def test_training_makes_a_router_another_one() -> None:
    assert torch.equal(benchmark.router_of("fresh", 2, 3), benchmark.router_of("fresh", 2, 3))
    assert not torch.equal(benchmark.router_of("fresh", 2, 3), benchmark.router_of("trained", 2, 3))


def test_every_row_is_written_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark.main(["--out", str(tmp_path / "dropped.json"), "--seeds", "1"])

    content = json.loads((tmp_path / "dropped.json").read_text())
    rows = content["rows"]
    assert 2 * 2 * 2 * len(benchmark.FACTORS) == len(rows) == len(benchmark.table(content).splitlines()) - 2
    assert 64 == content["conditions"]["tokens"]
    # 48 slots for 64 tokens.
    assert all(row["tokens"] >= 0.25 for row in rows if row["factor"] == 0.75)
    assert benchmark.table(content) in (tmp_path / "dropped.md").read_text()
    assert benchmark.summary(content) in capsys.readouterr().out


def test_a_summary_has_the_published_figure_of_its_factor() -> None:
    def row(router: str, top_k: int, factor: float, prioritised: bool, seed: int) -> dict[str, object]:
        # Another figure wherever a line could be another's.
        tokens = 0.01 * seed + (0.1 if router == "trained" else 0.2) + 0.05 * (factor == 1.25) + 0.5 * (top_k == 1)
        return {
            "router": router, "top_k": top_k, "factor": factor, "prioritised": prioritised, "seed": seed,
            "tokens": tokens if prioritised else 0.99, "choices": 0.4, "share": 0.3,
        }  # fmt: skip

    keys = itertools.product(benchmark.ROUTERS, (1, 2), benchmark.FACTORS, (False, True), (0, 1, 2))
    lines = benchmark.summary({"rows": [row(*key) for key in keys]}).splitlines()

    assert "| trained | 1.25 | 0.3 | 16.0 (15.0 to 17.0) | 40.0 |" in lines
    assert "| fresh | 1.5 |  | 21.0 (20.0 to 22.0) | 40.0 |" in lines


def test_more_slots_drop_no_more_choices() -> None:
    router = benchmark.router_of("fresh", 2, 0)

    found = [benchmark.dropped("fresh", router, 2, 0, factor, prioritised=True) for factor in benchmark.FACTORS]

    choices = [row.choices for row in found]
    assert sorted(choices, reverse=True) == choices
    assert choices[0] > choices[-1]
