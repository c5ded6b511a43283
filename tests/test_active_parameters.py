"""The closed forms give the published size of Mixtral 8x7B, to its digits."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from benchmarks.active_parameters import MIXTRAL, main, parts, summary


def test_total_and_active_parameters_are_the_published_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--out", str(tmp_path / "active.json")])

    rows = json.loads((tmp_path / "active.json").read_text())["rows"]
    # The number of elements of the published weights.
    assert 46_702_792_704 == sum(row["total"] for row in rows)
    printed = capsys.readouterr().out
    assert "| all parameters | 46.7 | 46.7 |" in printed
    assert "| parameters that a token uses | 12.9 | 12.9 |" in printed
    assert "46,702,792,704" in (tmp_path / "active.md").read_text()


def test_parts_by_hand() -> None:
    tiny = replace(MIXTRAL, layers=3, width=4, hidden=5, experts=6, heads=2, kv_heads=1, head_width=2, vocabulary=7)

    found = {part.name: (part.total, part.active) for part in parts(tiny)}

    # Experts of three matrices of 4 x 5, two of six used; queries and output 4 x 4, keys and values 4 x 2.
    assert {
        "experts": (3 * 6 * 60, 3 * 2 * 60),
        "routers": (3 * 24, 3 * 24),
        "attention": (3 * (32 + 16), 3 * (32 + 16)),
        "norms": (7 * 4, 7 * 4),
        "embedding and head": (56, 56),
    } == found


def test_one_expert_a_token_is_not_the_published_model() -> None:
    content = {"rows": [asdict(part) for part in parts(replace(MIXTRAL, top_k=1))]}

    # One of eight experts of 5.64 billion fewer.
    assert "| parameters that a token uses | 12.9 | 7.2 |" in summary(content)
