"""An imposed routing makes the directions win that it chose, and leaves the rows their own differences."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from capratio.errors import InputError
from capratio.inputs.directions import impose_directions
from capratio.inputs.table import make_input

IMPOSED = ("uniform", "zipf", "single")
every_imposed = pytest.mark.parametrize("routing", IMPOSED)


def drawn(rows: int, features: int, seed: int = 0) -> torch.Tensor:
    """Directions as a router's weights are drawn."""
    generator = torch.Generator().manual_seed(seed)
    return torch.empty(rows, features, dtype=torch.float64).uniform_(-1.0, 1.0, generator=generator)


def winners(x: torch.Tensor, directions: torch.Tensor, choices: int) -> list[set[int]]:
    """The places of each token's largest products, by Python's own sort."""
    products = (x.double() @ directions.T).tolist()
    return [set(sorted(range(len(row)), key=row.__getitem__)[-choices:]) for row in products]


def wanted(tokens: int, rows: int, choices: int, routing: str, seed: int) -> list[set[int]]:
    """The places that are chosen: with directions that are at right angles to one another nothing else can win."""
    pushed = impose_directions(torch.zeros(tokens, rows) + 1e-3, torch.eye(rows), choices, routing, seed)
    return [{place for place, value in enumerate(row) if value > 2e-3} for row in pushed.tolist()]


@every_imposed
@given(
    tokens=st.integers(0, 6),
    rows=st.integers(1, 9),
    share=st.floats(0, 1),
    seed=st.integers(-9, 9),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
@settings(max_examples=40)
def test_a_token_gets_as_many_distinct_places_as_it_chooses_and_the_same_again(
    routing: str, tokens: int, rows: int, share: float, seed: int, dtype: torch.dtype
) -> None:
    choices = 1 + round(share * (rows - 1))
    x = make_input("gaussian", tokens, 7, seed).to(dtype)
    directions = drawn(rows, 7)

    pushed = impose_directions(x, directions, choices, routing, seed)

    assert (x.shape, x.dtype) == (pushed.shape, pushed.dtype)
    assert torch.equal(pushed, impose_directions(x, directions, choices, routing, seed))
    assert [choices] * tokens == [len(places) for places in wanted(tokens, rows, choices, routing, seed)]


@every_imposed
@pytest.mark.parametrize("choices", [1, 2, 4])
@pytest.mark.parametrize("source", ["gaussian", "text"])
@pytest.mark.parametrize("features", [256, 512])
def test_chosen_directions_win_over_all_others(routing: str, choices: int, source: str, features: int) -> None:
    x, directions = make_input(source, 200, features, seed=1), drawn(64, features)

    pushed = impose_directions(x, directions, choices, routing, seed=1)

    assert wanted(200, 64, choices, routing, seed=1) == winners(pushed, directions, choices)
    assert winners(x, directions, choices) != winners(pushed, directions, choices)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_they_win_in_half_types_too(dtype: torch.dtype) -> None:
    x, directions = make_input("gaussian", 100, 256, seed=1), drawn(64, 256)

    pushed = impose_directions(x, directions, 2, "uniform", seed=1).to(dtype)

    assert wanted(100, 64, 2, "uniform", seed=1) == winners(pushed, directions, 2)


def test_rows_differ_as_before_where_all_are_pushed_alike() -> None:
    x = make_input("gaussian", 20, 32, seed=1)

    pushed = impose_directions(x, drawn(8, 32), 2, "single", seed=1)

    torch.testing.assert_close(pushed - pushed[0], x - x[0])


def test_the_given_rows_are_not_written_to() -> None:
    x = make_input("gaussian", 20, 32, seed=1)
    before = x.clone()

    impose_directions(x, drawn(8, 32), 2, "uniform", seed=1)

    assert torch.equal(before, x)


def test_places_are_those_of_the_routing() -> None:
    count = {
        routing: torch.bincount(
            torch.tensor([place for places in wanted(4000, 8, 1, routing, seed=3) for place in places]), minlength=8
        )
        for routing in IMPOSED
    }

    assert [4000] + [0] * 7 == sorted(count["single"].tolist(), reverse=True)
    # 500 each, and a standard deviation of 21.
    assert bool(((count["uniform"] - 500).abs() < 5 * 21).all())
    # 1/1 to 1/8 of 761/280: the first rank has 1472, with a standard deviation of 31, and the second half of that.
    first, second = count["zipf"].sort(descending=True).values[:2].tolist()
    assert abs(first - 1472) < 5 * 31
    assert abs(second - 736) < 5 * 25


@pytest.mark.parametrize("routing", ["measured", "unifrom"])
def test_a_routing_that_is_not_imposed_is_refused(routing: str) -> None:
    with pytest.raises(InputError, match=f"routing = '{routing}' cannot be imposed; use one of uniform, zipf, single"):
        impose_directions(torch.zeros(2, 4), torch.eye(4), 1, routing, seed=0)


def test_more_choices_than_directions_are_refused() -> None:
    with pytest.raises(InputError, match="5 choices of 4 directions were asked for; ask for fewer"):
        impose_directions(torch.zeros(2, 4), torch.eye(4), 5, "uniform", seed=0)
