"""Case files: what a good one gives, and the sentence for each bad one."""

from pathlib import Path

import pytest

from capratio.errors import InputError
from capratio.inputs.table import INPUTS, ROUTINGS
from capratio.sweep.case import tree_spec_of
from capratio.sweep.case_file import bundled_case_files, read_case_files
from capratio.sweep.case_group import SWEPT_WORDS

GOOD = """
name = "mine"
replicates = 2
[defaults]
in_features = 3
out_features = 2
[[cases]]
group = "line"
layer = ["dense", "tree"]
depth = "0:2"
tokens = [1, 4]
claims = "parameters"
[[cases.expected]]
# 7 nodes of 2·3 weights and 2 biases; 2·(2·3) additions.
layer = "tree-shared"
depth = 2
parameters = 44
product_flop = 12
overhead_flop = 12
overhead_flop_per_unit = 4
"""
DENSE = '[[cases]]\nlayer = "dense"\nin_features = 3\n'


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_a_file_gives_the_product_of_its_swept_keys_with_the_dense_layer_once(tmp_path: Path) -> None:
    cases = read_case_files([write(tmp_path, GOOD)])

    assert [
        ("dense", 0, 1),
        ("dense", 0, 4),
        ("tree-shared", 0, 1),
        ("tree-shared", 0, 4),
        ("tree-shared", 1, 1),
        ("tree-shared", 1, 4),
        ("tree-shared", 2, 1),
        ("tree-shared", 2, 4),
    ] == sorted((case.point.layer, case.point.depth, case.point.tokens) for case in cases)
    assert {("mine", "line", 2, ("parameters",))} == {
        (case.suite, case.group, case.replicates, case.claims) for case in cases
    }


def test_a_case_of_two_groups_is_measured_once_and_serves_the_claims_of_both(tmp_path: Path) -> None:
    text = GOOD + '[[cases]]\nlayer = "dense"\nclaims = "dense-flop"\n'

    cases = read_case_files([write(tmp_path, text)])

    assert 8 == len(cases)
    assert ("dense-flop", "parameters") == next(case.claims for case in cases if case.point.layer == "dense")


def test_a_group_may_ask_for_more_replicates_and_a_shared_case_has_the_most(tmp_path: Path) -> None:
    text = GOOD + '[[cases]]\nlayer = "dense"\ntokens = [1, 4]\nreplicates = 5\n'

    cases = read_case_files([write(tmp_path, text)])

    assert {("dense", 5), ("tree-shared", 2)} == {(case.point.layer, case.replicates) for case in cases}


def test_a_device_that_is_asked_for_stands_above_what_the_files_say(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)

    assert {"cpu"} == {case.point.device for case in read_case_files([path])}
    assert {"cuda"} == {case.point.device for case in read_case_files([path], "cuda")}


def test_a_weight_gradient_makes_a_case_where_there_is_one(tmp_path: Path) -> None:
    swept = 'pass = ["forward", "train"]\nweight_gradient = ["dense", "touched"]\ntokens = 4'

    cases = read_case_files([write(tmp_path, GOOD.replace("tokens = [1, 4]", swept))])

    # The dense layer and depth 0 once a pass; depths 1 and 2 forward once, in training twice.
    assert 2 + 2 + 2 * (1 + 2) == len(cases)
    touched = [case for case in cases if case.point.weight_gradient == "touched"]
    assert [1, 2] == sorted(case.point.depth for case in touched)
    assert all("[weight_gradient=touched]" in case.id and tree_spec_of(case.point).touched_gradient for case in touched)


def test_ids_of_a_file_are_different(tmp_path: Path) -> None:
    cases = read_case_files([write(tmp_path, GOOD)])

    assert len(cases) == len({case.id for case in cases})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("[[cases]]", "[[case]]"), "did you mean 'cases'"),
        (('"tree"]', '"tre"]'), "the layer 'tre' is not known; did you mean 'tree'"),
        (("depth =", "dept ="), "did you mean 'depth'"),
        (('claims = "parameters"', 'pass = "forwrd"'), "did you mean 'forward'"),
        (('claims = "parameters"', 'dtype = "float31"'), "did you mean 'float32'"),
        (('claims = "parameters"', 'device = "cud"'), "did you mean 'cuda'"),
        (('claims = "parameters"', 'weight_gradient = "touch"'), "did you mean 'touched'"),
        (('claims = "parameters"', 'pass = "decode"'), "decoding is one token"),
        (('depth = "0:2"', "depth = -1"), "depth"),
        (
            ('depth = "0:2"', 'depth = "0:4"'),
            "each bit of gate signs takes a feature of its own; use a depth of at most 3, or gate hyperplanes",
        ),
        (
            ("parameters = 44", "parameters = 45"),
            "cases[1]: expected parameters = 45 by hand, but the closed form of tree-shared (path form, 3 -> 2 "
            "features, depth 2, gate signs, with bias) gives 44",
        ),
        (
            ("depth = 2\nparameters", "depth = 3\nparameters"),
            "selects no case of its group by layer = 'tree-shared', depth = 3;",
        ),
        (("[defaults]", "[[defaults]]"), "[defaults] is [{"),
        (("replicates = 2", "sampling = 3"), "mine.toml: [sampling] is 3; give a table of keys"),
        (("replicates = 2", 'sampling.min_samples = "ten"'), "[sampling]: min_samples is 'ten'; give an integer"),
        (("replicates = 2", "sampling.max_samples = 5"), "[sampling]: min_samples is 10 and max_samples 5;"),
        (("replicates = 2", "sampling.time_limit_s = nan"), "[sampling]: time_limit_s is nan; give a positive, finite"),
        (("replicates = 2", "sampling.decode_token = 3"), "[sampling]: the key 'decode_token' is not known; did you"),
        (('claims = "parameters"', 'bias = "no"'), "cases[1]: bias is 'no'; give true or false"),
        (('claims = "parameters"', 'square = "false"'), "cases[1]: square is 'false'; give true or false"),
        (('claims = "parameters"', "square = [true]"), "cases[1]: square is [True]; give true or false"),
        (('claims = "parameters"', "claims = false"), "cases[1]: claims is False; give a word"),
        (("replicates = 2", "replicates = 0"), "replicates is 0"),
        (("replicates = 2", "replicates = true"), "replicates is True; give an integer"),
        (('claims = "parameters"', "replicates = 0"), "cases[1]: replicates is 0"),
        (("in_features = 3", "in_features = 0"), "at least 1"),
        (('layer = ["dense", "tree"]', ""), "the key 'layer' is missing"),
        (("[defaults]", "[[defaults"), "not a TOML file"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence_that_names_it(
    tmp_path: Path, change: tuple[str, str], sentence: str
) -> None:
    assert change[0] in GOOD
    path = write(tmp_path, GOOD.replace(*change))

    with pytest.raises(InputError) as caught:
        read_case_files([path])

    assert sentence in str(caught.value)
    assert "mine.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_without_cases_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no cases"):
        read_case_files([write(tmp_path, 'name = "mine"')])


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_case_files([tmp_path / "none.toml"])


@pytest.mark.parametrize("name", ["quick", "tree", "routing", "threads", "kernels", "peers"])
def test_bundled_cases_agree_with_their_hand_counted_answers(name: str) -> None:
    cases = read_case_files([bundled_case_files()[name]])

    assert cases
    assert all(case.suite == name for case in cases)


def test_the_tree_cases_hold_three_lines_through_a_centre() -> None:
    cases = read_case_files([bundled_case_files()["tree"]])
    decode = [case.point for case in cases if case.point.pass_ == "decode" and case.point.cache == "cold"]
    path = [(point.in_features, point.out_features, point.depth) for point in decode if point.layer == "tree-shared"]

    assert set(range(13)) <= {k for p, q, k in path if p == q == 512}
    assert 8 <= len({p for p, q, k in path if q == 512 and k == 8})
    assert 8 <= len({q for p, q, k in path if p == 512 and k == 8})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("defaults = 3\n[[cases]]", "[defaults] is 3; give a table of keys."),
        ("cases = [3]", "cases[1] is 3; give a table of keys."),
        (f"{DENSE}expected = 3", "cases[1]: expected is 3; give [[cases.expected]] tables."),
        (f"{DENSE}expected = [3]", "cases[1]: expected is 3; give a table of keys."),
        (f"{DENSE}[[cases.expected]]\ndepth = 0", "cases[1]: expected names no quantity; give one of parameters,"),
        ("cases = 3", "has no cases; give at least one"),
        ("[cases]", "has no cases; give at least one"),
    ],
)
def test_what_is_no_table_or_an_idle_one_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        read_case_files([write(tmp_path, text)])

    assert "mine.toml" in str(caught.value)
    assert sentence in str(caught.value)


def test_inputs_and_routings_are_those_that_there_are() -> None:
    assert set(INPUTS) == set(SWEPT_WORDS["input"])
    assert set(ROUTINGS) == set(SWEPT_WORDS["routing"])
