"""Case files: what a good one gives, and the sentence for each bad one."""

from pathlib import Path

import pytest

from capratio.errors import InputError
from capratio.sweep.case_file import bundled_case_files, read_case_files

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
        (('claims = "parameters"', 'pass = "decode"'), "decoding is one token"),
        (('depth = "0:2"', "depth = -1"), "depth"),
        (('depth = "0:2"', 'depth = "0:4"'), "each bit is the sign of a feature"),
        (("parameters = 44", "parameters = 45"), "expected parameters = 45 by hand"),
        (("depth = 2\nparameters", "depth = 3\nparameters"), "selects no case"),
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


@pytest.mark.parametrize("name", ["quick", "tree", "routing", "threads"])
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
