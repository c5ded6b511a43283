"""Products of a few rows and a few tokens, whose sums stay in registers; compiled into the CPU kernels.

One row at a time is read from memory, for a processor follows one stream of addresses far better than several: read in
pairs, rows came at a fifth of the bandwidth. Rows that a cache holds are taken in pairs, which doubles the multiplies
for each value that is loaded.
"""

from typing import Any

from capratio.kernels.compiling import compile_tile

# Tokens that share the loads of a row.
TOKENS = 4
# Rows that are read from memory by the first tokens, and from the cache by the others: 16 rows of 1024 float32 are
# 64 KiB, in the second level of the cache.
ROWS = 16
# Columns of a transposed product's task: 1024 float32 of a sum are 4 KiB, and those of 7 tokens fit the first level.
COLUMNS = 1024


@compile_tile
def dot_one(row: Any, x: Any, zero: Any) -> Any:
    """row . x, both (p,)."""
    total = zero
    for j in range(row.shape[0]):
        total += row[j] * x[j]
    return total


@compile_tile
def dot_two(row: Any, x0: Any, x1: Any, zero: Any) -> Any:
    """The row with two tokens."""
    s0 = s1 = zero
    for j in range(row.shape[0]):
        s0 += row[j] * x0[j]
        s1 += row[j] * x1[j]
    return s0, s1


@compile_tile
def dot_three(row: Any, x0: Any, x1: Any, x2: Any, zero: Any) -> Any:
    """The row with three tokens."""
    s0 = s1 = s2 = zero
    for j in range(row.shape[0]):
        s0 += row[j] * x0[j]
        s1 += row[j] * x1[j]
        s2 += row[j] * x2[j]
    return s0, s1, s2


@compile_tile
def dot_four(row: Any, x0: Any, x1: Any, x2: Any, x3: Any, zero: Any) -> Any:
    """The row with four tokens."""
    s0 = s1 = s2 = s3 = zero
    for j in range(row.shape[0]):
        s0 += row[j] * x0[j]
        s1 += row[j] * x1[j]
        s2 += row[j] * x2[j]
        s3 += row[j] * x3[j]
    return s0, s1, s2, s3


@compile_tile
def dot_pair_of_rows(upper: Any, lower: Any, x0: Any, x1: Any, x2: Any, x3: Any, zero: Any) -> Any:
    """Two rows with four tokens: the upper row's sums, then the lower one's."""
    s0 = s1 = s2 = s3 = t0 = t1 = t2 = t3 = zero
    for j in range(upper.shape[0]):
        u, v = upper[j], lower[j]
        s0 += u * x0[j]
        s1 += u * x1[j]
        s2 += u * x2[j]
        s3 += u * x3[j]
        t0 += v * x0[j]
        t1 += v * x1[j]
        t2 += v * x2[j]
        t3 += v * x3[j]
    return s0, s1, s2, s3, t0, t1, t2, t3


@compile_tile
def add_row(total: Any, a: Any, row: Any) -> None:
    """total += a row, both (p,)."""
    for j in range(row.shape[0]):
        total[j] += a * row[j]


@compile_tile
def add_four_rows(total: Any, a: Any, r0: Any, b: Any, r1: Any, c: Any, r2: Any, d: Any, r3: Any) -> None:
    """total += a r0 + b r1 + c r2 + d r3: one load and one store of the total for four multiply-adds."""
    for j in range(r0.shape[0]):
        total[j] += (a * r0[j] + b * r1[j]) + (c * r2[j] + d * r3[j])


@compile_tile
def copy_row(total: Any, row: Any) -> None:
    """total = row, both (p,)."""
    for j in range(row.shape[0]):
        total[j] = row[j]


@compile_tile
def add_to(total: Any, left: Any, right: Any) -> None:
    """total = left + right, all (p,)."""
    for j in range(right.shape[0]):
        total[j] = left[j] + right[j]


@compile_tile
def add_rows(total: Any, factors: Any, rows: Any) -> None:
    """total += the sum of factors[i] rows[i]: (p,), (n,), (n, p)."""
    i = 0
    while i + 4 <= rows.shape[0]:
        add_four_rows(
            total,
            factors[i],
            rows[i],
            factors[i + 1],
            rows[i + 1],
            factors[i + 2],
            rows[i + 2],
            factors[i + 3],
            rows[i + 3],
        )
        i += 4
    while i < rows.shape[0]:
        add_row(total, factors[i], rows[i])
        i += 1
