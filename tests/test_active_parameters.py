"""The closed forms give the published size of Mixtral 8x7B, to its digits."""

from dataclasses import replace

import pytest

from benchmarks.active_parameters import MIXTRAL, PUBLISHED_ACTIVE, PUBLISHED_TOTAL, billions, main, parts


def test_total_and_active_parameters_are_the_published_ones(capsys: pytest.CaptureFixture[str]) -> None:
    found = parts(MIXTRAL)

    # The number of elements of the published weights.
    assert 46_702_792_704 == sum(part.total for part in found)
    assert "46.7" == PUBLISHED_TOTAL == billions(sum(part.total for part in found))
    assert "12.9" == PUBLISHED_ACTIVE == billions(sum(part.active for part in found))
    main()
    assert "the published digits are met." in capsys.readouterr().out


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


def test_one_expert_a_token_is_not_the_published_model(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.active_parameters.MIXTRAL", replace(MIXTRAL, top_k=1))

    main()

    assert "the published digits are not met." in capsys.readouterr().out
