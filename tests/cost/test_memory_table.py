"""The cost of memory tables: tiny ones counted by hand, and what no table can be is refused."""

import pytest

from capratio.cost.flop import Flop
from capratio.cost.systems.contract import Visits
from capratio.cost.systems.memory_table import CONSUMPTIONS, LOOKUPS, MemoryTableSpec
from capratio.errors import InputError

# Of all tables below: p = 3 features, 4 entries, so that m = 2 signs tell them apart.
P, E = 3, 4


def executed(spec: MemoryTableSpec, pass_: str, tokens: int = 1, entries: int = 1) -> tuple[Flop, int]:
    cost = spec.executed(Visits(tokens, {"entries": entries}), pass_)
    return cost.flop, cost.routing_operations


def test_added_entries_by_signs_by_hand() -> None:
    spec = MemoryTableSpec(P, P, entries=E)

    # 4 rows of 3. A token reads one of them.
    assert (12, 12) == (spec.weight_parameters, spec.parameters)
    assert 3 == spec.touched_parameters(spec.one_token())
    # Two projections of 2·3, 3 adds to x; 2 compares and 2·2 − 1 steps to a number.
    assert (Flop(overhead=3, gating=12), 5) == executed(spec, "forward")
    # Two tokens of one entry: the row's gradient is 3 adds a token, and x's is the output's.
    assert (Flop(overhead=2 * (3 + 3), gating=24), 10) == executed(spec, "train", 2)


def test_bytes_by_hand() -> None:
    # Two tokens in and out, one entry of 3, and two fixed planes of 3.
    dense, touched = (MemoryTableSpec(P, P, entries=E, weight_gradient=mode) for mode in ("dense", "touched"))
    both = Visits(2, {"entries": 1})

    assert 4 * (12 + 3 + 6) == dense.compulsory_bytes(both, "forward", 4)
    # The gradients of the tokens out and in, and of the whole table of 12, or of one entry.
    assert 4 * (21 + 12 + 12) == dense.compulsory_bytes(both, "train", 4)
    assert 4 * (21 + 12 + 3) == touched.compulsory_bytes(both, "train", 4)
    assert 0 == dense.compulsory_bytes(Visits(0, {"entries": 0}), "forward", 4)


def test_side_inputs_are_read_by_hand() -> None:
    both = Visits(2, {"entries": 1})
    by_id = MemoryTableSpec(P, P, lookup="ids", entries=E)
    by_steps = MemoryTableSpec(P, P, lookup="euclidean-lsh", entries=E, projections=2)

    # Ids of 8 bytes; two slopes of 3 with their offsets, and two multipliers of 8 bytes.
    assert 4 * (12 + 3) + 2 * 8 == by_id.compulsory_bytes(both, "forward", 4)
    assert 4 * (12 + 3 + 8) + 2 * 8 == by_steps.compulsory_bytes(both, "forward", 4)


def test_concatenated_entries_by_id_by_hand() -> None:
    spec = MemoryTableSpec(P, 5, lookup="ids", consumption="concat", entries=E, tables=2)

    # 2·4 rows of 5 − 3; a token reads one of each table.
    assert (16, 16) == (spec.weight_parameters, spec.parameters)
    assert 4 == spec.touched_parameters(spec.one_token())
    # One sum of two rows of 2; an add for each row, which lies in its table.
    assert (Flop(overhead=2), 2) == executed(spec, "forward", entries=2)
    # Both rows get 2 adds.
    assert (Flop(overhead=2 + 4), 2) == executed(spec, "train", entries=2)


def test_one_table_of_ids_behind_the_token_takes_no_arithmetic() -> None:
    assert (Flop(), 0) == executed(MemoryTableSpec(P, 5, lookup="ids", consumption="concat", entries=E), "forward")


def test_small_experts_by_hand() -> None:
    spec = MemoryTableSpec(P, P, lookup="ids", consumption="expert", entries=E, rank=2)

    # U and V of 3 x 2.
    assert 4 * 12 == spec.weight_parameters
    assert 12 == spec.touched_parameters(spec.one_token())
    # Products 2·2·3 and 2·3·2; 3 multiplies by the share and 3 adds to the sum, 3 adds to x; 2 compares.
    assert (Flop(product=24, overhead=9), 2) == executed(spec, "forward")
    # Two more products of each matrix. The share's gradient 2·2 − 1, share times hidden gradient 2, share times output
    # gradient 3, the sum of x's 3; and x is used twice: 3. The activation is compared again, and its gradient.
    assert (Flop(product=72, overhead=9 + 3 + 2 + 3 + 3 + 3), 2 + 4) == executed(spec, "train")


def test_softmax_by_hand() -> None:
    spec = MemoryTableSpec(P, P, lookup="softmax", entries=E)

    # 4 rows of 3, and a router as large; a token reads two rows and all of the router.
    assert (12, 24) == (spec.weight_parameters, spec.parameters)
    assert 2 * 3 + 12 == spec.touched_parameters(spec.one_token())
    # Four scores of 2·3; a softmax of 4 takes 15 and 3 compares, the choice a sort of 4·2; two scaled rows of 2·3.
    assert (Flop(product=12, overhead=15 + 3, gating=24), 11) == executed(spec, "forward", entries=2)
    # Rows and shares get 12 each. Two shares are put in place, the softmax takes 15 back; x is used twice: 3.
    flop = Flop(product=36, overhead=18 + 2 + 15 + 3, gating=72)
    assert (flop, 11) == executed(spec, "train", entries=2)


def test_steps_by_hand() -> None:
    spec = MemoryTableSpec(P, P, lookup="euclidean-lsh", entries=E, projections=2)

    # Two projections of 2·3, each with an offset and a width; 3 adds. Two floors, two multiplies, an add, a remainder.
    assert (Flop(overhead=4 + 3, gating=12), 6) == executed(spec, "forward")


def test_expected_entries_of_two_tokens_by_hand() -> None:
    # 4 (1 − (3/4)²) of one table; 4 (1 − (1/2)²) where each takes two of four.
    assert pytest.approx({"entries": 1.75}) == MemoryTableSpec(P, P, entries=E).expected_counts(2)
    assert pytest.approx({"entries": 3.5}) == MemoryTableSpec(P, P, entries=E, tables=2).expected_counts(2)
    softmax = MemoryTableSpec(P, P, lookup="softmax", entries=E)
    assert pytest.approx({"entries": 3.0}) == softmax.expected_counts(2)
    assert pytest.approx(3 * 3 + 12) == softmax.expected_touched_parameters(2)
    assert 0 == softmax.expected_touched_parameters(0)


@pytest.mark.parametrize("lookup", LOOKUPS)
@pytest.mark.parametrize("consumption", CONSUMPTIONS)
def test_every_combination_is_made_from_text_and_has_a_small_twin(lookup: str, consumption: str) -> None:
    options = {"lookup": lookup, "consumption": consumption, "entries": "64"}

    spec = MemoryTableSpec.from_options(256, 300 if consumption == "concat" else 256, options)

    assert (lookup, consumption, 64) == (spec.lookup, spec.consumption, spec.entries)
    assert (lookup, consumption, 16, 16) == (*_kind(spec.twin()), spec.twin().in_features, spec.twin().entries)
    # One token touches what it is expected to.
    assert pytest.approx(spec.touched_parameters(spec.one_token())) == spec.expected_touched_parameters(1)


def _kind(spec: MemoryTableSpec) -> tuple[str, str]:
    return spec.lookup, spec.consumption


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"lookup": "hash"}, "lookup='hash'; it must be one of ids, sign-lsh"),
        ({"consumption": "mul"}, "consumption='mul'; it must be one of add, concat, expert"),
        ({"entries": 0}, "entries=0; it must be at least 1"),
        ({"tables": 0}, "tables=0; it must be at least 1"),
        ({"entries": 1000}, "entries=1000 with lookup='sign-lsh'.*give a power of 2, such as 512"),
        ({"lookup": "softmax", "entries": 4, "top_k": 5}, "top_k=5 of entries=4; choose at most all"),
        ({"lookup": "euclidean-lsh", "width": 0.0}, r"width=0\.0; give a bucket's width, above 0"),
        ({"lookup": "euclidean-lsh", "width": float("nan")}, "width=nan; give a bucket's width, above 0"),
        ({"seed": 0.5}, r"seed=0\.5; it must be an integer"),
        ({"consumption": "concat"}, "out_features=3 with consumption='concat'.*give at least 4"),
        ({"out_features": 4}, "out_features=4 with consumption='add'.*give 3, or use consumption='concat'"),
        ({"rank": 8}, "rank=8 with consumption='add', which has no such option.*use consumption='expert'"),
        ({"top_k": 1}, "top_k=1 with lookup='sign-lsh', which has no such option.*use lookup='softmax'"),
        ({"lookup": "ids", "seed": 1}, "seed=1 with lookup='ids'.*use lookup='sign-lsh' or 'euclidean-lsh'"),
        ({"consumption": "expert", "weight_gradient": "touched"}, "use consumption='add' or 'concat'"),
        ({"weight_gradient": "sparse"}, "weight_gradient='sparse'; it must be one of dense, touched"),
    ],
)
def test_what_no_table_can_be_is_refused(given: dict[str, object], sentence: str) -> None:
    sizes: dict[str, object] = {"in_features": 3, "out_features": 3, **given}

    with pytest.raises(InputError, match=sentence):
        MemoryTableSpec(**sizes)  # type: ignore[arg-type]
