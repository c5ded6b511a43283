"""Costs are computed without anything heavy."""

import subprocess
import sys


def test_cost_imports_neither_torch_nor_numpy_nor_pandas() -> None:
    program = (
        "import sys, capratio.cost, capratio.cost.op_formulas; "
        "print([m for m in ('torch', 'numpy', 'pandas') if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()
