"""Margins are data with reasons, checked when they are read."""

import re
from dataclasses import replace

import pytest

from capratio.errors import InputError
from capratio.scaling.margins import default_margins, parse_margins, read_margins


def test_the_margins_of_the_method_are_the_packages() -> None:
    margins = default_margins()

    assert 0.15 == margins.latency_exponent
    assert 0.05 == margins.memory_exponent
    assert 0.15 == margins.flat_ratio
    assert 2.0 == margins.resolution_factor
    assert (8, 6) == (margins.minimum_sizes, margins.minimum_resolved_sizes)


def test_every_margin_has_a_reason_in_a_sentence() -> None:
    _, reasons = read_margins()

    assert set(reasons) == set(default_margins().__dataclass_fields__)
    assert all(len(reason.split()) > 5 and reason.endswith(".") for reason in reasons.values())


def written(**changes: str) -> str:
    margins, reasons = read_margins()
    tables = {name: f'value = {getattr(margins, name)}\nreason = "{reasons[name][:9]}"' for name in reasons} | changes
    return "\n".join(f"[{name}]\n{body}" for name, body in tables.items() if body)


def test_margins_that_are_written_and_read_again_are_the_same() -> None:
    assert default_margins() == parse_margins(written())[0]


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({"latency_exponent": ""}, "latency_exponent has no number"),
        ({"latency_exponent": "value = 0.1"}, "latency_exponent has no reason"),
        ({"latency_exponent": "value = true\nreason = 'x'"}, "latency_exponent has no number"),
        ({"latency_exponent": "value = -1.0\nreason = 'x'"}, "latency_exponent is -1.0; it must be positive"),
        ({"latency_exponent": "value = nan\nreason = 'x'"}, "latency_exponent is nan"),
        ({"minimum_sizes": "value = 8.5\nreason = 'x'"}, "minimum_sizes is 8.5; it must be an integer"),
        ({"confidence": "value = 1.5\nreason = 'x'"}, "between 0 and 1"),
        ({"smallest_exponent": "value = 1.0\nreason = 'x'"}, "two sides of 0"),
        ({"latency": "value = 1\nreason = 'x'"}, "'latency' is not known"),
        ({"latency_exponent": "value ="}, "not TOML"),
    ],
)
def test_a_margin_that_is_not_usable_is_named(changes: dict[str, str], expected: str) -> None:
    with pytest.raises(InputError, match=re.escape(expected)):
        parse_margins(written(**changes))


def test_a_margin_that_is_made_in_code_is_checked_too() -> None:
    with pytest.raises(InputError, match="flat_ratio"):
        replace(default_margins(), flat_ratio=0.0)
