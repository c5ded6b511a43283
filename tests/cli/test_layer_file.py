"""A layer on the command line is the case file that says the same."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capratio.cli.layer_file import layer_file, without_place
from capratio.errors import InputError
from capratio.sweep.case import Case
from capratio.sweep.case_file import read_case_files
from capratio.sweep.options import values_of

EQUAL = """
name = "mine.layers:A"
replicates = 4
[[cases]]
group = "mine.layers:A"
layer = "mine.layers:A"
in_features = [8, 16]
out_features = 4
tokens = [0, 64]
pass = ["forward", "train"]
dtype = "bfloat16"
options = { n = [16, 64], rate = 0.5, bias = false, act = "relu", name = "16" }
"""


def cases_of(folder: Path, layer: str, options: dict[str, list[str]], **integers: list[int]) -> list[Case]:
    return read_case_files([layer_file(folder, layer, options, 1, {"in_features": [16]} | integers)])


def test_it_has_the_cases_of_the_file_that_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(EQUAL)
    options = {"n": ["16", "64"], "rate": ["0.5"], "bias": ["false"], "act": ["relu"], "name": ['"16"']}

    path = layer_file(
        tmp_path,
        "mine.layers:A",
        options,
        4,
        {
            "pass": ["forward", "train"],
            "dtype": ["bfloat16"],
            "in_features": [8, 16],
            "out_features": [4],
            "tokens": [0, 64],
            "threads": [],
        },
    )

    assert read_case_files([tmp_path / "mine.toml"]) == read_case_files([path])


def test_a_layer_of_ours_is_given_its_options_too(tmp_path: Path) -> None:
    (case,) = cases_of(tmp_path, "moe-sparse", {"experts": ["4"]})

    assert "moe-sparse[experts=4]/p16-q16-k0/n1/float32/cpu/forward/warm/text+measured/auto/t1" == case.id


def test_without_features_of_the_output_each_case_has_those_of_its_input(tmp_path: Path) -> None:
    sizes = [
        (case.point.in_features, case.point.out_features)
        for case in cases_of(tmp_path, "mine.layers:A", {}, in_features=[8, 16])
    ]
    appended = cases_of(tmp_path, "memory-table", {"consumption": ["concat"]}, in_features=[8])
    crossed = cases_of(tmp_path, "mine.layers:A", {}, in_features=[8, 16], out_features=[2, 4])

    assert [(8, 8), (16, 16)] == sizes
    assert [16] == [case.point.out_features for case in appended]
    assert 4 == len(crossed)


def test_what_a_tree_has_stands_in_its_group(tmp_path: Path) -> None:
    options = {"depth": ["0:4:2"], "form": ["collapsed"], "gate": ["hyperplanes"], "bias": ["true", "false"]}
    (tmp_path / "mine.toml").write_text(
        'name = "tree"\nreplicates = 1\n[[cases]]\ngroup = "tree"\nlayer = "tree"\nin_features = 16\n'
        'claims = ["executed-flop", "touched-parameters"]\ndepth = [0, 2, 4]\n'
        'form = "collapsed"\ngate = "hyperplanes"\nbias = [true, false]\n'
    )

    cases = cases_of(tmp_path, "tree", options)

    assert 6 == len(cases)
    assert read_case_files([tmp_path / "mine.toml"]) == cases


@pytest.mark.parametrize(
    ("layer", "options", "form", "hidden"),
    [
        ("fast-feedforward", {}, "leaf", None),
        ("fast-feedforward", {"hidden": ["8"]}, "leaf", {"hidden": "8"}),
        ("fast-feedforward", {"form": ["path"]}, "path", None),
        ("tree", {}, "path", None),
        ("dense", {}, "path", None),
    ],
)
def test_a_tree_has_its_first_form_as_its_cost_is_printed(
    layer: str, options: dict[str, list[str]], form: str, hidden: dict[str, str] | None, tmp_path: Path
) -> None:
    (case,) = cases_of(tmp_path, layer, options)

    assert (form, hidden) == (case.point.form, case.point.options)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("16", 16),
        ("-0", 0),
        ("1e5", 1e5),
        ("1E400", float("inf")),
        ("Infinity", float("inf")),
        ("true", True),
        ("relu", "relu"),
        ('"16"', "16"),
        ('"a\\/b"', "a/b"),
        ("0x10", "0x10"),
        ("2026-11-27", "2026-11-27"),
        ("é😀", "é😀"),
        ("a'\"\\b", "a'\"\\b"),
    ],
)
def test_a_text_is_the_value_that_it_says(text: str, value: object, tmp_path: Path) -> None:
    (case,) = cases_of(tmp_path, "mine:A", {"é": [text]})

    (found,) = values_of(case.point.options or {}).values()
    assert (type(value), value) == (type(found), found)


@given(text=st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1))
def test_every_text_that_can_be_printed_comes_back(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()

    (case,) = cases_of(folder, "mine:A", {"x": [f"_{text}"]})

    assert {"x": f"_{text}"} == values_of(case.point.options or {})


@pytest.mark.parametrize(("layer", "option"), [("mine\n:A", "x"), ("mine:\udcff", "x"), ("mine:A", "\x7f")])
def test_what_cannot_be_printed_is_refused(layer: str, option: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds what cannot be printed; give names and values in plain text"):
        layer_file(tmp_path, layer, {"x": [option]}, 1, {})


def test_a_message_names_the_option_and_no_file(tmp_path: Path) -> None:
    path = layer_file(tmp_path, "moe-spars", {}, 1, {"in_features": [16]})
    with pytest.raises(InputError) as caught:
        read_case_files([path])

    assert str(tmp_path) in str(caught.value)
    assert "--layer: the layer 'moe-spars' is not known; did you mean 'moe-sparse'?" == str(
        without_place(caught.value, path)
    )


@pytest.mark.parametrize(
    ("layer", "options", "claims"),
    [
        ("moe-sparse", {}, ("system-counts",)),
        ("fast-feedforward", {"depth": ["2"]}, ("fast-feedforward-counts",)),
        ("tree", {"depth": ["2"]}, ("executed-flop", "touched-parameters")),
        ("dense", {}, ("executed-flop", "touched-parameters")),
        ("mine.layers:Mine", {}, ()),
    ],
)
def test_a_layer_of_ours_claims_the_exact_counts_that_it_has(
    layer: str, options: dict[str, list[str]], claims: tuple[str, ...], tmp_path: Path
) -> None:
    (case,) = cases_of(tmp_path, layer, options)

    assert claims == case.claims
