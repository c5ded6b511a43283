"""The kernels of processors without AVX-512, whose registers are half as wide and half as many, are right too."""

import os
import subprocess
import sys
from pathlib import Path

import capratio

# The processor's features are asked for before anything is compiled, by numba and by our kernels alike.
SCRIPT = """
from llvmlite import binding
features = binding.get_host_cpu_features()
for name in list(features):
    if name.startswith("avx512"):
        features[name] = False
binding.get_host_cpu_features = lambda: features

import torch
from capratio.kernels.cpu import dot_products, panel_product, weighted_rows
from capratio.kernels.backends import implementation

generator = torch.Generator().manual_seed(5)
def drawn(*shape):
    return torch.randn(*shape, generator=generator)

print(dot_products.MOST_TOKENS, panel_product.WIDE, panel_product.NARROW)
# Groups of 1, 3, 9, 20, 40 and 130 tokens.
node = torch.repeat_interleave(torch.arange(6), torch.tensor([1, 3, 9, 20, 40, 130]))
x, grad, weight = drawn(203, 37), drawn(203, 50), drawn(6, 50, 37)
unit, table = torch.randint(0, 9, (203, 37, 2), generator=generator), drawn(9, 300)
for folder, name, given in (
    ("leaf_linear", "leaf_linear", (x, weight, node)),
    ("leaf_linear", "leaf_linear_input_gradient", (grad, weight, node)),
    ("leaf_linear", "leaf_linear_weight_gradient", (grad, x, node, 6)),
    ("unit_lookup", "unit_lookup", (x, table, unit)),
):
    wide = tuple(one.double() if isinstance(one, torch.Tensor) and one.is_floating_point() else one for one in given)
    out = implementation(folder, name, "cpu", "cpu")(*given)
    expected = implementation(folder, name, "reference", "cpu")(*wide)
    print(name, torch.allclose(expected, out.double(), rtol=0, atol=1e-3))
"""


def test_kernels_of_narrow_registers_equal_the_reference(tmp_path: Path) -> None:
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": str(Path(capratio.__file__).parents[1]),
    }

    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=230, check=True
    )

    assert [
        "4 16 8",
        "leaf_linear True",
        "leaf_linear_input_gradient True",
        "leaf_linear_weight_gradient True",
        "unit_lookup True",
    ] == run.stdout.splitlines()
