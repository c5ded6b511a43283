"""Tiles whose rows become columns in registers: a whole tile transposed, or only the sums of its rows.

Both halve the number of vectors' distinct columns in each round: of the vectors k and k + n / 2 the lanes are taken by
turns, once of the lower halves and once of the upper ones. After log2(n) rounds lane r stands for vector r.
"""

from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from capratio.kernels.cpu.prefetching import LINE_BYTES

# Rows whose dot products are summed at a time: eight registers of sums keep the multiply-adds busy.
ROWS_OF_DOTS = 8


def _by_turns(builder: Any, left: Any, right: Any, first: int) -> Any:
    """Generate the lanes first.. of two vectors by turns, as many as one has."""
    lanes = left.type.count
    chosen = [first + lane // 2 + (lane % 2) * lanes for lane in range(lanes)]
    return builder.shuffle_vector(left, right, ir.Constant(ir.VectorType(ir.IntType(32), lanes), chosen))


def _half(builder: Any, value: Any, first: int) -> Any:
    """Generate half of a vector's lanes, from the first one on."""
    lanes = value.type.count // 2
    chosen = ir.Constant(ir.VectorType(ir.IntType(32), lanes), list(range(first, first + lanes)))
    return builder.shuffle_vector(value, value, chosen)


def _line(builder: Any, array: Any, row: Any, column: Any, number: int, vector: Any) -> Any:
    """Generate the address of a line that begins at array[row + number, column]; each row is contiguous."""
    down = builder.mul(builder.add(row, ir.Constant(row.type, number)), builder.extract_value(array.strides, 0))
    start = cgutils.pointer_add(builder, array.data, down, array.data.type)  # type: ignore[no-untyped-call]
    return builder.bitcast(builder.gep(start, [column]), vector.as_pointer())


def _transpose_tile(typing_context: Any, rows: Any, r: Any, c: Any, panel: Any, to_r: Any, to_c: Any) -> Any:
    """panel[to_r + j, to_c + i] = rows[r + i, c + j] for i and j up to the elements of a line."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, target = (
            context.make_array(signature.args[place])(context, builder, arguments[place]) for place in (0, 3)
        )
        element = context.get_value_type(signature.args[0].dtype)
        size = context.get_abi_sizeof(element)
        lanes = LINE_BYTES // size
        vector = ir.VectorType(element, lanes)
        values = [
            builder.load(_line(builder, source, arguments[1], arguments[2], i, vector), align=size)
            for i in range(lanes)
        ]
        half = lanes // 2
        for _ in range(lanes.bit_length() - 1):
            values = [
                _by_turns(builder, values[k], values[k + half], first) for k in range(half) for first in (0, half)
            ]
        for j, value in enumerate(values):
            builder.store(value, _line(builder, target, arguments[4], arguments[5], j, vector), align=size)
        return context.get_dummy_value()

    place = numba.types.intp
    return numba.types.void(rows, place, place, panel, place, place), generate


def _add_row_dots(
    typing_context: Any,
    rows: Any,
    r: Any,
    x: Any,
    n: Any,
    blocks: Any,
    first: Any,
    last: Any,
    wide: Any,
    out: Any,
    to: Any,
) -> Any:
    """out[n, to + i] += sum over e in first..last, j < wide of rows[r + i, c + j] x[n, c + j], c = blocks[e] wide.

    For as many rows i as a line has elements. rows, x, out: each row contiguous. wide: whole lines. blocks: int64.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        row_array, x_array, block_array, out_array = (
            context.make_array(signature.args[place])(context, builder, arguments[place]) for place in (0, 2, 4, 8)
        )
        r, n, first, last, wide, to = (arguments[place] for place in (1, 3, 5, 6, 7, 9))
        element = context.get_value_type(signature.args[0].dtype)
        size = context.get_abi_sizeof(element)
        lanes = LINE_BYTES // size
        vector = ir.VectorType(element, lanes)
        totals = [cgutils.alloca_once(builder, vector) for _ in range(ROWS_OF_DOTS)]  # type: ignore[no-untyped-call]
        for total in totals:
            builder.store(ir.Constant(vector, None), total)
        one_line = ir.Constant(wide.type, lanes)
        with cgutils.for_range_slice(builder, first, last, ir.Constant(wide.type, 1)) as (e, _):
            begin = builder.mul(builder.load(builder.gep(block_array.data, [e])), wide)
            with cgutils.for_range_slice(builder, begin, builder.add(begin, wide), one_line) as (c, _):
                token = builder.load(_line(builder, x_array, n, c, 0, vector), align=size)
                for i, total in enumerate(totals):
                    row = builder.load(_line(builder, row_array, r, c, i, vector), align=size)
                    product = builder.fmul(row, token, flags=("contract",))
                    builder.store(builder.fadd(builder.load(total), product, flags=("contract",)), total)
        values = [builder.load(total) for total in totals]
        while len(values) > 1:
            half = len(values) // 2
            values = [
                builder.fadd(*(_by_turns(builder, values[k], values[k + half], start) for start in (0, lanes // 2)))
                for k in range(half)
            ]
        (summed,) = values
        while summed.type.count > ROWS_OF_DOTS:
            summed = builder.fadd(*(_half(builder, summed, start) for start in (0, summed.type.count // 2)))
        target = _line(builder, out_array, n, to, 0, summed.type)
        builder.store(builder.fadd(builder.load(target, align=size), summed), target, align=size)
        return context.get_dummy_value()

    place = numba.types.intp
    return numba.types.void(rows, place, x, place, blocks, place, place, place, out, place), generate


transpose_tile: Callable[..., Any] = intrinsic(_transpose_tile)
add_row_dots: Callable[..., Any] = intrinsic(_add_row_dots)
