"""Sums of outer products of rows chosen by two lists, in registers: the gradient of one block to its weights.

Lanes are columns of the right side; of the left side a few columns are read a value at a time, for all lanes. Nothing
is gathered: both sides lie in memory that their lists walk through.
"""

from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from capratio.kernels.cpu.compiling import compile_tile
from capratio.kernels.cpu.lane_products import line_elements
from capratio.kernels.cpu.panel_product import in_all_lanes
from capratio.kernels.cpu.prefetching import LINE_BYTES

# Columns of the left side at a time: sixteen registers of sums, of two lines or of one, keep the multiply-adds busy.
TWO_LINE_COLUMNS, ONE_LINE_COLUMNS = 8, 16


def _outer(count: int, lines: int) -> Callable[..., Any]:
    """The function (left, lefts, right, rights, pairs, row, column, total).

    total[row + r, column + lane] = sum over s < pairs of left[lefts[s], row + r] right[rights[s], column + lane], for
    ``count`` rows r and the lanes of as many ``lines`` of the cache. left, right, total: contiguous. lefts, rights:
    int32, contiguous.
    """

    def multiply(
        typing_context: Any,
        left: Any,
        lefts: Any,
        right: Any,
        rights: Any,
        pairs: Any,
        row: Any,
        column: Any,
        total: Any,
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            left_array, left_list, right_array, right_list, total_array = (
                context.make_array(signature.args[place])(context, builder, arguments[place])
                for place in (0, 1, 2, 3, 7)
            )
            pairs, row, column = arguments[4:7]
            element = context.get_value_type(signature.args[0].dtype)
            size = context.get_abi_sizeof(element)
            vector = ir.VectorType(element, LINE_BYTES // size)
            left_width, right_width, total_width = (
                builder.extract_value(array.shape, 1) for array in (left_array, right_array, total_array)
            )

            def line(start: Any, number: int) -> Any:
                place = builder.gep(start, [ir.Constant(row.type, number * vector.count)])
                return builder.bitcast(place, vector.as_pointer())

            sums = [
                [cgutils.alloca_once(builder, vector) for _ in range(lines)]  # type: ignore[no-untyped-call]
                for _ in range(count)
            ]
            for held in (held for row_sums in sums for held in row_sums):
                builder.store(ir.Constant(vector, None), held)
            with cgutils.for_range(builder, pairs) as loop:
                from_left, from_right = (
                    builder.sext(builder.load(builder.gep(listed.data, [loop.index])), row.type)
                    for listed in (left_list, right_list)
                )
                values = builder.gep(left_array.data, [builder.add(builder.mul(from_left, left_width), row)])
                start = builder.gep(right_array.data, [builder.add(builder.mul(from_right, right_width), column)])
                lanes = [builder.load(line(start, number), align=size) for number in range(lines)]
                for r, row_sums in enumerate(sums):
                    factor = builder.load(builder.gep(values, [ir.Constant(row.type, r)]))
                    value = in_all_lanes(builder, factor, vector)
                    for held, right_lanes in zip(row_sums, lanes, strict=True):
                        product = builder.fmul(value, right_lanes, flags=("contract",))
                        builder.store(builder.fadd(builder.load(held), product, flags=("contract",)), held)
            for r, row_sums in enumerate(sums):
                down = builder.mul(builder.add(row, ir.Constant(row.type, r)), total_width)
                target = builder.gep(total_array.data, [builder.add(down, column)])
                for number, held in enumerate(row_sums):
                    builder.store(builder.load(held), line(target, number), align=size)
            return context.get_dummy_value()

        place = numba.types.intp
        return numba.types.void(left, lefts, right, rights, place, place, place, total), generate

    compiled: Callable[..., Any] = intrinsic(multiply)
    return compiled


_sum_two_lines = _outer(TWO_LINE_COLUMNS, 2)
_sum_one_line = _outer(ONE_LINE_COLUMNS, 1)


@compile_tile
def sum_listed(left: Any, lefts: Any, right: Any, rights: Any, pairs: Any, total: Any) -> None:
    """total[r, c] = sum over s < pairs of left[lefts[s], r] right[rights[s], c].

    left: (n, h), right: (m, w), total: (h, w), h a multiple of ``ONE_LINE_COLUMNS``, w of a line. lefts, rights: int32.
    """
    two = 2 * line_elements(total)
    whole = total.shape[1] // two * two
    for column in range(0, whole, two):
        for row in range(0, total.shape[0], TWO_LINE_COLUMNS):
            _sum_two_lines(left, lefts, right, rights, pairs, row, column, total)
    if whole < total.shape[1]:
        for row in range(0, total.shape[0], ONE_LINE_COLUMNS):
            _sum_one_line(left, lefts, right, rights, pairs, row, whole, total)
