"""The benchmark of block policies on digits runs, keeps every result, and tells dead blocks from living ones."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks import block_policy_digits
from benchmarks.block_policy_digits import Digits, main, policy_result, split
from capratio.layers.bernoulli_policy import BernoulliPolicy
from capratio.layers.block_policy import BlockPolicyNetwork


def test_every_network_is_measured_on_every_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(block_policy_digits, "EPOCHS", 1)

    main(["--out", str(tmp_path / "digits.json"), "--seeds", "1"])

    content = json.loads((tmp_path / "digits.json").read_text())
    names = ["policy", "policy, baseline", "policy, no L_b, L_e", "dense, 256", "dense, 32"]
    assert names == [result["name"] for result in content["results"]]
    assert all(0 < result["test_error"] < 0.95 for result in content["results"])
    # 256 units with 64 pixels and 10 classes.
    assert 256 * 74 == content["results"][3]["multiply_adds"]
    printed = capsys.readouterr().out
    assert (tmp_path / "digits.md").read_text() == printed
    assert "Published of MNIST, which these digits are not" in printed


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
