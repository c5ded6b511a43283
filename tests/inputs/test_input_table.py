"""Every input gives seeded float64 rows of the shape that was asked for, or says in a sentence why not."""

import pytest
import torch

from capratio.errors import InputError
from capratio.inputs.table import INPUTS, corpus_hash, make_input

every_input = pytest.mark.parametrize("name", INPUTS)


@every_input
@pytest.mark.parametrize("tokens, features", [(0, 5), (1, 1), (7, 64), (3, 100)])
def test_rows_have_the_shape_that_was_asked_for(name: str, tokens: int, features: int) -> None:
    x = make_input(name, tokens, features, seed=1)

    assert (tokens, features) == x.shape
    assert torch.float64 == x.dtype
    assert bool(x.isfinite().all())


@every_input
@pytest.mark.parametrize("features", [48, 64])
def test_the_same_seed_gives_the_same_rows_whatever_the_global_seed(name: str, features: int) -> None:
    torch.manual_seed(1)
    expected = make_input(name, 20, features, seed=-3)

    torch.manual_seed(2)
    again = make_input(name, 20, features, seed=-3)

    assert torch.equal(expected, again)


@every_input
@pytest.mark.parametrize("features", [48, 64])
def test_another_seed_gives_other_rows(name: str, features: int) -> None:
    assert not torch.equal(make_input(name, 20, features, seed=0), make_input(name, 20, features, seed=1))


@every_input
def test_making_rows_leaves_the_global_generator_alone(name: str) -> None:
    before = torch.get_rng_state()

    make_input(name, 4, 8, seed=0)

    assert torch.equal(before, torch.get_rng_state())


@every_input
def test_rows_are_centred_and_scaled(name: str) -> None:
    x = make_input(name, 4000, 32, seed=0)

    # Rows of real data are correlated inside: 4,000 independent ones give a standard error of at most 1/63.
    assert 0.0 == pytest.approx(x.mean().item(), abs=4 / 63)
    assert 1.0 == pytest.approx(x.std().item(), abs=4 / 63)


def test_only_real_data_has_a_hash() -> None:
    hashes = [corpus_hash(name) for name in ("text", "images")]

    assert corpus_hash("gaussian") is None
    assert [64, 64] == [len(found or "") for found in hashes]
    assert hashes[0] != hashes[1]


def test_an_unknown_input_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="'speech' is not known; use one of gaussian, text, images"):
        make_input("speech", 1, 1, seed=0)
    with pytest.raises(InputError, match="'speech' is not known"):
        corpus_hash("speech")


@every_input
@pytest.mark.parametrize("tokens, features", [(-1, 4), (4, 0), (4, -2)])
def test_sizes_that_no_input_has_are_refused(name: str, tokens: int, features: int) -> None:
    with pytest.raises(InputError, match="tokens of at least 0 and in_features of at least 1"):
        make_input(name, tokens, features, seed=0)
