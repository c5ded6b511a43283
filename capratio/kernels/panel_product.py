"""A few rows multiplied by a panel of tokens, one token a lane of a vector register: a GEMM's innermost step.

A dot product of one row and one token ends in a sum across a register's lanes, which at 512 features takes a third of
its time. Here every lane is a token of its own, each value of a row is multiplied with all of them, and nothing is
summed across lanes: 512 float32 a row from the second level of the cache ran at 105 GFLOP/s, the processor's peak, and
dot products of four rows and four tokens at 79 (one thread, AVX-512).

numba's loops are vectorised as LLVM sees fit, which keeps no such sums in registers; so these are written in LLVM's own
words.
"""

from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from capratio.kernels.compiling import compile_tile
from capratio.kernels.prefetching import LINE_BYTES, prefetch_address

# 6 x 16 sums of float32 are 12 registers of 8 lanes or 6 of 16; 8 x 8 are 8.
WIDE, WIDE_ROWS = 16, 6
NARROW, NARROW_ROWS = 8, 8


@compile_tile
def pack_panel(x: Any, tokens: Any, panel: Any) -> None:
    """panel[j, t] = x[tokens[t], j], and zero in the lanes beyond the tokens: (N, p), (n,), (p, lanes)."""
    for t in range(tokens.shape[0]):
        row = x[tokens[t]]
        for j in range(row.shape[0]):
            panel[j, t] = row[j]
    for j in range(panel.shape[0]):
        for t in range(tokens.shape[0], panel.shape[1]):
            panel[j, t] = 0


def _panel_product(count: int, lanes: int) -> Callable[..., Any]:
    """The function (rows, first, panel, sums, ahead): sums[r, t] = rows[first + r] . panel[:, t] for ``count`` rows.

    rows: (n, p), panel: (p, lanes), sums: (count, lanes), contiguous and of one dtype. ahead: 1 to ask for as many rows
    behind these on the way, a line with each column until all are asked for, or 0.
    """

    def multiply(typing_context: Any, rows: Any, first: Any, panel: Any, sums: Any, ahead: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            row_array, panel_array, sum_array = (
                context.make_array(signature.args[place])(context, builder, arguments[place]) for place in (0, 2, 3)
            )
            width = builder.extract_value(row_array.shape, 1)
            element = context.get_value_type(signature.args[0].dtype)
            vector = ir.VectorType(element, lanes)
            size = context.get_abi_sizeof(element)

            def vector_at(start: Any, place: Any) -> Any:
                return builder.bitcast(builder.gep(start, [place]), vector.as_pointer())

            def times(factor: int, value: Any) -> Any:
                return builder.mul(value, ir.Constant(width.type, factor))

            totals = [cgutils.alloca_once(builder, vector) for _ in range(count)]  # type: ignore[no-untyped-call]
            for total in totals:
                builder.store(ir.Constant(vector, None), total)
            begins = [
                builder.gep(row_array.data, [builder.add(builder.mul(arguments[1], width), times(r, width))])
                for r in range(count)
            ]

            def add_column(column: Any) -> None:
                tokens = builder.load(vector_at(panel_array.data, times(lanes, column)), align=size)
                for begin, total in zip(begins, totals, strict=True):
                    value = _in_all_lanes(builder, builder.load(builder.gep(begin, [column])), vector)
                    product = builder.fmul(value, tokens, flags=("contract",))
                    builder.store(builder.fadd(builder.load(total), product, flags=("contract",)), total)

            line = LINE_BYTES // size
            lines = builder.mul(arguments[4], builder.udiv(times(count, width), ir.Constant(width.type, line)))
            behind = builder.gep(begins[-1], [width])
            with cgutils.for_range(builder, lines) as loop:
                prefetch_address(builder, builder.gep(behind, [times(line, loop.index)]))
                add_column(loop.index)
            with cgutils.for_range_slice(builder, lines, width, ir.Constant(width.type, 1)) as (column, _):
                add_column(column)
            for r, total in enumerate(totals):
                target = vector_at(sum_array.data, ir.Constant(width.type, r * lanes))
                builder.store(builder.load(total), target, align=size)
            return context.get_dummy_value()

        return numba.types.void(rows, first, panel, sums, numba.types.intp), generate

    compiled: Callable[..., Any] = intrinsic(multiply)
    return compiled


def _in_all_lanes(builder: Any, value: Any, vector: Any) -> Any:
    undefined, word = ir.Constant(vector, ir.Undefined), ir.IntType(32)
    first = builder.insert_element(undefined, value, ir.Constant(word, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(word, vector.count), None))


multiply_wide_panel = _panel_product(WIDE_ROWS, WIDE)
multiply_narrow_panel = _panel_product(NARROW_ROWS, NARROW)
