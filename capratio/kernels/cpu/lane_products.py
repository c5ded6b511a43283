"""Rows chosen by where they begin, multiplied by a panel of columns and added to sums: the step of a block product.

Lanes are columns of the panel, as in ``column_panels``; the left side is read where it lies, a value at a time for all
lanes, so that no tokens are packed. Sums are loaded, added to and stored, since many panels add to them.
"""

from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from capratio.kernels.cpu.compiling import compile_tile
from capratio.kernels.cpu.panel_product import in_all_lanes
from capratio.kernels.cpu.prefetching import LINE_BYTES

# Rows of a set. A sum waits four cycles for the one before, and two begin in a cycle: eight registers of sums keep the
# multiply-adds busy, which are four rows of two lines, or of one line eight.
MANY_ROWS, FEW_ROWS = 8, 4
# Where fewer rows are left, they are computed with the last of the lists' places, which stand for a row of no use.
SPARE_PLACES = MANY_ROWS


def _adder(count: int, lines: int) -> Callable[..., Any]:
    """The function (left, begins, first, step, panel, column, total, ends).

    total[ends[first + r] + column + lane] += sum over j of left[begins[first + r] + j step] panel[j, column + lane],
    for ``count`` rows r and the lanes of as many ``lines`` of the cache. left, total: of one dimension, contiguous.
    panel: (d, w), each row contiguous. begins, ends: int64, contiguous.
    """

    def multiply(
        typing_context: Any,
        left: Any,
        begins: Any,
        first: Any,
        step: Any,
        panel: Any,
        column: Any,
        total: Any,
        ends: Any,
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            left_array, begin_array, panel_array, total_array, end_array = (
                context.make_array(signature.args[place])(context, builder, arguments[place])
                for place in (0, 1, 4, 6, 7)
            )
            first_row, step_between, first_column = arguments[2], arguments[3], arguments[5]
            depth = builder.extract_value(panel_array.shape, 0)
            panel_row_bytes = builder.extract_value(panel_array.strides, 0)
            element = context.get_value_type(signature.args[0].dtype)
            size = context.get_abi_sizeof(element)
            vector = ir.VectorType(element, LINE_BYTES // size)

            def entry(array: Any, r: int) -> Any:
                return builder.load(builder.gep(array.data, [builder.add(first_row, ir.Constant(depth.type, r))]))

            def line(start: Any, number: int) -> Any:
                place = builder.gep(start, [ir.Constant(depth.type, number * vector.count)])
                return builder.bitcast(place, vector.as_pointer())

            rows = [builder.gep(left_array.data, [entry(begin_array, r)]) for r in range(count)]
            targets = [
                builder.gep(total_array.data, [builder.add(entry(end_array, r), first_column)]) for r in range(count)
            ]
            sums = [
                [(line(target, number), cgutils.alloca_once(builder, vector)) for number in range(lines)]  # type: ignore[no-untyped-call]
                for target in targets
            ]
            for place, held in (pair for row_sums in sums for pair in row_sums):
                builder.store(builder.load(place, align=size), held)
            panel_start = builder.gep(panel_array.data, [first_column])
            with cgutils.for_range(builder, depth) as loop:
                start = cgutils.pointer_add(  # type: ignore[no-untyped-call]
                    builder, panel_start, builder.mul(loop.index, panel_row_bytes), panel_start.type
                )
                right = [builder.load(line(start, number), align=size) for number in range(lines)]
                step_here = builder.mul(loop.index, step_between)
                for row, row_sums in zip(rows, sums, strict=True):
                    value = in_all_lanes(builder, builder.load(builder.gep(row, [step_here])), vector)
                    for (_, held), lanes in zip(row_sums, right, strict=True):
                        product = builder.fmul(value, lanes, flags=("contract",))
                        builder.store(builder.fadd(builder.load(held), product, flags=("contract",)), held)
            for place, held in (pair for row_sums in sums for pair in row_sums):
                builder.store(builder.load(held), place, align=size)
            return context.get_dummy_value()

        place = numba.types.intp
        return numba.types.void(left, begins, place, place, panel, place, total, ends), generate

    compiled: Callable[..., Any] = intrinsic(multiply)
    return compiled


_add_many_to_two_lines, _add_many_to_one_line = _adder(MANY_ROWS, 2), _adder(MANY_ROWS, 1)
_add_few_to_two_lines, _add_few_to_one_line = _adder(FEW_ROWS, 2), _adder(FEW_ROWS, 1)
_add_one_to_four_lines, _add_one_to_one_line = _adder(1, 4), _adder(1, 1)


@compile_tile
def line_elements(array: Any) -> int:
    """How many elements of an array a line of the cache holds."""
    elements: int = LINE_BYTES // array.itemsize
    return elements


@compile_tile
def add_products(left: Any, begins: Any, count: Any, step: Any, panel: Any, total: Any, ends: Any) -> None:
    """total[ends[s] + c] += sum over j of left[begins[s] + j step] panel[j, c] for s in 0..count - 1 and all columns c.

    panel: (d, w), w a multiple of a line. begins, ends: with ``SPARE_PLACES`` behind the count, which are read too and
    must name places that exist and hold nothing of use.
    """
    two = 2 * line_elements(panel)
    whole = panel.shape[1] // two * two
    for first in range(0, count, MANY_ROWS):
        if count - first == 1:
            column = 0
            while column + 2 * two <= panel.shape[1]:
                _add_one_to_four_lines(left, begins, first, step, panel, column, total, ends)
                column += 2 * two
            while column < panel.shape[1]:
                _add_one_to_one_line(left, begins, first, step, panel, column, total, ends)
                column += two // 2
        elif count - first > FEW_ROWS:
            for column in range(0, whole, two):
                _add_many_to_two_lines(left, begins, first, step, panel, column, total, ends)
            if whole < panel.shape[1]:
                _add_many_to_one_line(left, begins, first, step, panel, whole, total, ends)
        else:
            for column in range(0, whole, two):
                _add_few_to_two_lines(left, begins, first, step, panel, column, total, ends)
            if whole < panel.shape[1]:
                _add_few_to_one_line(left, begins, first, step, panel, whole, total, ends)
