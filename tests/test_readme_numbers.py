"""The README's numbers of systems are those of the published reports, and its words about them are right."""

from pathlib import Path
from textwrap import dedent

import pytest

from benchmarks.readme_table import (
    BATCH,
    COST,
    DECODE,
    DENSE,
    ELSEWHERE,
    EXPERTS,
    EXPONENT,
    POLICY,
    SYSTEMS,
    Rows,
    billions,
    call_rows,
    conditions,
    filled,
    first,
    goal,
    grown,
    main,
    price_rows,
    span,
    tables,
)

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
REPORT = (ROOT / SYSTEMS).read_text(encoding="utf-8")


def drift(page: str, made: str) -> str:
    """A sentence for the first line in which a page is not what the reports give; empty where there is none."""
    for said, right in zip(page.splitlines(), made.splitlines(), strict=False):
        if said != right:
            mend = "python -m benchmarks.readme_table README.md"
            return f"README.md says\n{said}\nwhere the reports give\n{right}\nand {mend} mends it."
    return "" if page == made else "README.md and what the reports give end at different lines."


def test_the_numbers_of_systems_are_those_of_the_reports() -> None:
    said = drift(README, filled(README, ROOT))

    assert not said, said


def test_another_number_is_named_and_made_again(tmp_path: Path) -> None:
    for report in (SYSTEMS, ELSEWHERE, EXPERTS):
        (tmp_path / report).parent.mkdir(parents=True)
        (tmp_path / report).write_bytes((ROOT / report).read_bytes())
    exponent = price_rows(REPORT, BATCH)[DENSE][EXPONENT]
    page = tmp_path / "README.md"
    page.write_text(README.replace(exponent, "0.5 [0.4, 0.6]"))

    said = drift(page.read_text(), README)
    main([str(page)])

    assert "0.5 [0.4, 0.6]" in said
    assert f"where the reports give\n| `dense` | 0.5 | 1 | 1 | {exponent} |" in said
    assert README == page.read_text()


def test_a_page_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="the page has no lines <!-- systems_table -->"):
        filled("Nothing.", ROOT)


def test_a_page_without_reports_is_an_error_of_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "README.md"
    page.write_text(README)

    with pytest.raises(SystemExit) as stopped:
        main([str(page)])

    assert 2 == stopped.value.code
    assert "No such file" in capsys.readouterr().err
    assert README == page.read_text()


# Two calls, of which the second is read; an escaped bar and spaces that do not break.
PAGE = dedent("""\
    66 cases of a layer were measured here with 2 threads in float32 on text input, 3 to 5 processes a case.

    ### decode, cold

    | system | parameters | latency over parameters: exponent |
    | --- | --- | --- |
    | a | 1 k | 0.1 |

    ### forward, 64 tokens

    | system | parameters | latency over parameters: exponent |
    | --- | --- | --- |
    | dense | 1\u00a0G | 1.0 |
    | a | 1.5\u00a0G | 0.2 \\[0.1, 0.3\\] |
    | b | 20\u202fM | -0.3 \\[-0.4, -0.1\\] |

    ## Side by side

    | goal | seen, with 95 % interval | answer |
    | --- | --- | --- |
    | the one | 0.5 \\[0.4, 0.6\\] | ✓ met |
    | the other | 2 | ? undecided |
    """)


def test_a_table_is_read_below_its_own_heading() -> None:
    rows = price_rows(PAGE, BATCH)

    assert ["dense", "a", "b"] == list(rows)
    assert {"system": "a", "parameters": "1.5 G", EXPONENT: "0.2 [0.1, 0.3]"} == rows["a"]
    assert ["a"] == list(grown(rows))
    assert "-0.3 to 1.0" == span(row[EXPONENT] for row in rows.values())
    assert "1.0" == span(["1.0", "1.0 [0.9, 1.1]"])
    assert ("66", "2", "3 to 5") == conditions(PAGE)
    assert "0.5 [0.4, 0.6]" == goal(PAGE, "one")
    assert "2 (undecided)" == goal(PAGE, "other")


def test_numbers_are_ordered_by_what_they_are_and_told_in_one_unit() -> None:
    assert "950 k to 1.05 M" == span(["1.05 M", "950 k"])
    assert "1.07 to 1.08 billion" == billions(["1.08 G", "1.07 G"])
    with pytest.raises(ValueError, match="gives '980 M' where a number with the prefix G was expected"):
        billions(["980 M", "1.07 G"])


def test_a_table_of_another_section_is_not_read() -> None:
    with pytest.raises(ValueError, match="no table with the column 'goal'"):
        call_rows(PAGE, BATCH, "goal")


def test_what_a_report_lacks_is_said() -> None:
    with pytest.raises(ValueError, match="no table with the column 'FLOP a token' below the heading 'decode, cold'"):
        call_rows(PAGE, DECODE, "FLOP a token")
    with pytest.raises(ValueError, match="2 goals of the report have the words 'the'; one was expected"):
        goal(PAGE, "the")
    with pytest.raises(ValueError, match="does not begin with its cases"):
        conditions("Nothing.")


def test_the_page_is_right_that_one_token_hardly_feels_parameters_and_a_block_policy_grows_most() -> None:
    decode, batch = grown(price_rows(REPORT, DECODE)), grown(price_rows(REPORT, BATCH))

    # A dense layer's exponent is 1.
    assert max(first(row[EXPONENT]) for row in decode.values()) < 0.25
    assert max(first(row[EXPONENT]) for row in batch.values()) < first(price_rows(REPORT, BATCH)[DENSE][EXPONENT])
    assert POLICY == most(decode, COST) == most(batch, COST)
    assert POLICY == most(decode, EXPONENT) == most(batch, EXPONENT)


def most(rows: Rows, heading: str) -> str:
    """The system of the greatest number."""
    return max(rows, key=lambda name: first(rows[name][heading]))


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])

    assert 0 == stopped.value.code
    assert "example: python -m benchmarks.readme_table README.md" in capsys.readouterr().out


def test_the_page_is_right_that_forward_look_ups_take_as_long_as_an_embedding_bag() -> None:
    rows = {
        row["point"]: row["ours / fastest peer"]
        for names, found in tables((ROOT / EXPERTS).read_text(encoding="utf-8"))
        if "ours / fastest peer" in names
        for row in found
        if row["point"].startswith(("memory-table", "product-key")) and "forward" in row["point"]
    }

    assert 2 == len(rows)
    for seen in rows.values():
        low, high = seen.partition("[")[2].rstrip("]").split(", ")
        assert float(low) <= 1 <= float(high)
