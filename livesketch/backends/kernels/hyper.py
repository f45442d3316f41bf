"""The step of a hyper cell: magenta/magenta ``sketch_rnn/rnn.py`` HyperLSTMCell, a layer_norm cell inside.

In h and c the P panels of the larger cell stand first, the R panels of the smaller one behind.
"""

from typing import Any

import numpy as np

from .common import (
    FMA,
    INPUT,
    ROWS,
    TILE,
    UNITS,
    WIDTH,
    as_input,
    begin,
    compiled,
    copy,
    head_of,
    inner,
    paired,
    products,
    times,
)
from .layer_norm import normed

_f = np.float32
_NIL = _f(0)


@inner()
def _nil(out: Any) -> None:
    for k in range(out.shape[0]):
        out[k] = _NIL


@inner(fastmath=FMA)
def _mix(weights: Any, z: Any, sums: Any) -> None:
    """One panel of z @ w, gate by gate: weights (E, 128), z (4 E or more), sums (128,); E a multiple of 4."""
    size = weights.shape[0]
    for g in range(4):
        first = g * UNITS
        for k in range(0, size, ROWS):
            at = g * size + k
            a0, a1, a2, a3 = z[at], z[at + 1], z[at + 2], z[at + 3]
            for j in range(first, first + UNITS):
                s = sums[j]
                s = _f(weights[k, j]) * a0 + s
                s = _f(weights[k + 1, j]) * a1 + s
                s = _f(weights[k + 2, j]) * a2 + s
                s = _f(weights[k + 3, j]) * a3 + s
                sums[j] = s


@inner(fastmath=FMA)
def _joined(sums: Any, out: Any) -> None:
    """The gates before the norm: scale_x * of_x + scale_h * of_h + shift; sums (5, 128) holds the five, shift last."""
    for j in range(WIDTH):
        out[j] = sums[2, j] * sums[0, j] + (sums[3, j] * sums[1, j] + sums[4, j])


@inner()
def _smaller(gates: Any, norms: Any, units: Any, sums: Any, inputs: Any, raw: Any, bias: Any, hidden: Any,
             cell: Any) -> None:  # fmt: skip
    """The smaller cell's step for every voice, in its part of h and c, (N, 32 R); bias (N, 128 R)."""
    count, width = hidden.shape[0], gates.shape[0] * WIDTH
    for n in range(count):
        copy(bias[n], raw[n, :width])
    for r in range(gates.shape[0]):
        products(gates[r], inputs, 0, 0, raw, 0, r * WIDTH, count)
    for n in range(count):
        normed(raw[n], norms, units, sums[0, 0], cell[n], hidden[n])


@inner(fastmath=FMA)
def _embedded(z_w: Any, z_b: Any, z_scales: Any, w_scales: Any, sums: Any, inputs: Any, hidden: Any,
              z: Any) -> None:  # fmt: skip
    """Into z (N, 3, 128 Q): u @ z_w + z_b for scale_x, scale_h and shift, times the scale of what follows."""
    size = hidden.shape[1]
    for part in range(3):
        for n in range(hidden.shape[0]):
            for k in range(size):
                inputs[n, k] = as_input(hidden[n, k] * z_scales[part], inputs)
            paired(inputs, n, z_w)
        for q in range(z_w.shape[1]):
            first, last = q * WIDTH, (q + 1) * WIDTH
            for n in range(0, hidden.shape[0], TILE):
                some = min(TILE, hidden.shape[0] - n)
                for i in range(some):
                    copy(z_b[part, first:last], sums[i])
                products(z_w[part, q], inputs, n, 0, sums, 0, 0, some)
                for i in range(some):
                    for k in range(WIDTH):
                        z[n + i, part, first + k] = sums[i, k] * w_scales[part]


@inner()
def _gates(w_x: Any, w_h: Any, w_z: Any, shift_b: Any, sums: Any, inputs: Any, z: Any, bias: Any,
           raw: Any) -> None:  # fmt: skip
    """The larger cell's gates before the norm for every voice, panel by panel, into raw."""
    for p in range(w_h.shape[0]):
        first, last = p * WIDTH, (p + 1) * WIDTH
        for n in range(0, raw.shape[0], TILE):
            some = min(TILE, raw.shape[0] - n)
            for i in range(some):
                copy(bias[n + i, first:last], sums[0, i])
                _nil(sums[1, i])
                _nil(sums[2, i])
                _nil(sums[3, i])
                copy(shift_b[first:last], sums[4, i])
            products(w_x[p], inputs, n, 0, sums[0], 0, 0, some)
            products(w_h[p], inputs, n, INPUT, sums[1], 0, 0, some)
            for i in range(some):
                for part in range(3):
                    _mix(w_z[p, part], z[n + i, part], sums[2 + part, i])
                _joined(sums[:, i], raw[n + i, first:last])


@compiled()
def update(small: Any, small_scales: Any, small_norms: Any, small_units: Any, z_w: Any, z_b: Any, z_scales: Any,
            w_z: Any, w_scales: Any, w_x: Any, w_h: Any, scales: Any, shift_b: Any, norms: Any, units: Any,
            five: Any, head_w: Any, head_scales: Any, head_b: Any, token: Any, sums: Any, small_inputs: Any,
            inputs: Any, z: Any, raw: Any, voices: Any, bias: Any, start_hidden: Any, start_cell: Any, given: Any,
            hidden: Any, cell: Any, head: Any) -> None:  # fmt: skip
    """The cell and the head for every voice; a voice whose drawing is over begins the next first.

    Weights: of the smaller cell, small (R, K, 128), small_scales (K,), small_norms (R, NORMS), small_units (U); of what
    it gives, z_w (3, Q', 32 R, 128), z_b (3, 128 Q'), w_z (P, 3, E, 128), a scale each in z_scales and w_scales; of the
    larger, w_x (P, INPUT, 128), w_h (P, 32 P, 128), scales (INPUT + 32 P,), shift_b (128 P,), norms (P, NORMS),
    units (H). Then head_w (Q, 32 P, 128), head_scales (32 P,), head_b (Q, 128), token (5,).
    Voices: voices (N,) records, bias (N, 128 (P + R)), start_hidden, start_cell, hidden and cell (N, 32 (P + R)),
    given (N, 5).
    Scratch: five (5, TILE, 128), sums (TILE, 128), small_inputs (N, K), inputs (N, INPUT + 32 P), z (N, 3, 128 Q'),
    raw (N, 128 max(P, R)). The result: head (N, 128 Q).
    """
    count, main = hidden.shape[0], w_h.shape[0] * UNITS
    for n in range(count):
        if voices[n]["done"]:
            begin(voices[n])
            copy(start_hidden[n], hidden[n])
            copy(start_cell[n], cell[n])
            copy(token, given[n])
        times(given[n], small_scales[:5], small_inputs[n])
        times(hidden[n], small_scales[5:], small_inputs[n, 5:])
        times(given[n], scales[:5], inputs[n])
        times(hidden[n, :main], scales[INPUT:], inputs[n, INPUT:])
        paired(small_inputs, n, small)
        paired(inputs, n, w_h)
    _smaller(small, small_norms, small_units, five, small_inputs, raw, bias[:, 4 * main :], hidden[:, main:],
             cell[:, main:])  # fmt: skip
    _embedded(z_w, z_b, z_scales, w_scales, five[0], small_inputs, hidden[:, main:], z)
    _gates(w_x, w_h, w_z, shift_b, five, inputs, z, bias, raw)
    for n in range(count):
        normed(raw[n], norms, units, sums[0], cell[n, :main], hidden[n, :main])
    head_of(head_w, head_scales, head_b, hidden, 0, count, inputs, head)
