"""Every CUDA kernel compiles for Hopper (compute capability 9.0), as Triton can without a GPU; nothing runs here."""

import importlib.util
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from capratio.kernels.backends import interprets_triton
from capratio.kernels.compile_clock import COMPILE_CLOCK

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed"),
    pytest.mark.skipif(interprets_triton(), reason="triton interprets, and compiles nothing"),
]

# No device of this number has kernels of its own.
NO_DEVICE = -7
# So wide that no block is cut short, and so deep that buffers for every level would not fit.
DEPTH, NODES, IN, OUT = 6, 127, 256, 256


class _HopperWithoutDevice:
    """What Triton asks before it compiles."""

    def get_current_device(self) -> int:
        return NO_DEVICE

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_current_target(self) -> Any:
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", 90, 32)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """The kernels that were compiled, in place of being started."""
    from triton.runtime.driver import driver
    from triton.runtime.jit import JITFunction

    kernels: list[Any] = []
    run = JITFunction.run

    def compile_only(self: Any, *arguments: Any, grid: Any, warmup: bool, **options: Any) -> None:
        kernels.append(run(self, *arguments, grid=grid, warmup=True, **options))

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(driver, "_active", _HopperWithoutDevice())
    monkeypatch.setattr(JITFunction, "run", compile_only)
    return kernels


def calls(folder: str, tokens: int, dtype: torch.dtype) -> list[tuple[str, tuple[Any, ...]]]:
    """The operations of a folder with arguments, whose numbers are not read."""
    x, grad = torch.zeros(tokens, IN, dtype=dtype), torch.zeros(tokens, OUT, dtype=dtype)
    tree = torch.zeros(NODES, OUT, IN, dtype=dtype)
    leaf, bits = torch.zeros(tokens, dtype=torch.int64), torch.ones(tokens, DEPTH, dtype=torch.bool)
    table, unit_node = tree[:, :, 0].contiguous(), torch.zeros(tokens, 16, DEPTH, dtype=torch.int64)
    choice = torch.zeros(tokens, 2, dtype=torch.int64)
    live = torch.ones(tokens, 4, dtype=torch.bool)
    found: dict[str, list[tuple[str, tuple[Any, ...]]]] = {
        "block_linear": [
            ("block_linear", (x, tree[0], table[0], live, live)),
            ("block_linear_input_gradient", (grad, tree[0], live, live)),
            ("block_linear_weight_gradient", (grad, x, live, live)),
        ],
        "expert_feedforward": [
            ("expert_feedforward", (x, tree, tree, choice, x[:, :2], "gelu", True)),
            ("expert_feedforward_gradients", (x, grad.repeat(2, 1), x, tree, tree, choice, x[:, :2], "gelu")),
        ],
        "leaf_index": [("leaf_index", (bits,))],
        "leaf_linear": [
            ("leaf_linear", (x, tree, leaf)),
            ("leaf_linear_input_gradient", (grad, tree, leaf)),
            ("leaf_linear_weight_gradient", (grad, x, leaf, NODES)),
        ],
        "path_bias": [("add_path_bias", (grad, table, leaf, DEPTH)), ("path_bias_table_gradient", (grad, leaf, DEPTH))],
        "path_linear": [
            ("path_linear", (x, tree, bits, "nodes")),
            ("path_linear_input_gradient", (grad, tree, bits, "leaves")),
            ("path_linear_weight_gradient", (grad, x, bits, NODES, "leaves")),
        ],
        "row_lookup": [
            ("row_lookup", (table, unit_node[:, 0], None)),
            ("row_lookup_share_gradient", (grad, table, unit_node[:, 0])),
            ("row_lookup_table_gradient", (grad, unit_node[:, 0], x[:, :DEPTH], NODES)),
        ],
        "sign_leaf": [("sign_leaf", (x, torch.zeros(2, DEPTH, dtype=torch.int64)))],
        "tree_descent": [
            ("neuron_path", (grad, table, DEPTH)),
            ("tree_descent", (grad, table[:63], table[:63, 0].contiguous(), DEPTH)),
        ],
        "tree_route": [("tree_route", (x[:, :DEPTH],))],
        "unit_lookup": [
            ("unit_lookup", (x[:, :16], table, unit_node)),
            ("unit_lookup_input_gradient", (grad, table, unit_node)),
            ("unit_lookup_weight_gradient", (grad, x[:, :16], unit_node, NODES)),
        ],
    }
    return found[folder]


@pytest.mark.parametrize(
    "folder, tokens, dtype",
    [
        ("block_linear", 40, torch.float32),
        ("block_linear", 40, torch.bfloat16),
        ("expert_feedforward", 2, torch.float32),
        ("expert_feedforward", 1000, torch.bfloat16),
        ("leaf_index", 40, torch.bfloat16),
        ("leaf_linear", 1, torch.bfloat16),
        ("leaf_linear", 200, torch.float32),
        ("leaf_linear", 20000, torch.bfloat16),
        ("path_bias", 40, torch.bfloat16),
        ("path_linear", 1, torch.float16),
        ("path_linear", 4096, torch.bfloat16),
        ("path_linear", 4096, torch.float32),
        ("row_lookup", 40, torch.bfloat16),
        ("sign_leaf", 40, torch.bfloat16),
        ("tree_descent", 40, torch.bfloat16),
        ("tree_route", 40, torch.float16),
        ("unit_lookup", 40, torch.bfloat16),
    ],
)
def test_the_kernels_of_an_operation_compile(folder: str, tokens: int, dtype: torch.dtype, compiled: list[Any]) -> None:
    module = import_module(f"capratio.kernels.{folder}.cuda")
    counted_s = COMPILE_CLOCK.seconds

    for name, arguments in calls(folder, tokens, dtype):
        operation: Callable[..., Any] = getattr(module, name)
        before = len(compiled)
        operation(*arguments)
        assert len(compiled) > before

    assert COMPILE_CLOCK.seconds > counted_s
    # A multiprocessor of Hopper has 227 KiB of shared memory for a program.
    assert all(kernel.asm["cubin"] and kernel.metadata.shared <= 227 * 1024 for kernel in compiled)
