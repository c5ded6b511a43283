"""Rows of a table as numbers that the CPU can calculate with: half types are widened, a row at a time."""

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

# bfloat16 and float16, as their bits.
_HALF_TYPES = (types.uint16, types.int16)


def widening_buffer(rows: Any, count: int, out: Any) -> Any:
    """A buffer (count, p) of the dtype of ``out`` for rows (r, p) of a half type.

    Other types need none and get one row, beyond which rows may be named, which nothing reads or writes.
    """
    raise NotImplementedError("widening_buffer is compiled by numba, and runs nowhere else.")


@overload(widening_buffer)
def _widening_buffer(rows: Any, count: int, out: Any) -> Any:
    half = rows.dtype in _HALF_TYPES

    def allocate(rows: Any, count: int, out: Any) -> Any:
        return np.empty((count if half else 1, rows.shape[1]), out.dtype)

    return allocate


def widen_rows(rows: Any, buffer: Any) -> Any:
    """The rows (r, p) themselves, or those of a half type widened into the first rows of ``buffer``."""
    raise NotImplementedError("widen_rows is compiled by numba, and runs nowhere else.")


@overload(widen_rows)
def _widen_rows(rows: Any, buffer: Any) -> Any:
    def keep(rows: Any, buffer: Any) -> Any:
        return rows

    def widen(rows: Any, buffer: Any) -> Any:
        for i in range(rows.shape[0]):
            read_row(rows[i], buffer[i])
        return buffer[: rows.shape[0]]

    return widen if rows.dtype in _HALF_TYPES else keep


def read_row(row: Any, buffer: Any) -> Any:
    """The row itself, or its bits of a half type (bfloat16 as uint16, float16 as int16) widened into ``buffer``."""
    raise NotImplementedError("read_row is compiled by numba, and runs nowhere else.")


@overload(read_row)
def _read_row(row: Any, buffer: Any) -> Any:
    if row.dtype == types.uint16:
        return _widen_bfloat16
    if row.dtype == types.int16:
        return _widen_float16
    return _keep


def _keep(row: Any, buffer: Any) -> Any:
    return row


def _widen_bfloat16(row: Any, buffer: Any) -> Any:
    bits = buffer.view(np.uint32)
    for j in range(row.shape[0]):
        bits[j] = np.uint32(row[j]) << np.uint32(16)
    return buffer


def _widen_float16(row: Any, buffer: Any) -> Any:
    # The exponent's bias is 112 higher in float32, which the factor adds, subnormals included; infinity and NaN have
    # the largest exponent of either type.
    bits = buffer.view(np.uint32)
    for j in range(row.shape[0]):
        half = np.uint32(np.uint16(row[j]))
        bits[j] = (half & np.uint32(0x7FFF)) << np.uint32(13)
        wide = buffer[j] * np.float32(2.0**112)
        special = (half & np.uint32(0x7C00)) == np.uint32(0x7C00)
        buffer[j] = wide
        if special:
            bits[j] |= np.uint32(0x7F800000)
        bits[j] |= (half & np.uint32(0x8000)) << np.uint32(16)
    return buffer


def read_again(row: Any, buffer: Any) -> Any:
    """As ``read_row``, of a row that was read into the same buffer before."""
    raise NotImplementedError("read_again is compiled by numba, and runs nowhere else.")


@overload(read_again)
def _read_again(row: Any, buffer: Any) -> Any:
    return _keep_buffer if row.dtype in _HALF_TYPES else _keep


def _keep_buffer(row: Any, buffer: Any) -> Any:
    return buffer
