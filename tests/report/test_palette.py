"""A layer looks alike everywhere, and layers part in grey too."""

from itertools import combinations

import pytest

from capratio.report.palette import (
    BACKEND_LOOKS,
    BIAS,
    DENSE,
    FEEDFORWARD,
    LOOKS,
    OURS,
    PEERS,
    SHARED,
    UNIT,
    Tone,
    backend_looks,
    looks_of,
    series_name,
)


def _lightness(colour: str) -> float:
    """CIE L* of an sRGB colour."""
    linear = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in linear]
    y = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return 116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y


@pytest.mark.parametrize(("one", "other"), list(combinations((DENSE, SHARED, UNIT, BIAS, FEEDFORWARD), 2)))
def test_layers_differ_in_grey(one: object, other: object) -> None:
    assert 9 < abs(_lightness(one.light) - _lightness(other.light))  # type: ignore[attr-defined]


def test_layers_differ_in_marker_and_forms_in_line_and_filling() -> None:
    markers = {layer: look.marker for (layer, _), look in LOOKS.items()}

    assert len(markers) == len(set(markers.values()))
    for (layer, form), look in LOOKS.items():
        if form == "collapsed":
            path = LOOKS[(layer, "path")]
            assert (look.tone, look.marker) == (path.tone, path.marker)
            assert (look.dashes, look.hollow) != (path.dashes, path.hollow)


def test_the_form_is_named_only_where_it_is_collapsed() -> None:
    assert ["dense", "tree-unit, collapsed"] == [series_name("dense", "path"), series_name("tree-unit", "collapsed")]


def test_a_users_layer_gets_a_look_that_no_layer_of_ours_has() -> None:
    looks = looks_of([("dense", "path"), ("mine.layers:Mine", "path"), ("mine.layers:Other", "path")])

    assert ["dense", "mine.layers:Mine", "mine.layers:Other"] == list(looks)
    assert 3 == len({(look.tone, look.marker) for look in looks.values()})


@pytest.mark.parametrize(("one", "other"), list(combinations((OURS, *PEERS), 2)))
def test_backends_differ_in_grey(one: Tone, other: Tone) -> None:
    assert 8 < abs(_lightness(one.light) - _lightness(other.light))


def test_backends_differ_in_marker_and_an_unknown_one_has_a_look_too() -> None:
    looks = backend_looks([*BACKEND_LOOKS, "another"])

    assert [*BACKEND_LOOKS, "another"] == list(looks)
    assert len(BACKEND_LOOKS) == len({look.marker for look in BACKEND_LOOKS.values()})
