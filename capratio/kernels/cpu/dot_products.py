"""Two rows with some tokens at a time, each product a sum along the lanes of a register of its own.

Each load of a row serves all tokens, and each load of a token both rows: with eight tokens ten loads feed sixteen
multiply-adds, so that the multiply-adds decide, as in a panel (``panel_product``), and nothing is packed. numba's loops
are vectorised as LLVM sees fit, which keeps no more than eight such sums in registers; so these are written in LLVM's
own words.
"""

from collections.abc import Callable
from typing import Any

import numba
from llvmlite import binding, ir
from numba.core import cgutils
from numba.extending import intrinsic

from capratio.kernels.cpu.prefetching import LINE_BYTES, prefetch_address

# Sixteen sums, two rows and a token fit the 32 registers of AVX-512; without it, sums of four tokens fit.
MOST_TOKENS = 8 if binding.get_host_cpu_features().get("avx512f", False) else 4
# Each row asks for the one so many rows behind it: from memory, 8 tokens of 512 float32 took 84 us a matrix without
# asking, 44, 40, 46 and 57 for 1, 2, 4 and 8 rows, and 23 where a cache held the matrix (one thread, least of 0.5 s).
ROWS_AHEAD = 2


def _dot_products(tokens_at_once: int) -> Callable[..., Any]:
    """The function (upper, lower, x, tokens, out, i, j): out[t, i] = upper . x[t], out[t, j] = lower . x[t].

    For the first ``tokens_at_once`` of the tokens t. upper, lower: (p,), x: (N, p), out: (N, q), contiguous and of one
    dtype. tokens: (n,) int64.
    """

    def multiply(typing_context: Any, upper: Any, lower: Any, x: Any, tokens: Any, out: Any, i: Any, j: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            upper_array, lower_array, x_array, token_array, out_array = (
                context.make_array(signature.args[place])(context, builder, arguments[place]) for place in range(5)
            )
            element = context.get_value_type(signature.args[0].dtype)
            index = context.get_value_type(numba.types.intp)
            size = context.get_abi_sizeof(element)
            lanes = LINE_BYTES // size
            vector = ir.VectorType(element, lanes)
            width = builder.extract_value(x_array.shape, 1)
            members = [
                builder.load(builder.gep(token_array.data, [ir.Constant(index, t)])) for t in range(tokens_at_once)
            ]
            columns = [builder.gep(x_array.data, [builder.mul(member, width)]) for member in members]
            rows = (upper_array.data, lower_array.data)

            def add_products(kind: Any, sums: list[list[Any]], place: Any) -> None:
                def at(start: Any) -> Any:
                    return builder.load(builder.bitcast(builder.gep(start, [place]), kind.as_pointer()), align=size)

                factors = [at(row) for row in rows]
                for t, column in enumerate(columns):
                    value = at(column)
                    for row, factor in enumerate(factors):
                        product = builder.fmul(factor, value, flags=("contract",))
                        total = builder.fadd(builder.load(sums[row][t]), product, flags=("contract",))
                        builder.store(total, sums[row][t])

            def zeros(kind: Any) -> list[list[Any]]:
                made = [[cgutils.alloca_once(builder, kind) for _ in members] for _ in rows]  # type: ignore[no-untyped-call]
                for total in (*made[0], *made[1]):
                    builder.store(ir.Constant(kind, None), total)
                return made

            wide, narrow = zeros(vector), zeros(element)
            ahead = builder.mul(width, ir.Constant(index, ROWS_AHEAD))
            whole = builder.mul(builder.udiv(width, ir.Constant(index, lanes)), ir.Constant(index, lanes))
            with cgutils.for_range_slice(builder, ir.Constant(index, 0), whole, ir.Constant(index, lanes)) as (
                place,
                _,
            ):
                for row in rows:
                    prefetch_address(builder, builder.gep(row, [builder.add(place, ahead)]))
                add_products(vector, wide, place)
            with cgutils.for_range_slice(builder, whole, width, ir.Constant(index, 1)) as (place, _):
                add_products(element, narrow, place)
            stride = builder.extract_value(out_array.shape, 1)
            for row, column in enumerate(arguments[5:7]):
                for t, member in enumerate(members):
                    total = _sum_of_lanes(builder, builder.load(wide[row][t]), builder.load(narrow[row][t]), 8 * size)
                    builder.store(
                        total, builder.gep(out_array.data, [builder.add(builder.mul(member, stride), column)])
                    )
            return context.get_dummy_value()

        place = numba.types.intp
        return numba.types.void(upper, lower, x, tokens, out, place, place), generate

    compiled: Callable[..., Any] = intrinsic(multiply)
    return compiled


def _sum_of_lanes(builder: Any, value: Any, first: Any, bits: int) -> Any:
    """Generate first + the sum of a vector's lanes, in halves."""
    element, lanes = value.type.element, value.type.count
    kind = ir.FunctionType(element, [element, value.type])
    name = f"llvm.vector.reduce.fadd.v{lanes}f{bits}"
    function = cgutils.get_or_insert_function(builder.module, kind, name)  # type: ignore[no-untyped-call]
    return builder.call(function, [first, value], fastmath=("reassoc",))


dot_three, dot_four, dot_five, dot_six, dot_seven, dot_eight = (_dot_products(count) for count in range(3, 9))
