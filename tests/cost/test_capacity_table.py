"""The table of capacity ratios over depth: published figures, and growth as 2^k / k."""

import subprocess
import sys
from fractions import Fraction

import pytest

from capratio.cost import capacity_table


def test_table_has_the_published_figures() -> None:
    rows = capacity_table(10**9, 512, [4, 8, 12, 16])

    assert ["10.3", "102.2", "1170.1", "14563.4"] == [f"{float(row.formed):.1f}" for row in rows]
    assert ["6.2", "56.8", "630.1", "7710.1"] == [f"{float(row.applied):.1f}" for row in rows]
    assert [16, 256, 4096, 65536] == [row.collapsed for row in rows]
    assert [row.formed for row in rows] == [row.unit for row in rows]


def test_every_ratio_is_one_at_depth_zero_but_the_bias_root() -> None:
    (row,) = capacity_table(3, 2, [0])

    assert 1 == row.formed == row.applied == row.unit == row.collapsed
    # 6 + 2 weights for 12 + 2 FLOP against 6 for 12.
    assert Fraction(8 * 12, 14 * 6) == row.tree_bias == row.collapsed_tree_bias
    assert row.promise is None


def test_formed_ratio_over_the_promise_tends_to_four() -> None:
    # 2 (2^(k+1) - 1) / (k + 2) against 2^k / k: a factor 4 (1 - 2^-(k+1)) k / (k + 2).
    for row in capacity_table(512, 512, range(1, 63)):
        assert row.promise is not None
        expected = 4 * (1 - Fraction(1, 2 ** (row.depth + 1))) * Fraction(row.depth, row.depth + 2)

        assert expected == row.formed / row.promise


@pytest.mark.parametrize("depth", [1, 8, 16])
def test_formed_applied_and_collapsed_are_ordered(depth: int) -> None:
    (row,) = capacity_table(512, 512, [depth])

    assert row.tree_bias < row.applied < row.formed < 2 * row.collapsed


def test_cost_imports_neither_torch_nor_numpy_nor_pandas() -> None:
    program = (
        "import sys, capratio.cost, capratio.cost.op_formulas; "
        "print([m for m in ('torch', 'numpy', 'pandas') if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()
