"""The benchmark of block policies on digits runs, keeps every result, and tells dead blocks from living ones."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks import block_policy_digits
from benchmarks.block_policy_digits import Digits, main, policy_result, split, summary, table
from capratio.layers.bernoulli_policy import BernoulliPolicy
from capratio.layers.block_policy import BlockPolicyNetwork


def test_every_network_is_measured_on_every_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(block_policy_digits, "EPOCHS", 1)

    main(["--out", str(tmp_path / "digits.json"), "--seeds", "1"])

    content = json.loads((tmp_path / "digits.json").read_text())
    names = ["policy", "policy, baseline", "policy, no L_b, L_e", "dense, 256", "dense, 32"]
    assert names == [row["name"] for row in content["rows"]]
    assert all(0 < row["test_error"] < 0.95 for row in content["rows"])
    # 256 units with 64 pixels and 10 classes.
    assert 256 * 74 == content["rows"][3]["multiply_adds"]
    assert table(content) in (tmp_path / "digits.md").read_text()
    assert summary(content) in capsys.readouterr().out


def test_the_published_errors_stand_beside_the_networks_that_they_are_of() -> None:
    names = ("policy", "policy, no L_b, L_e", "dense, 256", "dense, 32")
    shares = {"lived_error": 0.1, "blockless": 0.0, "rate": 0.2, "dead": 0.25, "saturated": None, "multiply_adds": 9000}
    rows = [{"name": name, "test_error": error, **shares} for name in names for error in (0.05, 0.01, 0.02)]

    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in summary({"rows": rows}).splitlines()[2:]]

    assert ["2.3", "", "1.9", "2.8"] == [line[1] for line in lines]
    assert ["2.00 (1.00 to 5.00)", "25.0", "", "9,000"] == lines[0][2:]


def test_a_split_has_every_digit_once() -> None:
    digits = split(0)

    assert (1297, 500) == (len(digits.x), len(digits.test_x))
    assert 1797 == len(torch.cat((digits.label, digits.test_label)))
    assert not torch.equal(digits.x, split(1).x)


def test_dead_and_saturated_blocks_are_counted() -> None:
    network = BlockPolicyNetwork(64, 10, hidden=256, blocks=16)
    (policy,) = network.policies
    assert isinstance(policy, BernoulliPolicy)
    with torch.no_grad():
        policy.weight.zero_()
        # Three blocks never live, one always does, twelve half of the time.
        policy.bias.copy_(torch.tensor([-200.0] * 3 + [200.0] + [2.70805] * 12))
    whole = split(0)
    some = Digits(whole.x, whole.label, whole.test_x[:50], whole.test_label[:50])

    result = policy_result("policy", network, some, 0)

    assert (3 / 16, 1 / 16, 0.0) == (result.dead, result.saturated, result.blockless)
    assert pytest.approx(7 / 16, abs=0.03) == result.rate
    assert result.test_error == result.lived_error
    # Seven blocks of 16 units with 64 pixels and 10 classes, and the policy.
    assert pytest.approx(7 * 16 * 74 + 16 * 64, rel=0.05) == result.multiply_adds
