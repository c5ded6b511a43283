"""Rows from anywhere in a table, each times a factor, summed in registers; compiled into the CPU kernels.

A sum that lies in memory is loaded and stored for every four rows that are added to it. Here a stripe of columns is
summed over all rows before it is stored, so that each row is loaded once and nothing else is; rows are asked for ahead.
"""

from typing import Any

import numba
import numpy as np
from llvmlite import binding, ir
from numba.core import cgutils
from numba.extending import intrinsic, overload

from capratio.kernels.cpu.panel_product import in_all_lanes
from capratio.kernels.cpu.prefetching import LINE_BYTES, prefetch_address

# How many rows ahead of its use a row is asked for; of 1 KiB each, 8 and 16 took the same time.
AHEAD = 8
# Lines of a stripe, whose sums fit the registers: a line fills one with AVX-512, and two without it.
WIDEST = 16 if binding.get_host_cpu_features().get("avx512f", False) else 6


def add_stripes(total: Any, table: Any, rows: Any, factors: Any, each: Any) -> Any:
    """total[c] += sum over e of factors[e // each] table[rows[e], c] for the columns c < done, which is returned.

    total: (q,), table: (R, q), contiguous. rows: (n,) int64. factors: (n / each,). done: q, or none of rows that are
    shorter than a line of a cache or of a half type, which is to be widened.
    """
    raise NotImplementedError("add_stripes is compiled by numba, and runs nowhere else.")


@overload(add_stripes)
def _add_stripes(total: Any, table: Any, rows: Any, factors: Any, each: Any) -> Any:
    def nothing(total: Any, table: Any, rows: Any, factors: Any, each: Any) -> int:
        return 0

    def stripes(total: Any, table: Any, rows: Any, factors: Any, each: Any) -> int:
        line = LINE_BYTES // total.itemsize
        done = 0
        while done + WIDEST * line <= total.shape[0]:
            _add_widest(total, table, rows, factors, each, done, done)
            done += WIDEST * line
        while done + 4 * line <= total.shape[0]:
            _add_four_lines(total, table, rows, factors, each, done, done)
            done += 4 * line
        while done + line <= total.shape[0]:
            _add_line(total, table, rows, factors, each, done, done)
            done += line
        if 0 < done < total.shape[0]:
            # The last line again, of which the columns that are not done are taken.
            last = np.zeros(line, total.dtype)
            _add_line(last, table, rows, factors, each, 0, total.shape[0] - line)
            for column in range(done, total.shape[0]):
                total[column] += last[column - total.shape[0] + line]
            done = total.shape[0]
        return done

    return stripes if table.dtype == total.dtype else nothing


def _stripe(lines: int) -> Any:
    """The function (total, table, rows, factors, each, place, column): as add_stripes, of some lines of the columns.

    They are those from ``column`` on, and are added to the total from ``place`` on.
    """

    def add(
        typing_context: Any, total: Any, table: Any, rows: Any, factors: Any, each: Any, place: Any, column: Any
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            total_array, table_array, row_array, factor_array = (
                context.make_array(signature.args[place])(context, builder, arguments[place]) for place in range(4)
            )
            element = context.get_value_type(signature.args[0].dtype)
            index = context.get_value_type(numba.types.intp)
            size = context.get_abi_sizeof(element)
            lanes = LINE_BYTES // size
            vector = ir.VectorType(element, lanes)
            count, width = builder.extract_value(row_array.shape, 0), builder.extract_value(table_array.shape, 1)

            def constant(value: int) -> Any:
                return ir.Constant(index, value)

            def line_at(start: Any, line: int) -> Any:
                return builder.bitcast(builder.gep(start, [constant(line * lanes)]), vector.as_pointer())

            def row_at(entry: Any) -> Any:
                row = builder.load(builder.gep(row_array.data, [entry]))
                return builder.gep(table_array.data, [builder.add(builder.mul(row, width), arguments[6])])

            target = builder.gep(total_array.data, [arguments[5]])
            sums = [cgutils.alloca_once(builder, vector) for _ in range(lines)]  # type: ignore[no-untyped-call]
            for line, total_line in enumerate(sums):
                builder.store(builder.load(line_at(target, line), align=size), total_line)
            last = builder.sub(count, constant(1))
            with cgutils.for_range(builder, count) as loop:
                later = builder.add(loop.index, constant(AHEAD))
                asked = row_at(builder.select(builder.icmp_signed("<", later, count), later, last))
                at = row_at(loop.index)
                factor = builder.load(builder.gep(factor_array.data, [builder.sdiv(loop.index, arguments[4])]))
                factor = in_all_lanes(builder, factor, vector)
                for line, total_line in enumerate(sums):
                    prefetch_address(builder, builder.gep(asked, [constant(line * lanes)]))
                    product = builder.fmul(factor, builder.load(line_at(at, line), align=size), flags=("contract",))
                    builder.store(builder.fadd(builder.load(total_line), product, flags=("contract",)), total_line)
            for line, total_line in enumerate(sums):
                builder.store(builder.load(total_line), line_at(target, line), align=size)
            return context.get_dummy_value()

        index = numba.types.intp
        return numba.types.void(total, table, rows, factors, index, index, index), generate

    return intrinsic(add)


_add_widest, _add_four_lines, _add_line = _stripe(WIDEST), _stripe(4), _stripe(1)
