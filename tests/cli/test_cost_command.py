"""``capratio cost`` prints closed forms: a table, or one JSON object a depth."""

import json

import pytest

from capratio.cli.main import run
from capratio.cost import LayerSpec, closed_form

SIZES = ["--in-features", "3", "--out-features", "5"]


def json_rows(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, object]]:
    """The rows of ``capratio cost … --json``."""
    assert 0 == run(["cost", *arguments, "--json"])
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_row_counted_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    # p = 3, q = 5, k = 2: 7 nodes of 15 weights and 5 biases; 2·15 FLOP of the product, 2·15 of the two added nodes;
    # the bias is 5 adds; 2 compares and 3 index steps; a path of 3 nodes and the bias is touched.
    rows = json_rows(capsys, "tree", *SIZES, "--depth", "2")

    assert 1 == len(rows)
    expected = {
        "layer": "tree-shared",
        "form": "path",
        "in_features": 3,
        "out_features": 5,
        "depth": 2,
        "parameters": 110,
        "weight_parameters": 105,
        "touched_parameters": 50,
        "product_flop": 30,
        "overhead_flop": 30,
        "gating_flop": 0,
        "bias_flop": 5,
        "routing_operations": 5,
        "overhead_flop_per_unit": 10,
        "capacity_ratio": 3.5,
    }
    assert expected == {key: rows[0][key] for key in expected}


@pytest.mark.parametrize(
    "text, expected", [("4", [4]), ("0:3", [0, 1, 2, 3]), ("0:12:4", [0, 4, 8, 12]), ("1:6:3", [1, 4])]
)
def test_a_range_of_depths_holds_both_ends(text: str, expected: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    rows = json_rows(capsys, "tree", "--in-features", "12", "--out-features", "5", "--depth", text)

    assert expected == [row["depth"] for row in rows]


def test_options_reach_the_closed_form(capsys: pytest.CaptureFixture[str]) -> None:
    # Collapsed: 4 leaves of 15 weights, no bias, no overhead; two hyperplanes of 3 weights cost 2·2·3 gating FLOP.
    (row,) = json_rows(
        capsys, "tree", *SIZES, "--depth", "2", "--form", "collapsed", "--no-bias", "--gate", "hyperplanes"
    )

    assert (60, 0, 12, 0) == (row["weight_parameters"], row["overhead_flop"], row["gating_flop"], row["bias_flop"])
    assert 66 == row["parameters"]


def test_the_name_tree_means_tree_shared(capsys: pytest.CaptureFixture[str]) -> None:
    by_alias = json_rows(capsys, "tree", *SIZES, "--depth", "0:3")
    by_id = json_rows(capsys, "tree-shared", *SIZES, "--depth", "0:3")

    assert by_id == by_alias


def test_the_table_has_a_row_a_depth_under_aligned_headings(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run(["cost", "tree", "--in-features", "512", "--out-features", "512", "--depth", "0:12"])

    lines = capsys.readouterr().out.splitlines()
    assert 3 + 13 == len(lines)
    assert "tree-shared" in lines[0]
    assert lines[1].split()[:4] == ["depth", "parameters", "touched", "product"]
    assert lines[-1].split()[:5] == ["12", "2,147,222,016", "3,408,384", "524,288", "3,145,728"]
    assert 1 == len({len(line) for line in lines[2:]})


@pytest.mark.parametrize("depth", ["5", "0:12"])
def test_more_bits_than_features_are_refused_in_a_sentence_with_the_way_out(
    depth: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 2 == run(["cost", "tree", "--in-features", "4", "--out-features", "4", "--depth", depth])

    out, err = capsys.readouterr()
    assert "" == out
    assert 1 == len(err.splitlines())
    assert "depth = 5 with in_features = 4" in err
    assert "use a depth of at most 4, or gate hyperplanes." in err


def test_hyperplanes_give_more_bits_than_there_are_features(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json_rows(capsys, "tree", *SIZES, "--depth", "5", "--gate", "hyperplanes")

    assert [5] == [row["depth"] for row in rows]


def test_a_table_that_appends_is_wider_where_out_features_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    # 4 entries as wide as a token of 3 features, beside which the entries that are added have the same size.
    words = "memory-table", "--in-features", "3", "--set", "entries=4"

    (appended,) = json_rows(capsys, *words, "--set", "consumption=concat")
    assert (6, 12) == (appended["out_features"], appended["parameters"])

    assert 0 == run(["cost", *words, "--set", "consumption=add,concat"])
    title, headings, _, added, appended_line, *_ = capsys.readouterr().out.splitlines()
    assert title.startswith("memory-table, 3 features, lookup sign-lsh, entries 4,")
    assert ["consumption", "out_features"] == headings.split()[:2]
    assert (["add", "3"], ["concat", "6"]) == (added.split()[:2], appended_line.split()[:2])


def test_each_tree_is_shown_in_its_first_form(capsys: pytest.CaptureFixture[str]) -> None:
    layers = ("tree", "tree-unit", "tree-bias", "fast-feedforward")

    forms = [json_rows(capsys, layer, "--depth", "2")[0]["form"] for layer in layers]

    assert ["path", "path", "path", "leaf"] == forms


def test_a_fast_feedforward_layer_has_the_gate_and_the_units_of_its_closed_form(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = "fast-feedforward", "--in-features", "8", "--out-features", "4", "--depth", "3", "--form", "leaf"

    (usual,), (few,) = json_rows(capsys, *words), json_rows(capsys, *words, "--hidden", "2")

    # 8 leaves of 2·8 + 2 + 4·2 + 4 = 30 weights, and 7 hyperplanes of 8 + 1.
    assert (2, 8 * 30 + 7 * 9) == (few["hidden"], few["parameters"])
    spec = LayerSpec("fast-feedforward", 8, 4, 3, "leaf", gate="descent")
    assert (spec.hidden, closed_form(spec).parameters) == (usual["hidden"], usual["parameters"])


def test_what_a_token_is_taken_to_reach_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run(["cost", "moe-sparse", "--set", "experts=8,16", "--set", "top_k=2,3"])

    *_, heading, two, three, _, last = capsys.readouterr().out.splitlines()
    assert "One token reaches:" == heading
    assert two.startswith("  experts 8, top_k 2: experts 2, assignments 2")
    assert three.startswith("  experts 8, top_k 3: experts 3, assignments 3")
    assert last.startswith("  experts 16, top_k 3: experts 3, assignments 3")
    # Where all reach the same, it is said once.
    assert 0 == run(["cost", "moe-sparse", "--set", "experts=8,16"])
    assert capsys.readouterr().out.splitlines()[-1].startswith("  experts 2, assignments 2")
    # A halting unit begins at σ(1) = 0.73: 0.99 is passed at the second step.
    assert 0 == run(["cost", "act"])
    assert "steps 2" in capsys.readouterr().out


def test_a_layer_that_does_no_flop_has_no_capacity_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    words = "memory-table", "--set", "lookup=ids"

    assert 0 == run(["cost", *words, "--set", "consumption=concat"])
    assert ["no", "FLOP", "no", "FLOP"] == capsys.readouterr().out.splitlines()[3].split()[-4:]
    (row,) = json_rows(capsys, *words, "--set", "consumption=concat")
    assert (None, None) == (row["capacity_ratio"], row["capacity_ratio_all"])
    # One addition a feature.
    assert 0 == run(["cost", *words, "--set", "consumption=add"])
    assert "no FLOP" not in capsys.readouterr().out


def test_of_a_sequence_a_token_costs_its_share(capsys: pytest.CaptureFixture[str]) -> None:
    # p = 4, h = 8, a stride of 4: one token of four is computed, 4·4·8 FLOP; 3 additions of 4 features for each token,
    # and 3 more for the one that is computed. The network has 2·4·8 weights.
    words = "altup", "--in-features", "4", "--set", "hidden=8", "--set", "form=sequence"

    (row,) = json_rows(capsys, *words, "--set", "stride=4")
    assert (4 * 4 * 8 / 4, 3 * 4 + 3 * 4 / 4) == (row["product_flop"], row["overhead_flop"])
    assert 2 * 64 / (32 + 15) == row["capacity_ratio"]
    assert {"tokens": 4, "computed": 1} == row["visits"]
    # What no number of tokens divides is a fraction.
    (third,) = json_rows(capsys, *words, "--set", "stride=3")
    assert 128 / 3 == third["product_flop"]
    assert 0 == run(["cost", *words, "--set", "stride=4"])
    assert "  computed 1 for 4 tokens" == capsys.readouterr().out.splitlines()[-1]


def test_options_of_a_tree_may_be_set_as_those_of_any_layer(capsys: pytest.CaptureFixture[str]) -> None:
    by_flags = json_rows(capsys, "fast-feedforward", "--depth", "3", "--hidden", "8")
    by_set = json_rows(capsys, "fast-feedforward", "--set", "depth=3", "--set", "hidden=8")
    both = json_rows(capsys, "tree", "--set", "form=path,collapsed", "--depth", "2", "--set", "bias=false")

    assert by_flags == by_set
    ranged = json_rows(capsys, "tree", "--set", "depth=0:4:2,8")
    assert [0, 2, 4, 8] == [row["depth"] for row in ranged]
    assert 0 == run(["cost", "tree", "--no-bias"])
    assert "gate signs, without bias;" in capsys.readouterr().out
    assert [("path", False), ("collapsed", False)] == [(row["form"], row["bias"]) for row in both]
    assert 0 == run(["cost", "tree", "--set", "order=leaves,nodes", "--depth", "2"])
    title, headings, _, *rows = capsys.readouterr().out.splitlines()
    assert "tree-shared, 256 -> 256 features, path form, gate signs; parameters and FLOP of one token" == title
    assert ["depth", "order", "parameters"] == headings.split()[:3]
    assert [["2", "leaves"], ["2", "nodes"]] == [row.split()[:2] for row in rows]


def test_truth_values_are_shown_as_they_are_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run(["cost", "moe-st", "--set", "dense_beside=true,false", "--set", "top_k=1,2"])

    *_, one, two, three, four = capsys.readouterr().out.splitlines()
    said = [line.strip().partition(":")[0] for line in (one, two, three, four)]
    assert [f"dense_beside {beside}, top_k {k}" for beside in ("true", "false") for k in (1, 2)] == said


def test_a_row_of_a_system_holds_all_its_options_as_what_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = json_rows(capsys, "moe-sparse", "--set", "experts=4")

    assert (4, 2, 1024, "noisy", 1) == tuple(row[key] for key in ("experts", "top_k", "hidden", "gating", "groups"))
    assert {"tokens": 1, "experts": 2, "assignments": 2, "slots": 2, "groups": 0} == row["visits"]
    # Units with trees of their own are a tree's.
    assert "overhead_flop_per_unit" not in row
    assert 0 == run(["cost", "moe-sparse"])
    assert "a unit" not in capsys.readouterr().out
