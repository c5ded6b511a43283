"""Rows asked for ahead of their use, compiled into the CPU kernels.

Rows that lie anywhere in a table are no stream that a processor could follow. Asked for into the second level of the
cache, whose misses wait side by side in larger number than those of the first, they came two to three times as fast:
256 tokens of 2304 rows of 1 KiB each in 31 ms instead of 95 (one thread, a table of 134 MiB, least of 15 calls).
"""

from typing import Any

import numba
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from capratio.kernels.cpu.compiling import compile_tile

LINE_BYTES = 64
# LLVM's arguments: to read, for all levels of the cache, data and no code.
_READ, _FIRST_LEVEL, _DATA = 0, 3, 1


@compile_tile
def prefetch_row(row: Any) -> None:
    """Ask for a row (p,) of a table, and do not wait for it."""
    for place in range(0, row.shape[0], LINE_BYTES // row.itemsize):
        _ask(row, place)


def prefetch_address(builder: Any, address: Any) -> None:
    """Generate what asks for the line of an address, in a function that is written for LLVM."""
    byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")  # type: ignore[no-untyped-call]
    builder.call(function, [builder.bitcast(address, byte), word(_READ), word(_FIRST_LEVEL), word(_DATA)])


def _prefetch(typing_context: Any, row: Any, place: Any) -> Any:
    """Ask for the line of a row that holds the element at a place."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values = context.make_array(signature.args[0])(context, builder, arguments[0])
        prefetch_address(builder, builder.gep(values.data, [arguments[1]]))
        return context.get_dummy_value()

    return numba.types.void(row, place), generate


_ask: Any = intrinsic(_prefetch)
