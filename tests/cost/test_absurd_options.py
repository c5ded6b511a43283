"""Options of systems that no machine holds, or that are not there, are refused in one sentence; all others count."""

import pytest

from capratio.cost import closed_form
from capratio.cost.systems.contract import defaults
from capratio.cost.systems.memory_table import MemoryTableSpec
from capratio.cost.systems.table import SYSTEMS
from capratio.cost.systems.winner_take_all import WinnerTakeAllSpec
from capratio.errors import InputError

ABSURD = ["-1", "0", "200", "100000", str(2**30), str(2**31 - 1), str(10**31), str(10**400), "1e300", "1e400", "nan"]
OPTIONS = [(layer, option) for layer, spec in SYSTEMS.items() for option in defaults(spec)]


def refused_or_counted(layer: str, options: dict[str, str]) -> str | None:
    """The sentence of a refusal; None where everything about the layer can be counted."""
    try:
        spec = SYSTEMS[layer].from_options(256, 256, options)
    except InputError as error:
        return str(error)
    assert closed_form(spec).parameters > 0
    assert min(spec.expected_counts(1000).values()) >= 0
    assert spec.expected_touched_parameters(1000) >= 0
    return None


@pytest.mark.parametrize(("layer", "option"), OPTIONS)
def test_an_absurd_value_is_counted_or_refused_in_one_sentence(layer: str, option: str) -> None:
    for value in ABSURD:
        sentence = refused_or_counted(layer, {option: value})

        assert sentence is None or (layer in sentence and 1 == len(sentence.splitlines()))


@pytest.mark.parametrize("layer", SYSTEMS)
def test_the_largest_size_of_all_sizes_at_once_is_counted_or_refused(layer: str) -> None:
    sizes = [name for name, default in defaults(SYSTEMS[layer]).items() if type(default) is int]

    for value in (2**30, 2**31 - 1):
        sentence = refused_or_counted(layer, dict.fromkeys(sizes, str(value)))

        assert sentence is None or layer in sentence


def test_a_size_beyond_what_a_machine_holds_is_refused() -> None:
    assert "experts=2147483648; it must be at most 2147483647" in str(
        refused_or_counted("moe-sparse", {"experts": "2147483648"})
    )


def test_more_buckets_than_can_be_numbered_are_refused_with_the_most_hashes() -> None:
    # 8^20 = 2^60, and 8^21 = 2^63.
    assert 2**60 == WinnerTakeAllSpec(16, 16, hashes=20).buckets
    with pytest.raises(InputError, match=r"hashes=21.* give at most 20 hashes"):
        WinnerTakeAllSpec(16, 16, hashes=21)


def test_a_token_of_many_steps_at_most_takes_as_many_as_one_of_some_dozens() -> None:
    # Of uniform halting probabilities, 1 / 50! of the tokens take more than 50 steps: none.
    few, many = (SYSTEMS["act"].from_options(8, 8, {"max_steps": steps}) for steps in ("50", "100000"))

    assert few.expected_counts(10)["steps"] == pytest.approx(many.expected_counts(10)["steps"], rel=1e-12)


@pytest.mark.parametrize("layer", ["memory-table", "winner-take-all"])
def test_a_seed_that_torch_does_not_take_is_refused(layer: str) -> None:
    assert None is refused_or_counted(layer, {"seed": str(2**64 - 1)})
    assert "it must be from -2^63 to 2^64 - 1" in str(refused_or_counted(layer, {"seed": str(2**64)}))


def test_an_option_that_is_not_there_is_told_so_whatever_its_value() -> None:
    with pytest.raises(InputError, match="rank=0 with consumption='add', which has no such option"):
        MemoryTableSpec(8, 8, rank=0)
    with pytest.raises(InputError, match="rank=0; it must be at least 1"):
        MemoryTableSpec(8, 8, consumption="expert", rank=0)


def test_what_is_appended_is_as_wide_as_a_token_where_no_q_is_given() -> None:
    usual = [MemoryTableSpec.usual_out_features(8, options) for options in ({}, {"consumption": "concat"})]

    assert [8, 16] == usual
    assert 8 == MemoryTableSpec(8, 16, consumption="concat").entry_features
