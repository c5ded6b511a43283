"""Every published figure has one command line, and the page says of each what its data says."""

import argparse
import importlib
import json
import re
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from benchmarks.figure import Figure, Progress, count, kept_rows, out_file, spread
from benchmarks.figures_page import FIGURES, filled, main

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "reports" / "figures-in-kind"
NAMES = [figure.name for figure in FIGURES]
each_figure = pytest.mark.parametrize("figure", FIGURES, ids=NAMES)


def test_the_published_page_is_what_its_data_fills() -> None:
    page = (FOLDER / "README.md").read_text()

    assert filled(page, FOLDER) == page


@each_figure
def test_the_published_table_is_what_its_data_gives(figure: Figure) -> None:
    content = json.loads((FOLDER / f"{figure.name}.json").read_text())

    page = (FOLDER / f"{figure.name}.md").read_text()
    assert f"# {figure.title}\n\n{figure.conditions(content)}\n\n{figure.table(content)}\n" == page


def test_another_table_on_the_page_is_seen_and_made_again(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / f"{name}.json").write_bytes((FOLDER / f"{name}.json").read_bytes())
    published = (FOLDER / "README.md").read_text()
    page = tmp_path / "README.md"
    page.write_text(published.replace("| 46.7 | 46.7 |", "| 46.7 | 46.8 |"))

    main([str(page)])

    assert published == page.read_text()


@pytest.mark.parametrize(
    ("text", "says"),
    [("Nothing.", "the page has no lines"), ("<!-- moe_balance -->\n<!-- /moe_balance -->", "No such")],
)
def test_a_page_without_a_place_or_without_data_is_an_error_of_one_sentence(
    text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "page.md").write_text(text)

    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path / "page.md")])

    assert 2 == stopped.value.code
    assert says in capsys.readouterr().err
    assert text == (tmp_path / "page.md").read_text()


@each_figure
def test_help_has_an_example_that_makes_the_figure(figure: Figure, capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.import_module(f"benchmarks.{figure.name}")

    with pytest.raises(SystemExit) as stopped:
        module.main(["--help"])

    said = " ".join(capsys.readouterr().out.split())
    assert 0 == stopped.value.code
    assert f"example: python -m benchmarks.{figure.name} --out {figure.name}.json" in said
    assert f"Takes {figure.takes}." in said


@each_figure
def test_make_figures_makes_it(figure: Figure) -> None:
    (recipe,) = re.findall(r"^figures:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert figure.name in recipe


@pytest.mark.parametrize("name", ["table.md", "table", "taken/x.json"])
def test_a_path_that_no_figure_is_written_to_is_refused_before_anything_is_measured(name: str, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(argparse.ArgumentTypeError, match=name.partition("/")[0]):
        out_file(str(tmp_path / name))
    assert tmp_path / "new" / "x.json" == out_file(str(tmp_path / "new" / "x.json"))


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many"])
def test_a_count_is_a_whole_number_of_at_least_one(text: str) -> None:
    assert 3 == count("3")
    with pytest.raises(argparse.ArgumentTypeError, match="whole number of at least 1"):
        count(text)


def test_rows_are_kept_under_the_same_conditions_only(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    assert [] == kept_rows(path, {"steps": 3})
    path.write_text('{"conditions": {"steps": 3, "old": 1}, "rows": [{"a": 1}]}')

    assert [{"a": 1}] == kept_rows(path, {"steps": 3, "old": 1})
    with pytest.raises(ValueError, match="another old, steps;"):
        kept_rows(path, {"steps": 4})
    path.write_text("[]")
    with pytest.raises(ValueError, match="is no file of this benchmark"):
        kept_rows(path, {"steps": 3})


def test_progress_says_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(2)

    progress.step("first")
    progress.step("second")

    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("1 of 2: first (")
    assert first.endswith(" left)")
    assert second.startswith("2 of 2: second (")
    assert "left" not in second


def test_a_spread_is_the_median_and_the_ends() -> None:
    assert "2.00 (1.00 to 9.00)" == spread([9, 1, 2])
    assert "1.50 (1.00 to 2.00)" == spread([2, 1])
    assert "3.00" == spread([3, 3.0001])


def medians(name: str, key: tuple[str, ...], value: str) -> dict[tuple[object, ...], float]:
    """Over the published rows of a figure that have the same key."""
    found: dict[tuple[object, ...], list[float]] = {}
    for row in json.loads((FOLDER / f"{name}.json").read_text())["rows"]:
        found.setdefault(tuple(row[part] for part in key), []).append(row[value])
    return {of: median(values) for of, values in found.items()}


def test_the_page_is_right_that_balance_losses_even_experts_and_larger_weights_more() -> None:
    weights = ("importance_weight", "load_weight")
    importance, load, largest, loss = (
        medians("moe_balance", weights, value)
        for value in ("importance_variation", "load_variation", "largest_load", "loss_nats")
    )
    none, both, either = (0.0, 0.0), [(0.01, 0.01), (0.1, 0.1), (1.0, 1.0)], [(0.2, 0.0), (0.0, 0.2)]

    for found in (importance, load, largest):
        assert sorted(found, key=lambda of: -found[of])[0] == none
        assert [found[of] for of in both] == sorted((found[of] for of in both), reverse=True)
    with_losses = [found for of, found in largest.items() if of != none]
    assert f"{min(with_losses):.1f} to {max(with_losses):.1f} times" in (FOLDER / "README.md").read_text()
    # Nearer than the paper's model to one set of experts for all.
    assert importance[none] / 63**0.5 > 3.04 / 255**0.5
    assert load[none] / 31**0.5 > 3.01 / 63**0.5
    assert largest[none] / 32 > 17.8 / 64
    assert all(loss[of] < loss[none] for of in (*either, *both[:2]))
    assert loss[1.0, 1.0] > loss[none]
    # Not seen again: each loss evens its own quantity most.
    assert importance[0.2, 0.0] > importance[0.0, 0.2]


def test_the_page_is_right_about_dropped_tokens() -> None:
    tokens = medians("moe_dropped_tokens", ("router", "top_k", "prioritised", "factor"), "tokens")

    assert tokens["trained", 2, True, 1.25] < 0.003
    assert 0.01 < tokens["fresh", 2, True, 1.25] < 0.05
    assert 0 == tokens["trained", 2, True, 2.0] == tokens["fresh", 2, True, 2.0]
    assert all(share >= 0.25 for (*_, factor), share in tokens.items() if factor == 0.75)


def test_the_page_is_right_about_block_policies() -> None:
    error, lived = (medians("block_policy_digits", ("name",), value) for value in ("test_error", "lived_error"))
    rows = json.loads((FOLDER / "block_policy_digits.json").read_text())["rows"]
    unregulated = [row for row in rows if row["name"] == "policy, no L_b, L_e"]

    assert error["policy",] > error["dense, 32",] >= lived["policy",]
    assert all(row["dead"] > 0 for row in unregulated)
    assert median(row["saturated"] for row in unregulated) > 0
    assert {0.0} == {row[share] for row in rows if row["name"] == "policy" for share in ("dead", "saturated")}


def test_the_page_is_right_about_block_sparse_products() -> None:
    rows = json.loads((FOLDER / "block_sparse_speedup.json").read_text())["rows"]

    faster = ratios([row for row in rows if row["case"]["part"] == "paper"], "dense", "in_size", "in_blocks", "tokens")
    hidden = [faster[of] for of in faster if of[0] * of[1] in (1536, 640, 256) and of[2] >= 256]
    first = {tokens: faster[784, 1, tokens] for tokens in (256, 1024)}
    assert min(hidden) > 5.7
    assert all(2 < first[tokens] < faster[64, 24, tokens] for tokens in first)
    assert all(ratio < 1 for (size, blocks, tokens), ratio in faster.items() if tokens == 1 and size * blocks != 1536)
    assert min(row["times_s"]["block_linear"] for row in rows) > 25e-6


def test_the_page_is_right_about_a_tenth_of_the_pairs() -> None:
    rows = json.loads((FOLDER / "block_sparse_speedup.json").read_text())["rows"]
    tenth = [row for row in rows if row["case"]["part"] == "tenth"]
    one_mask = [row for row in tenth if row["case"]["shared"]]
    own_masks = [row for row in tenth if not row["case"]["shared"]]

    masked = ratios(own_masks, "dense-masked", "in_blocks", "tokens", "threads").values()
    bsr = ratios(one_mask, "bsr", "in_blocks", "tokens", "threads").values()
    text = (FOLDER / "README.md").read_text()
    assert f"the dense product with masks takes {min(masked):.1f} to {max(masked):.1f} times as long" in text
    assert f"BSR product takes {min(bsr):.1f} to {max(bsr):.1f} times as long" in text


def ratios(rows: list[dict[str, Any]], peer: str, *keys: str) -> dict[tuple[Any, ...], float]:
    """How many times as long as ours a peer takes, the median over processes, of each case by its keys."""
    found: dict[tuple[Any, ...], list[float]] = {}
    for row in rows:
        of = tuple(row["case"][key] for key in keys)
        found.setdefault(of, []).append(row["times_s"][peer] / row["times_s"]["block_linear"])
    return {of: median(values) for of, values in found.items()}
