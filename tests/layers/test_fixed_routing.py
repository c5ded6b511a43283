"""A specification names the option that fixes a routing exactly where its layer has neither ids nor directions."""

import pytest

from capratio.cost.systems.table import SYSTEMS
from capratio.layers.systems_table import build_spec

CASES: list[tuple[str, dict[str, str], str | None]] = [
    ("act", {}, ""),
    ("altup", {}, ""),
    ("block-policy", {}, ""),
    ("dynamic-gate", {}, ""),
    ("memory-table", {"lookup": "ids", "tables": "2"}, None),
    ("memory-table", {"lookup": "softmax", "entries": "4"}, None),
    ("memory-table", {"lookup": "softmax", "entries": "4", "tables": "2"}, "tables=2"),
    ("memory-table", {"lookup": "sign-lsh", "entries": "4"}, None),
    ("memory-table", {"lookup": "sign-lsh", "entries": "1"}, "entries=1"),
    ("memory-table", {"lookup": "sign-lsh", "entries": "4", "tables": "2"}, "tables=2"),
    ("memory-table", {"lookup": "euclidean-lsh", "tables": "2"}, "lookup=euclidean-lsh"),
    ("moe-sparse", {"gating": "noisy"}, None),
    ("moe-sparse", {"gating": "hierarchical"}, "gating=hierarchical"),
    ("moe-sparse", {"gating": "balanced"}, "gating=balanced"),
    ("moe-st", {"top_k": "1"}, None),
    ("moe-st", {"top_k": "2"}, None),
    ("product-key", {"heads": "1"}, None),
    ("product-key", {"heads": "4"}, "heads=4"),
    ("winner-take-all", {}, ""),
]


@pytest.mark.parametrize(("layer", "options", "expected"), CASES)
def test_a_routing_is_fixed_by_the_named_option(layer: str, options: dict[str, str], expected: str | None) -> None:
    spec = SYSTEMS[layer].from_options(8, 8, options)
    built = build_spec(spec)

    assert expected == spec.fixed_routing
    assert (expected is None) == (built.takes_ids or built.routing_directions() is not None)


def test_every_system_says_whether_its_routing_is_fixed() -> None:
    assert set(SYSTEMS) == {layer for layer, _, _ in CASES}
