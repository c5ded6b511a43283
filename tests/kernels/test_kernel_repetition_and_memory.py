"""A repetition is equal to the bit, and no operation makes a temporary that grows with tokens times a matrix."""

from typing import Any

import pytest
import torch

from capratio.cost.spec import ORDERS
from capratio.kernels.leaf_linear import reference as leaf_reference
from capratio.kernels.path_bias import reference as bias_reference
from capratio.kernels.path_linear import reference as path_reference
from capratio.kernels.unit_lookup import reference as unit_reference

TOKENS, IN, OUT, DEPTH = 200, 17, 13, 4
NODES = 2 ** (DEPTH + 1) - 1


def cases(dtype: torch.dtype) -> dict[str, tuple[Any, tuple[Any, ...]]]:
    generator = torch.Generator().manual_seed(5)
    x, grad, weight = (
        torch.randn(*shape, generator=generator).to(dtype) for shape in ((TOKENS, IN), (TOKENS, OUT), (NODES, OUT, IN))
    )
    bits = torch.randint(0, 2, (TOKENS, DEPTH), generator=generator).bool()
    node = torch.randint(0, NODES, (TOKENS, IN, 3), generator=generator)
    table, row, leaf = weight[..., 0].contiguous(), node[:, 0, 0], node[:, 0, 1] // 2
    found: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "leaf_linear": (leaf_reference.leaf_linear, (x, weight, row)),
        "leaf_linear_input_gradient": (leaf_reference.leaf_linear_input_gradient, (grad, weight, row)),
        "leaf_linear_weight_gradient": (leaf_reference.leaf_linear_weight_gradient, (grad, x, row, NODES)),
        "unit_lookup": (unit_reference.unit_lookup, (x, table, node)),
        "unit_lookup_input_gradient": (unit_reference.unit_lookup_input_gradient, (grad, table, node)),
        "unit_lookup_weight_gradient": (unit_reference.unit_lookup_weight_gradient, (grad, x, node, NODES)),
        "path_bias": (bias_reference.path_bias, (grad, table, leaf, DEPTH)),
        "path_bias_table_gradient": (bias_reference.path_bias_table_gradient, (grad, leaf, DEPTH)),
    }
    for order in ORDERS:
        found[f"path_linear[{order}]"] = (path_reference.path_linear, (x, weight, bits, order))
        found[f"path_linear_input_gradient[{order}]"] = (
            path_reference.path_linear_input_gradient,
            (grad, weight, bits, order),
        )
        found[f"path_linear_weight_gradient[{order}]"] = (
            path_reference.path_linear_weight_gradient,
            (grad, x, bits, NODES, order),
        )
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", cases(torch.float32))
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_a_repetition_is_equal_to_the_bit(name: str, dtype: torch.dtype, threads: int, backend: str) -> None:
    _, arguments = cases(dtype)[name]
    overload = getattr(torch.ops.capratio, name.split("[")[0]).default
    torch.set_num_threads(threads)

    try:
        first, *others = (overload(*arguments, backend) for _ in range(4))
    finally:
        torch.set_num_threads(1)

    assert all(torch.equal(first, other) for other in others)


@pytest.mark.parametrize("name", [name for name in cases(torch.float32) if not name.startswith("unit")])
def test_no_temporary_holds_a_matrix_for_each_token(name: str, aten_count: Any) -> None:
    operation, arguments = cases(torch.float32)[name]

    with torch.no_grad(), aten_count() as count:
        operation(*arguments)

    # Token rows, and tables that are there already; a matrix a token would be TOKENS * IN * OUT elements.
    assert count.largest <= max(TOKENS * IN, NODES * IN * OUT) < TOKENS * IN * OUT


@pytest.mark.parametrize("order", ["leaves", "prefixes"])
def test_path_matrices_are_formed_in_at_most_a_matrix_a_level(order: str, aten_count: Any) -> None:
    operation, arguments = cases(torch.float32)[f"path_linear[{order}]"]

    with torch.no_grad(), aten_count() as count:
        operation(*arguments)

    assert count.matrices == (1 if order == "leaves" else DEPTH)


@pytest.mark.parametrize("name", [name for name in cases(torch.float32) if name.startswith("unit")])
def test_formed_vectors_stay_under_their_cap(name: str, aten_count: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    operation, arguments = cases(torch.float32)[name]
    cap = 5 * IN * OUT * 4
    monkeypatch.setattr(unit_reference, "FORMED_BYTES_CAP", cap)

    with torch.no_grad(), aten_count() as count:
        operation(*arguments)

    # The indices that are given are the largest tensor beside the formed vectors.
    assert count.largest <= max(cap // 4, arguments[2].numel(), TOKENS * IN) < TOKENS * IN * OUT
