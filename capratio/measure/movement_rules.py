"""What moving data costs: no FLOP, but bytes; copies, gathers by an index with their rows, and new tensors."""

from math import prod
from typing import Any

import torch

from capratio.cost.flop import Flop
from capratio.cost.operation import OperationCost
from capratio.measure.observed_call import ObservedCall, Rule, held_bytes, tensors

# Read all that they are given and write all that they return.
COPIED = (
    "clone _to_copy cat stack flip roll repeat tril triu constant_pad_nd slice_backward select_backward "
    "slice_scatter select_scatter diagonal_scatter diagonal_backward diag_embed masked_select masked_scatter "
    "_reshape_copy expand_copy permute_copy view_copy _pack_padded_sequence repeat_interleave"
)

# Write what they return and read nothing.
MADE = (
    "zeros ones full arange linspace eye scalar_tensor zeros_like ones_like full_like rand_like randn_like new_zeros "
    "new_ones new_full rand randn randint randint_like randperm bernoulli normal uniform random exponential fill zero "
    "tril_indices triu_indices"
)

# Touch no element: they allocate, show the same memory in another shape, or read one number.
FREE = (
    "empty empty_like empty_strided new_empty new_empty_strided empty_permuted _unsafe_view _reshape_alias lift "
    "lift_fresh detach set_ resize_ _local_scalar_dense item is_same_size sym_size sym_stride sym_numel "
    "_assert_async _assert_scalar _version _sparse_coo_tensor_with_dims_and_tensors"
)


def _copied(call: ObservedCall) -> OperationCost:
    return call.cost()


def _made(call: ObservedCall) -> OperationCost:
    return OperationCost(written_bytes=call.written_bytes)


def _free(call: ObservedCall) -> OperationCost:
    return OperationCost()


def _copy(call: ObservedCall) -> OperationCost:
    return OperationCost(read_bytes=held_bytes(call["src"]), written_bytes=call.written_bytes)


def _gather(call: ObservedCall) -> OperationCost:
    """Reads the chosen elements and the index, writes the elements; a row is what one index fetches."""
    index = call.arguments.get("index", call.arguments.get("indices"))
    return OperationCost(
        read_bytes=call.written_bytes + sum(map(held_bytes, tensors(index))),
        written_bytes=call.written_bytes,
        rows_gathered=sum(tensor.numel() for tensor in tensors(index)),
    )


def _index(call: ObservedCall) -> OperationCost:
    row = _row_elements(call["self"], call["indices"])
    rows = call.result.numel() // row if row else 0
    index_bytes = sum(map(held_bytes, tensors(call["indices"])))
    return OperationCost(
        read_bytes=call.written_bytes + index_bytes, written_bytes=call.written_bytes, rows_gathered=rows
    )


def _index_put(call: ObservedCall) -> OperationCost:
    """Writes values at an index; accumulating reads what is there and adds, one add an element."""
    into, indices, values = call["self"], call["indices"], call["values"]
    index_bytes = sum(map(held_bytes, tensors(indices)))
    rows = _index_rows(indices)
    elements = rows * _row_elements(into, indices)
    moved = elements * into.element_size()
    # Out of place, the whole tensor is copied first.
    copied = 0 if call.result is into else held_bytes(into)
    if not call["accumulate"]:
        return OperationCost(
            read_bytes=held_bytes(values) + index_bytes + copied, written_bytes=moved + copied, rows_gathered=rows
        )
    return OperationCost(
        Flop(overhead=elements) if call.floating else Flop(),
        0 if call.floating else elements,
        held_bytes(values) + index_bytes + moved + copied,
        moved + copied,
        rows,
    )


def _index_rows(indices: Any) -> int:
    given = [index for index in indices if index is not None]
    masks = [index for index in given if index.dtype in (torch.bool, torch.uint8)]
    if masks:
        return int(masks[0].count_nonzero())
    shown: list[torch.Tensor] = torch.broadcast_tensors(*given)  # type: ignore[no-untyped-call]
    return shown[0].numel()


def _row_elements(tensor: torch.Tensor, indices: Any) -> int:
    """Elements that one index fetches: the sizes of the dimensions that are not indexed; a mask takes several."""
    kept, position = 1, 0
    for index in indices:
        if index is None:
            kept *= tensor.shape[position]
        mask = index is not None and index.dtype in (torch.bool, torch.uint8)
        position += index.dim() if mask else 1
    return int(kept * prod(tensor.shape[position:]))


def _scattered(call: ObservedCall) -> OperationCost:
    """Writes values at an index along a dimension, without adding."""
    index = call["index"]
    moved = index.numel() * call["self"].element_size()
    copied = 0 if call.result is call["self"] else held_bytes(call["self"])
    value = call.arguments.get("src")
    given = moved if isinstance(value, torch.Tensor) else 0
    return OperationCost(
        read_bytes=given + held_bytes(index) + copied, written_bytes=moved + copied, rows_gathered=index.numel()
    )


def _placed_rows(call: ObservedCall) -> OperationCost:
    """Writes rows at an index along a dimension, without adding."""
    into, index, source = call["self"], call["index"], call.arguments.get("source")
    row = into.numel() // into.shape[call["dim"]] if into.dim() and into.shape[call["dim"]] else 0
    moved = index.numel() * row * into.element_size()
    copied = 0 if call.result is into else held_bytes(into)
    given = held_bytes(source) if isinstance(source, torch.Tensor) else 0
    return OperationCost(
        read_bytes=given + held_bytes(index) + copied, written_bytes=moved + copied, rows_gathered=index.numel()
    )


MOVEMENT_RULES: dict[str, Rule] = {
    **{f"aten::{name}": _copied for name in COPIED.split()},
    **{f"aten::{name}": _made for name in MADE.split()},
    **{f"aten::{name}": _free for name in FREE.split()},
    "aten::copy_": _copy,
    "aten::copy": _copy,
    "aten::index_select": _gather,
    "aten::gather": _gather,
    "aten::take": _gather,
    "aten::embedding": _gather,
    "aten::index": _index,
    "aten::_unsafe_index": _index,
    "aten::index_put": _index_put,
    "aten::_unsafe_index_put": _index_put,
    "aten::_index_put_impl_": _index_put,
    "aten::scatter": _scattered,
    "aten::index_copy": _placed_rows,
    "aten::index_fill": _placed_rows,
}
