"""A claim that is misspelt is found before hours are measured."""

import pytest

from capratio.cli.claim_names import check_claims
from capratio.errors import InputError


def test_a_known_claim_passes() -> None:
    check_claims([("mine.toml: cases[1]", "parameters")], ["parameters", "dense-flop"])


@pytest.mark.parametrize(
    ("claim", "hint"),
    [("parametres", "did you mean 'parameters'?"), ("zzz", "the names are those of 'capratio list claims'.")],
)
def test_an_unknown_claim_is_refused_with_its_place_and_the_nearest_name(claim: str, hint: str) -> None:
    named = [("mine.toml: cases[1]", "parameters"), ("mine.toml: cases[2]", claim)]

    with pytest.raises(InputError) as caught:
        check_claims(named, ["parameters", "dense-flop"])

    assert f"mine.toml: cases[2]: claims names {claim!r}, which is not known; {hint}" == str(caught.value)
