"""A policy says what it allows, each with a reason, and refuses what it does not know."""

from pathlib import Path

import pytest

from capratio.errors import InputError
from capratio.gate.policy import EXACT, Budget, Policy, parse_policy, read_policy

TEXT = """
alpha = 0.01
[[budgets]]
cases = "*/n1/*"
quantity = "latency"
budget = 0.05
reason = "one token is launches alone"
[[budgets]]
cases = "*"
quantity = "allocated_peak_bytes"
budget = 0.1
reason = "the allocator rounds"
"""


def test_the_first_budget_that_fits_counts() -> None:
    policy = parse_policy(TEXT, "gate.toml")

    assert 0.01 == policy.alpha
    assert 0.05 == policy.budget("dense/p4-q4-k0/n1/float32", "latency")
    assert 0.02 == policy.budget("dense/p4-q4-k0/n16/float32", "latency")
    assert 0.1 == policy.budget("dense", "allocated_peak_bytes")


@pytest.mark.parametrize("quantity", EXACT)
def test_exact_quantities_have_no_budget_by_default(quantity: str) -> None:
    assert 0.0 == Policy().budget("dense", quantity)


@pytest.mark.parametrize(
    "old, new, sentence",
    [
        ("alpha = 0.01", "alpha = 2", "alpha is 2; give a number between 0 and 1"),
        ("alpha = 0.01", "alfa = 0.01", "the key 'alfa' is not known"),
        ("alpha = 0.01", "alpha = ", "is not TOML"),
        ("budget = 0.05", "budget = -1", "budget = -1; give a share"),
        ("budget = 0.05", "budget = true", "budget = True; give a share"),
        ('quantity = "latency"', 'quantity = "speed"', "quantity = 'speed'; give one of latency, flop"),
        ('reason = "one token is launches alone"', "", "budget 1 has no reason"),
        ('cases = "*/n1/*"', "cases = 1", "give a pattern of case ids"),
        ('cases = "*/n1/*"', 'case = "*"', "the key 'case' is not known"),
        ("alpha = 0.01", "budgets = 3", "is not TOML"),
    ],
)
def test_what_is_wrong_is_refused_in_a_sentence(old: str, new: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        parse_policy(TEXT.replace(old, new, 1), "gate.toml")


def test_budgets_that_are_no_tables_are_refused() -> None:
    with pytest.raises(InputError, match=r"write \[\[budgets\]\] tables"):
        parse_policy("budgets = 3", "gate.toml")
    with pytest.raises(InputError, match=r"write a \[\[budgets\]\] table"):
        parse_policy("budgets = [3]", "gate.toml")


def test_a_policy_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_policy(tmp_path / "gate.toml")


def test_a_budget_fits_a_case_by_its_whole_id_with_brackets_and_by_a_pattern() -> None:
    case = "package:Gated[width=64]/p64/n1"

    for pattern in (case, "*Gated[width=64]*", "*/n1", "*[wd]idth*"):
        assert 0.2 == Policy(budgets=(Budget(pattern, "latency", 0.2, "it may"),)).budget(case, "latency")
    assert 0.02 == Policy(budgets=(Budget("*/n2", "latency", 0.2, "it may"),)).budget(case, "latency")
