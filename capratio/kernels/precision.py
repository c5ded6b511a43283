"""Which dtype products and sums are computed in, so that half precision is right everywhere and slow nowhere."""

import torch

_HALF = (torch.bfloat16, torch.float16)


def sum_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype of a running sum: float32 for half precision, so that rounding does not grow with the terms."""
    return torch.float32 if dtype in _HALF else dtype


def product_dtype(operand: torch.Tensor) -> torch.dtype:
    """The dtype of a matrix product: a CPU may take 100 times longer for half matrices than for float32."""
    return sum_dtype(operand.dtype) if operand.device.type == "cpu" else operand.dtype


def multiply_into(out: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> None:
    """Write left @ right into ``out``, rounded to its dtype."""
    if out.dtype == left.dtype:
        torch.mm(left, right, out=out)
    else:
        out.copy_(torch.mm(left, right))


def add_rows(table: torch.Tensor, row: torch.Tensor, values: torch.Tensor) -> None:
    """table[row[i]] += values[i] in a fixed order, so that a repetition is bit-equal; rows may repeat."""
    if table.device.type == "cpu":
        table.index_add_(0, row, values)
    else:
        # index_add_ adds atomically on a GPU, in any order; accumulating index_put_ sorts the rows first.
        table.index_put_((row,), values, accumulate=True)
