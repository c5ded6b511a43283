"""Every CUDA kernel equals the reference in float64: on a GPU, or interpreted on the CPU where TRITON_INTERPRET=1.

test_cuda_kernels_interpreted.py runs this file in the second way.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from capratio.kernels.cuda import cuda_blocks
from capratio.kernels.cuda.cuda_blocks import CudaBlocks, OuterBlocks, ProductBlocks, RowBlocks
from capratio.kernels.leaf_linear import leaf_linear_weight_gradient
from capratio.layers.tree_gated_linear import TreeGatedLinear
from tests.kernels.cuda_cases import DTYPES, NAMES, NUMBERS, PRODUCTS, cases, close, drawn, whole
from tests.kernels.cuda_device import DEVICE, INTERPRETED, marks, need_device

need_device()
pytestmark = marks

# Tokens, depth, inputs, outputs: none, one, so few that they are not sorted, fewer than leaves, as many, many more, in
# one leaf; odd widths, and widths beyond a block.
SHAPES = (
    (0, 2, 5, 7),
    (1, 0, 3, 2),
    (1, 3, 33, 17),
    (7, 1, 5, 3),
    (12, 5, 9, 5),
    (24, 3, 6, 19),
    (60, 1, 7, 9),
    (70, 0, 3, 35),
)


def small_blocks(method: str, *, compared_up_to_tokens: int = 1000, descriptor: bool = False) -> CudaBlocks:
    """Blocks so small that the shapes have many of each; no token is left unsorted but a single one."""
    most = float("inf") if method == "vector" else 1.0
    vector = (ProductBlocks(size, most, "vector", 2, 8, 4, 1, 1) for size in (2, 4))
    matrix = (ProductBlocks(size, float("inf"), "matrix", 16, 16, 16, 1, 1, descriptor) for size in (2, 4))
    outers = tuple(OuterBlocks(size, float("inf"), 16, 16, 16, 1, 1) for size in (2, 4))
    return CudaBlocks("a test", 1, compared_up_to_tokens, 1, (*vector, *matrix), outers, RowBlocks(4, 16, 4, 64, 1))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_an_operation_equals_its_reference(name: str, shape: tuple[int, int, int, int]) -> None:
    assert close(*cases(*shape, torch.float32)[name])


# Kernels of one token and of groups, and either half type.
@pytest.mark.parametrize("tokens, dtype", [(1, torch.float16), (40, torch.bfloat16)])
@pytest.mark.parametrize("name", NUMBERS)
def test_an_operation_in_half_precision_equals_its_reference(name: str, tokens: int, dtype: torch.dtype) -> None:
    assert close(*cases(tokens, 2, 9, 7, dtype)[name])


@pytest.mark.parametrize(
    "name, method", [(name, "matrix") for name in NUMBERS] + [(name, "vector") for name in PRODUCTS]
)
def test_an_operation_equals_its_reference_in_many_small_blocks(
    name: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda_blocks, "CUDA_BLOCKS", small_blocks(method))

    assert close(*cases(10, 1, 17, 19, torch.float32)[name])


# Each operation in each shape and with each loader, and each shape with both.
SORTED = [
    (name, tokens, depth, (i + j) % 2 == 1)
    for i, name in enumerate(("leaf_linear[bias]", "leaf_linear_input_gradient", "path_linear[nodes]"))
    for j, (tokens, depth) in enumerate(((12, 4), (40, 2), (200, 1), (200, 3)))
]


@pytest.mark.parametrize("name, tokens, depth, descriptor", SORTED)
def test_a_product_equals_its_reference_whoever_sorts_and_loads(
    name: str, tokens: int, depth: int, descriptor: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        cuda_blocks, "CUDA_BLOCKS", small_blocks("matrix", compared_up_to_tokens=5, descriptor=descriptor)
    )

    # Several whole blocks both ways, and widths that are none; rows of 16 bytes, as the copy engine asks.
    for p, q in ((32, 48), (24, 40)):
        assert close(*cases(tokens, depth, p, q, torch.bfloat16)[name])


@settings(max_examples=60)
@given(
    name=st.sampled_from(NAMES),
    tokens=st.integers(0, 24),
    depth=st.integers(0, 4),
    p=st.integers(1, 9),
    q=st.integers(1, 9),
    dtype=st.sampled_from(DTYPES),
)
def test_an_operation_equals_its_reference_for_any_small_shape(
    name: str, tokens: int, depth: int, p: int, q: int, dtype: torch.dtype
) -> None:
    assert close(*cases(tokens, depth, p, q, dtype)[name])


@pytest.mark.parametrize("tokens", [3, 12])
@pytest.mark.parametrize("name", NAMES)
def test_an_operation_takes_tensors_that_are_not_contiguous(name: str, tokens: int) -> None:
    operation, arguments = cases(tokens, 2, 4, 6, torch.float32)[name]
    apart = tuple(strided(a) if isinstance(a, torch.Tensor) else a for a in arguments)

    assert close(operation, apart)


def strided(tensor: torch.Tensor) -> torch.Tensor:
    """The same numbers, every other one of a larger tensor, with the first dimension innermost."""
    wide = tensor.new_empty(*reversed(tensor.shape), 2)
    view = wide[..., 0].permute(*reversed(range(tensor.dim())))
    view.copy_(tensor)
    assert not view.is_contiguous()
    return view


@pytest.mark.skipif(INTERPRETED, reason="triton interprets one program after another, in one order")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", NAMES)
def test_a_repetition_is_equal_to_the_bit(name: str, dtype: torch.dtype) -> None:
    operation, arguments = cases(30, 2, 4, 7, dtype)[name]

    first, second = (operation(*arguments, "cuda") for _ in range(2))

    assert torch.equal(first, second)


def test_gradients_of_half_precision_do_not_lose_terms_in_long_sums() -> None:
    ones = torch.ones(600, 1, dtype=torch.bfloat16, device=DEVICE)

    gradient = leaf_linear_weight_gradient(ones, ones, whole(1, 600), 1, "cuda")

    # A running bfloat16 sum of ones stops at 256.
    assert 600 == gradient.item()


def test_leaves_and_prefixes_are_equal_to_the_bit() -> None:
    operation, (x, tree, bits, _) = cases(24, 3, 9, 7, torch.float32)["path_linear[leaves]"]

    assert torch.equal(operation(x, tree, bits, "leaves", "cuda"), operation(x, tree, bits, "prefixes", "cuda"))


def test_a_layer_runs_its_operations_by_the_name_of_their_backend() -> None:
    layer = TreeGatedLinear(9, 7, 3, backend="cuda", device=DEVICE)
    x = drawn(5, 9, dtype=torch.float32, seed=8).requires_grad_()
    plain = TreeGatedLinear(9, 7, 3, backend="reference", device=DEVICE)
    plain.load_state_dict(layer.state_dict())

    grads = [torch.autograd.grad(module(x).square().sum(), (x, module.weight)) for module in (layer, plain)]

    assert "cuda" == layer.ran_backend
    for ours, expected in zip(*grads, strict=True):
        assert torch.allclose(expected, ours, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(INTERPRETED, reason="triton interprets, and starts nothing on a device")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_an_operation_can_be_captured_in_a_cuda_graph(name: str, dtype: torch.dtype) -> None:
    operation, arguments = cases(40, 3, 33, 17, dtype)[name]
    # Compiled before the capture, and on another stream, as torch asks.
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.cuda.stream(stream):
        expected = operation(*arguments, "cuda")
    torch.cuda.synchronize()

    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = operation(*arguments, "cuda")
    captured.fill_(7)
    graph.replay()
    torch.cuda.synchronize()

    assert torch.equal(expected, captured)
