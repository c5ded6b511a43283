"""The benchmark of balance losses trains what it says, and its table says what its rows do."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from benchmarks import moe_balance
from benchmarks.moe_balance import (
    PAPER,
    Balance,
    balance_of,
    loss_differences,
    main,
    missing,
    summary,
    table,
    trained,
    windows,
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"STEPS": 3, "TOKENS": 64, "EXPERTS": 8, "HIDDEN": 4, "WIDTH": 16, "HELD_OUT_TOKENS": 500}
    for name, size in sizes.items():
        monkeypatch.setattr(moe_balance, name, size)


def test_training_and_held_out_text_are_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    class Alphabet:
        data = torch.arange(200, dtype=torch.uint8)

    monkeypatch.setattr(moe_balance, "text_corpus", Alphabet)

    seen, held_out = (windows(500, part, torch.Generator().manual_seed(1)) for part in (False, True))

    assert (500, 17) == seen.shape
    # The first nine tenths and the rest, every window in order and none across the border.
    assert [0, 179, 180, 199] == [int(byte) for part in (seen, held_out) for byte in part.aminmax()]
    assert bool((seen.diff(dim=1) == 1).all())


@pytest.mark.usefixtures("small")
def test_one_seed_gives_one_network_and_weights_teach_the_gate() -> None:
    first, again, balanced = (trained(*weights, 1) for weights in ((0.0, 0.0), (0.0, 0.0), (1.0, 1.0)))

    assert torch.equal(first.mixture.gate.weight, again.mixture.gate.weight)
    assert not torch.equal(first.mixture.gate.weight, balanced.mixture.gate.weight)
    assert balance_of(first, 0.0, 0.0, 1) == balance_of(again, 0.0, 0.0, 1)


@pytest.mark.usefixtures("small")
def test_a_gate_that_knows_one_expert_is_seen_as_uneven() -> None:
    even, uneven = trained(0.0, 0.0, 1), trained(0.0, 0.0, 1)
    with torch.no_grad():
        # A saturated feature, by which all tokens go to experts 0 and 1, the first of them with all of the share.
        uneven.before.weight[0] = 0
        uneven.before.bias[0] = 9
        uneven.mixture.gate.weight[0, 0], uneven.mixture.gate.weight[1, 0] = 90, 60
        for parameter in even.mixture.gate.parameters():
            parameter.zero_()

    flat, peaked = (balance_of(network, 0.0, 0.0, 1) for network in (even, uneven))

    # One of 8 has everything, CV sqrt(7) of the importance; two of 8 have every token, CV sqrt(3), 4 times the mean.
    assert pytest.approx([7**0.5, 3**0.5, 4.0, 4.0], rel=1e-3) == [
        peaked.importance_variation,
        peaked.load_variation,
        peaked.largest_load,
        peaked.largest_count,
    ]
    assert 6 == peaked.unused
    assert flat.load_variation < 0.1
    assert flat.importance_variation < 0.2


@pytest.mark.usefixtures("small")
def test_a_run_writes_every_row_and_the_table_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--out", str(tmp_path / "balance.json"), "--seeds", "1"])

    found = json.loads((tmp_path / "balance.json").read_text())
    assert list(PAPER) == [(row["importance_weight"], row["load_weight"]) for row in found["rows"]]
    assert table(found) in (tmp_path / "balance.md").read_text()
    assert summary(found) in capsys.readouterr().out


@pytest.mark.usefixtures("small")
def test_a_run_that_was_stopped_goes_on_and_changes_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "balance.json"
    main(["--out", str(out), "--seeds", "1"])
    whole = json.loads(out.read_text())
    out.write_text(json.dumps({**whole, "rows": whole["rows"][:-1]}))

    main(["--out", str(out), "--seeds", "1"])

    assert whole == json.loads(out.read_text())
    assert "1 of 1: weights 1.0 and 1.0, seed 0" in capsys.readouterr().err
    monkeypatch.setattr(moe_balance, "STEPS", 4)
    with pytest.raises(SystemExit) as stopped:
        main(["--out", str(out), "--seeds", "1"])
    assert 2 == stopped.value.code
    assert "another training_steps; give another --out or delete it." in capsys.readouterr().err


def test_each_pair_of_weights_is_missing_once_a_seed() -> None:
    there = [{"importance_weight": 0.2, "load_weight": 0.0, "seed": 1}]

    assert [(*weights, seed) for seed in (0, 1) for weights in PAPER if (*weights, seed) != (0.2, 0.0, 1)] == missing(
        there, 2
    )


def rows_of_three_seeds() -> dict[str, list[dict[str, float]]]:
    # Losses of 2.5 without, and 0.2 less with the first seed, 0.1 less with the others.
    return {
        "rows": [
            asdict(
                Balance(
                    *weights,
                    seed,
                    2.0 + seed**2,
                    1.0,
                    9.0,
                    3.0,
                    4,
                    2.5 - (sum(weights) > 0) * (0.1 + 0.1 * (seed == 0)),
                )
            )
            for weights in PAPER
            for seed in (0, 1, 2)
        ]
    }


def test_a_line_has_the_median_and_the_range_beside_the_figure_of_the_paper() -> None:
    without, first, *_ = summary(rows_of_three_seeds()).splitlines()[2:]

    cells = [cell.strip() for cell in without.strip("|").split("|")]
    assert ["0.0", "0.0", "3.04", "3.00 (2.00 to 6.00)", "3.01"] == cells[:5]
    # The perplexities 39.8 and 35.6.
    assert "| -0.11 | -0.10 (-0.20 to -0.10) |" in first


def test_a_loss_is_compared_with_that_of_the_same_seed() -> None:
    assert pytest.approx([-0.2, -0.1, -0.1]) == loss_differences(rows_of_three_seeds(), (0.2, 0.0))
