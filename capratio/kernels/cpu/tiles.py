"""Products of a few rows and a few tokens, whose sums stay in registers; compiled into the CPU kernels."""

from typing import Any

from capratio.kernels.cpu.compiling import compile_tile

# Rows of a task that writes them.
ROWS = 16


@compile_tile
def dot_one(row: Any, x: Any, zero: Any) -> Any:
    """row . x, both (p,)."""
    total = zero
    for j in range(row.shape[0]):
        total += row[j] * x[j]
    return total


@compile_tile
def dot_pair_with_one(upper: Any, lower: Any, x: Any, zero: Any) -> Any:
    """Two rows with one token: the upper row's sum, then the lower one's."""
    s = t = zero
    for j in range(upper.shape[0]):
        s += upper[j] * x[j]
        t += lower[j] * x[j]
    return s, t


@compile_tile
def dot_pair_with_two(upper: Any, lower: Any, x0: Any, x1: Any, zero: Any) -> Any:
    """Two rows with two tokens: the upper row's sums, then the lower one's."""
    s0 = s1 = t0 = t1 = zero
    for j in range(upper.shape[0]):
        u, v = upper[j], lower[j]
        s0 += u * x0[j]
        s1 += u * x1[j]
        t0 += v * x0[j]
        t1 += v * x1[j]
    return s0, s1, t0, t1


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
def add_four_rows_to_two(t0: Any, t1: Any, f: Any, g: Any, r0: Any, r1: Any, r2: Any, r3: Any) -> None:
    """t0 += f_0 r0 + f_1 r1 + f_2 r2 + f_3 r3, and t1 with the factors g: each row is loaded once for both."""
    f0, f1, f2, f3, g0, g1, g2, g3 = f[0], f[1], f[2], f[3], g[0], g[1], g[2], g[3]
    for j in range(r0.shape[0]):
        a, b, c, d = r0[j], r1[j], r2[j], r3[j]
        t0[j] += (f0 * a + f1 * b) + (f2 * c + f3 * d)
        t1[j] += (g0 * a + g1 * b) + (g2 * c + g3 * d)


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
