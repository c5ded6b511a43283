"""A claim that is misspelt is found before hours are measured."""

import pytest

from capratio.cli.claim_names import check_claims
from capratio.errors import InputError


def test_a_known_claim_passes() -> None:
    check_claims(["parameters"], ["parameters", "dense-flop"])


def test_a_misspelt_claim_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match="'parametres', which is not known; did you mean 'parameters'"):
        check_claims(["parametres"], ["parameters", "dense-flop"])
