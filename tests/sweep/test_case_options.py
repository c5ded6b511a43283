"""Options in a case file: every combination is a case, what is the same has one name, mistakes are refused."""

from pathlib import Path

import pytest

from capratio.cost.systems.table import SYSTEMS
from capratio.errors import InputError
from capratio.sweep.case import Case
from capratio.sweep.case_file import read_case_files


def cases_of(folder: Path, *groups: str) -> list[Case]:
    path = folder / "mine.toml"
    path.write_text("".join(f"[[cases]]\nin_features = 16\n{group}\n" for group in groups))
    return read_case_files([path])


def test_every_combination_of_values_is_a_case_in_their_order(tmp_path: Path) -> None:
    cases = cases_of(tmp_path, 'layer = "moe-sparse"\noptions = { experts = [4, 8], top_k = [1, 3] }')

    assert [
        {"experts": "4", "top_k": "1"},
        {"experts": "4", "top_k": "3"},
        {"experts": "8", "top_k": "1"},
        {"experts": "8", "top_k": "3"},
    ] == [case.point.options for case in cases]


def test_options_may_stand_in_a_table_of_their_own(tmp_path: Path) -> None:
    inline = cases_of(tmp_path, 'layer = "moe-sparse"\noptions = { experts = [4, 8] }')

    assert inline == cases_of(tmp_path, 'layer = "moe-sparse"\n[cases.options]\nexperts = [4, 8]')


@pytest.mark.parametrize("layer", SYSTEMS)
def test_a_system_has_a_case_without_an_option(layer: str, tmp_path: Path) -> None:
    (case,) = cases_of(tmp_path, f'layer = "{layer}"\nout_features = 16')

    assert (layer, None) == (case.point.layer, case.point.options)


def test_a_table_that_appends_is_wider_where_out_features_is_left_out(tmp_path: Path) -> None:
    options = 'options = { consumption = ["add", "concat"] }'

    added, appended = cases_of(tmp_path, f'layer = "memory-table"\n{options}')

    assert (16, 32) == (added.point.out_features, appended.point.out_features)
    with pytest.raises(InputError, match="give at least 17"):
        cases_of(tmp_path, f'layer = "memory-table"\nout_features = 16\n{options}')
    with pytest.raises(InputError, match="give at least 17"):
        cases_of(tmp_path, f'layer = "memory-table"\nsquare = true\n{options}')


def test_a_list_of_tables_has_the_cases_of_one_table_after_the_other(tmp_path: Path) -> None:
    cases = cases_of(tmp_path, 'layer = "moe-sparse"\noptions = [{ experts = [4, 8] }, { top_k = 1 }]')

    assert [{"experts": "4"}, {"experts": "8"}, {"top_k": "1"}] == [case.point.options for case in cases]


def test_what_is_the_same_by_default_or_in_words_is_one_case(tmp_path: Path) -> None:
    (case,) = cases_of(
        tmp_path,
        'layer = "moe-sparse"',
        'layer = "moe-sparse"\noptions = { experts = 16, top_k = [2, 2] }',
        'layer = "moe-sparse"\ndepth = [1, 2]\ngate = "thresholds"\nhidden = 7\nbias = [true, false]',
    )

    assert "moe-sparse/p16-q16-k0/n1/float32/cpu/forward/warm/text+measured/auto/t1" == case.id


def test_a_dense_layer_may_stand_beside_a_layer_with_options(tmp_path: Path) -> None:
    dense, *mixtures = cases_of(tmp_path, 'layer = ["dense", "moe-sparse"]\noptions = { experts = [4, 8] }')

    assert ("dense", None) == (dense.point.layer, dense.point.options)
    assert 2 == len(mixtures)


def test_options_of_a_dense_layer_alone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cases\[1\]: options were given to dense, which has none"):
        cases_of(tmp_path, 'layer = "dense"\noptions = { expert = [1, 2] }')


def test_options_of_a_users_layer_keep_what_they_are(tmp_path: Path) -> None:
    (case,) = cases_of(
        tmp_path, 'layer = "mine.layers:A"\noptions = { n = 16, rate = 1.0, bias = false, act = "relu", name = "16" }'
    )

    assert {"n": "16", "rate": "1.0", "bias": "false", "act": "relu", "name": '"16"'} == case.point.options
    assert ("mine.layers:A", "module") == (case.point.layer, case.point.backend)


@pytest.mark.parametrize(
    ("group", "sentence"),
    [
        ('layer = "moe-sparse"\noptions = { exprts = 4 }', "the key 'exprts' is not known; did you mean 'experts'"),
        ('layer = "moe-sparse"\noptions = { experts = "four" }', "experts='four'; give an integer"),
        ('layer = "moe-sparse"\noptions = { experts = 1.5 }', "experts='1.5'; give an integer"),
        ('layer = "moe-sparse"\noptions = { experts = 0 }', "experts=0; it must be at least 1"),
        ('layer = "moe-sparse"\noptions = { experts = [] }', r"options.experts is \[\]; give a value"),
        ('layer = "moe-sparse"\noptions = { experts = [[4]] }', r"options.experts is \[4\]; give a number"),
        ('layer = "moe-sparse"\noptions = { experts = { a = 4 } }', "options.experts is {'a': 4}; give a number"),
        ('layer = "moe-sparse"\noptions = 4', "options is 4; give a table such as"),
        ('layer = "tree"\noptions = { depth = 4 }', "options were given to tree-shared, which has none; depth, form"),
        ('layer = "moe-sparse"\npass = "decode"\ntokens = 3', "decoding is one token"),
    ],
)
def test_a_mistake_in_options_is_refused_with_its_place(group: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        cases_of(tmp_path, group)

    assert str(caught.value).startswith(f"{tmp_path / 'mine.toml'}: cases[1]")
