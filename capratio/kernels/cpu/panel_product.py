"""A few rows multiplied by a panel of tokens, one token a lane of a vector register: a GEMM's innermost step.

A dot product of one row and one token ends in a sum across a register's lanes, which at 512 features takes a third of
its time. Here every lane is a token of its own, each value of a row is multiplied with all of them, and nothing is
summed across lanes: 512 float32 a row from the second level of the cache ran at 286 GFLOP/s, the processor's peak, and
torch.mm at 120 (one thread of an AMD EPYC of the fifth generation; twelve rows and 32 tokens at a time).

numba's loops are vectorised as LLVM sees fit, which keeps no such sums in registers; so these are written in LLVM's own
words.
"""

from collections.abc import Callable
from typing import Any

import numba
from llvmlite import binding, ir
from numba.core import cgutils
from numba.extending import intrinsic

from capratio.kernels.cpu.compiling import compile_tile
from capratio.kernels.cpu.prefetching import LINE_BYTES, prefetch_address

# Lanes and rows. A sum waits four cycles for the one before, and two begin in a cycle, so that eight registers of sums
# or more keep the multiply-adds busy: with AVX-512, which has 32 registers of 16 float32, they are 24 and 12; without
# it, with 16 registers of 8, they are 12 and 8.
if binding.get_host_cpu_features().get("avx512f", False):
    WIDE, WIDE_ROWS = 32, 12
    NARROW, NARROW_ROWS = 16, 12
else:
    WIDE, WIDE_ROWS = 16, 6
    NARROW, NARROW_ROWS = 8, 8
PACKED_FEATURES = 128
FLOAT_BYTES = 4


@compile_tile
def pack_panel(x: Any, tokens: Any, panel: Any) -> None:
    """panel[j, t] = x[tokens[t], j], and zero in the lanes beyond the tokens: (N, p), (n,), (p, lanes)."""
    # All lanes of some features before the next, while their lines are in the first level of the cache.
    for start in range(0, panel.shape[0], PACKED_FEATURES):
        end = min(start + PACKED_FEATURES, panel.shape[0])
        for t in range(tokens.shape[0]):
            row, lane = x[tokens[t], start:end], panel[start:end, t]
            for j in range(row.shape[0]):
                lane[j] = row[j]
    for j in range(panel.shape[0]):
        for t in range(tokens.shape[0], panel.shape[1]):
            panel[j, t] = 0


def _panel_product(count: int, lanes: int) -> Callable[..., Any]:
    """The function (rows, first, panel, sums, ahead): sums[r, t] = rows[first + r] . panel[:, t] for ``count`` rows.

    rows: (n, p), panel: (p, lanes), contiguous. sums: (count, lanes), each row contiguous. All of one dtype. ahead: 1
    to ask for the rows behind these on the way, as many, by a line with each column, or 0.
    """

    def multiply(typing_context: Any, rows: Any, first: Any, panel: Any, sums: Any, ahead: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            row_array, panel_array, sum_array = (
                context.make_array(signature.args[place])(context, builder, arguments[place]) for place in (0, 2, 3)
            )
            width = builder.extract_value(row_array.shape, 1)
            row_bytes = builder.extract_value(sum_array.strides, 0)
            element = context.get_value_type(signature.args[0].dtype)
            size = context.get_abi_sizeof(element)
            # Of elements twice as wide, half of the lanes at a time: all of their sums would outgrow the registers.
            parts = size // FLOAT_BYTES
            vector = ir.VectorType(element, lanes // parts)

            def vector_at(start: Any, place: Any) -> Any:
                return builder.bitcast(builder.gep(start, [place]), vector.as_pointer())

            def times(factor: int, value: Any) -> Any:
                return builder.mul(value, ir.Constant(width.type, factor))

            begins = [
                builder.gep(row_array.data, [builder.add(builder.mul(arguments[1], width), times(r, width))])
                for r in range(count)
            ]
            totals = [cgutils.alloca_once(builder, vector) for _ in range(count)]  # type: ignore[no-untyped-call]

            def add_column(column: Any, first_lane: int) -> None:
                place = builder.add(times(lanes, column), ir.Constant(width.type, first_lane))
                tokens = builder.load(vector_at(panel_array.data, place), align=size)
                for begin, total in zip(begins, totals, strict=True):
                    value = in_all_lanes(builder, builder.load(builder.gep(begin, [column])), vector)
                    product = builder.fmul(value, tokens, flags=("contract",))
                    builder.store(builder.fadd(builder.load(total), product, flags=("contract",)), total)

            line = LINE_BYTES // size
            # No more lines than there are columns.
            asked = builder.mul(
                arguments[4], builder.udiv(times(min(count, line), width), ir.Constant(width.type, line))
            )
            behind = builder.gep(begins[-1], [width])
            for part in range(parts):
                first_lane = part * vector.count
                lines = asked if part == 0 else ir.Constant(width.type, 0)
                for total in totals:
                    builder.store(ir.Constant(vector, None), total)
                with cgutils.for_range(builder, lines) as loop:
                    prefetch_address(builder, builder.gep(behind, [times(line, loop.index)]))
                    add_column(loop.index, first_lane)
                with cgutils.for_range_slice(builder, lines, width, ir.Constant(width.type, 1)) as (column, _):
                    add_column(column, first_lane)
                for r, total in enumerate(totals):
                    row = cgutils.pointer_add(builder, sum_array.data, times(r, row_bytes), sum_array.data.type)  # type: ignore[no-untyped-call]
                    target = vector_at(row, ir.Constant(width.type, first_lane))
                    builder.store(builder.load(total), target, align=size)
            return context.get_dummy_value()

        return numba.types.void(rows, first, panel, sums, numba.types.intp), generate

    compiled: Callable[..., Any] = intrinsic(multiply)
    return compiled


def in_all_lanes(builder: Any, value: Any, vector: Any) -> Any:
    """Generate a vector that holds a value in every lane."""
    undefined, word = ir.Constant(vector, ir.Undefined), ir.IntType(32)
    first = builder.insert_element(undefined, value, ir.Constant(word, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(word, vector.count), None))


multiply_wide_panel = _panel_product(WIDE_ROWS, WIDE)
multiply_narrow_panel = _panel_product(NARROW_ROWS, NARROW)
