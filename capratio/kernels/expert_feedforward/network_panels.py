"""A tile of an expert's tokens through its whole network, both products in panels, compiled into the CPU kernels.

The first product leaves the hidden features of up to 32 tokens side by side, one token a lane (see ``panel_product``),
which is how the second product takes them: nothing is packed between, and they never leave the cache.
"""

from typing import Any

import numpy as np

from capratio.kernels.cpu.compiling import compile_kernel, compile_tile
from capratio.kernels.cpu.panel_product import (
    NARROW,
    NARROW_ROWS,
    WIDE,
    WIDE_ROWS,
    multiply_narrow_panel,
    multiply_wide_panel,
    pack_panel,
)
from capratio.kernels.cpu.tile_products import TILE_ROWS
from capratio.kernels.cpu.widening import widen_rows, widening_buffer
from capratio.kernels.expert_feedforward.curves import activate

# Rows of a set, of either panel; a matrix of fewer has no whole set.
FEWEST_ROWS = max(WIDE_ROWS, NARROW_ROWS)


@compile_kernel
def run_panels(
    x: Any, tokens: Any, weight_in: Any, weight_out: Any, code: int, keep: bool, kept: Any, out: Any
) -> None:
    """out[t] = W_out act(W_in x[tokens[t]]), and kept[t] = W_in x[tokens[t]] where they are to be kept.

    x: (N, p). tokens: (n,). weight_in: (m, p), weight_out: (q, h), half types as bits, h and q at least
    ``FEWEST_ROWS``. code: of the activation. kept: (n, m), or of no rows. out: (n, q).
    """
    width, hidden, lanes = x.shape[1], weight_out.shape[1], _lanes(tokens.shape[0])
    inputs, units = np.empty(lanes * width, out.dtype), np.empty(lanes * hidden, out.dtype)
    for start in range(0, lanes, WIDE):
        pack_panel(x, tokens[start : start + WIDE], _panel(inputs, start, lanes, width))
    buffer, value_buffer = widening_buffer(weight_in, TILE_ROWS, out), widening_buffer(weight_in, TILE_ROWS, out)
    apart = weight_in.shape[0] - hidden
    for top in range(0, hidden, TILE_ROWS):
        bottom = min(top + TILE_ROWS, hidden)
        # A tile of too few rows takes some of the one above, whose products are the same again.
        top = min(top, bottom - FEWEST_ROWS)
        gates = widen_rows(weight_in[top:bottom], buffer)
        values = widen_rows(weight_in[apart + top : apart + bottom], value_buffer) if apart else gates
        for start in range(0, lanes, WIDE):
            _first_product(
                _panel(inputs, start, lanes, width),
                gates,
                values,
                code,
                _panel(units, start, lanes, hidden)[top:bottom],
                apart,
                top,
                keep,
                kept[start : start + WIDE],
            )
    out_buffer = widening_buffer(weight_out, TILE_ROWS, out)
    for top in range(0, weight_out.shape[0], TILE_ROWS):
        bottom = min(top + TILE_ROWS, weight_out.shape[0])
        top = min(top, bottom - FEWEST_ROWS)
        rows = widen_rows(weight_out[top:bottom], out_buffer)
        for start in range(0, lanes, WIDE):
            _second_product(_panel(units, start, lanes, hidden), rows, start == 0, top, out[start : start + WIDE])


@compile_tile
def _lanes(tokens: Any) -> Any:
    """The lanes of the panels of so many tokens, all of them wide but a last one of few, which is narrow."""
    wide = (tokens + WIDE - NARROW - 1) // WIDE
    return wide * WIDE + (NARROW if tokens > wide * WIDE else 0)


@compile_kernel
def _panel(flat: Any, start: int, lanes: int, width: int) -> Any:
    """The panel (width, its lanes) that begins at a lane, among ``lanes`` lanes in one buffer."""
    end = min(start + WIDE, lanes)
    return flat[start * width : end * width].reshape(width, end - start)


@compile_kernel
def _first_product(
    panel: Any, gates: Any, values: Any, code: int, units: Any, apart: int, first: int, keep: bool, kept: Any
) -> None:
    """units = act(gates . panel), or that times values . panel, of a tile of rows that begins at ``first``."""
    lanes = panel.shape[1]
    at_once = WIDE_ROWS if lanes == WIDE else NARROW_ROWS
    gate_sums, value_sums = np.empty(at_once * lanes, units.dtype), np.empty(at_once * lanes, units.dtype)
    gate_rows, value_rows = gate_sums.reshape(at_once, lanes), value_sums.reshape(at_once, lanes)
    for i in range(0, gates.shape[0], at_once):
        i = min(i, gates.shape[0] - at_once)
        _multiply_set(gates, i, panel, gate_rows, True)
        if apart:
            _multiply_set(values, i, panel, value_rows, True)
        activate(code, gate_sums, value_sums, units[i : i + at_once].reshape(at_once * lanes))
        if keep:
            _put_sums(gate_rows, first + i, kept)
            if apart:
                _put_sums(value_rows, apart + first + i, kept)


@compile_kernel
def _second_product(panel: Any, rows: Any, ahead: bool, first: int, out: Any) -> None:
    """out[t, first + r] = rows[r] . panel[:, t] of a tile of rows."""
    lanes = panel.shape[1]
    at_once = WIDE_ROWS if lanes == WIDE else NARROW_ROWS
    sums = np.empty((at_once, lanes), out.dtype)
    for i in range(0, rows.shape[0], at_once):
        i = min(i, rows.shape[0] - at_once)
        _multiply_set(rows, i, panel, sums, ahead)
        _put_sums(sums, first + i, out)


@compile_tile
def _multiply_set(rows: Any, first: Any, panel: Any, sums: Any, ahead: Any) -> None:
    """sums[r, t] = rows[first + r] . panel[:, t] of a set of rows."""
    if panel.shape[1] == WIDE:
        multiply_wide_panel(rows, first, panel, sums, 1 if ahead else 0)
    else:
        multiply_narrow_panel(rows, first, panel, sums, 1 if ahead else 0)


@compile_tile
def _put_sums(sums: Any, first: Any, out: Any) -> None:
    """out[t, first + r] = sums[r, t] for every row r of the sums and token t of the output."""
    for t in range(out.shape[0]):
        row = out[t, first : first + sums.shape[0]]
        for r in range(sums.shape[0]):
            row[r] = sums[r, t]
