"""A gate takes a feature for each bit, and one that has too few is refused."""

import pytest

from capratio.cost.spec import LayerSpec, check_bits
from capratio.errors import InputError


@pytest.mark.parametrize(
    ("layer", "gate", "way_out"),
    [
        ("tree-shared", "signs", "a depth of at most 4, or gate hyperplanes."),
        ("tree-bias", "signs", "a depth of at most 4, or gate hyperplanes."),
        ("tree-unit", "signs", "a depth of at most 4."),
        ("tree-unit", "thresholds", "a depth of at most 4."),
    ],
)
def test_more_bits_than_features_are_refused_with_a_way_out_that_the_layer_has(
    layer: str, gate: str, way_out: str
) -> None:
    check_bits(LayerSpec(layer, 4, 4, depth=4, gate=gate))

    with pytest.raises(InputError, match=f"depth = 5 with in_features = 4, but each bit of gate {gate} .*{way_out}$"):
        check_bits(LayerSpec(layer, 4, 4, depth=5, gate=gate))


def test_hyperplanes_may_have_more_bits_than_features() -> None:
    check_bits(LayerSpec("tree-shared", 4, 4, depth=5, gate="hyperplanes"))
