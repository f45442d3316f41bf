"""The step of a layer_norm cell, magenta/magenta ``sketch_rnn/rnn.py`` LayerNormLSTMCell, and what hyper shares of it.

A gate's norm needs all of its units, so the sums of a step are kept in ``raw``, by panels, until the last is there.
"""

import math
from typing import Any

import numpy as np

from ...models.cells import NORM_EPSILON
from .common import BLOCK, FMA, UNITS, WIDTH, as_input, begin, compiled, head_of, inner, paired, place, products, tanh

_f = np.float32
_ONE, _HALF, _NIL, _EPSILON = _f(1), _f(0.5), _f(0), _f(NORM_EPSILON)
NORMS = 2 * WIDTH + 2 * UNITS
"""A panel's norms: gamma and beta (128 each, beta with the forget bias), c_gamma and c_beta (32 each)."""
_C = 2 * WIDTH


@inner(fastmath=FMA)
def _total(lanes: Any) -> Any:
    """The sum of 32 lanes, by halves: lane u takes u + 16, then u + 8, and so on."""
    half = UNITS // 2
    while half:
        for u in range(half):
            lanes[u] += lanes[u + half]
        half //= 2
    return lanes[0]


@inner(fastmath=FMA)
def _moments(values: Any, first: Any, stride: Any, units: Any, lanes: Any) -> Any:
    """Mean and 1 / sqrt(variance + epsilon) of the units at first, first + stride, ..., 32 in each place.

    Lane u sums what stands at u in each 32, in order; the padding behind the last unit is zero.
    """
    count = _f(units)
    for u in range(UNITS):
        lanes[u] = _NIL
    at = first
    for _ in range(0, units, UNITS):
        for u in range(UNITS):
            lanes[u] += values[at + u]
        at += stride
    mean = _total(lanes) / count
    for u in range(UNITS):
        lanes[u] = _NIL
    at = first
    for done in range(0, units, UNITS):
        for u in range(min(UNITS, units - done)):
            apart = values[at + u] - mean
            lanes[u] += apart * apart
        at += stride
    return mean, _ONE / math.sqrt(_total(lanes) / count + _EPSILON)


@inner(fastmath=FMA)
def _gated(raw: Any, norms: Any, means: Any, factors: Any, cell: Any) -> None:
    """One panel's sums (128,) become its 32 units' new c (in place); the output gate is left in its place in raw."""
    mi, mj, mf, mo = means[0], means[1], means[2], means[3]
    fi, fj, ff, fo = factors[0], factors[1], factors[2], factors[3]
    for u in range(UNITS):
        i = (raw[u] - mi) * fi * norms[u] + norms[WIDTH + u]
        j = (raw[UNITS + u] - mj) * fj * norms[UNITS + u] + norms[WIDTH + UNITS + u]
        f = (raw[2 * UNITS + u] - mf) * ff * norms[2 * UNITS + u] + norms[WIDTH + 2 * UNITS + u]
        o = (raw[3 * UNITS + u] - mo) * fo * norms[3 * UNITS + u] + norms[WIDTH + 3 * UNITS + u]
        kept = (_HALF + _HALF * tanh(_HALF * f)) * cell[u]
        cell[u] = kept + (_HALF + _HALF * tanh(_HALF * i)) * tanh(j)
        raw[3 * UNITS + u] = _HALF + _HALF * tanh(_HALF * o)


@inner(fastmath=FMA)
def _shown(raw: Any, norms: Any, mean: Any, factor: Any, cell: Any, hidden: Any) -> None:
    """One panel's new c becomes its 32 units' h; raw holds the output gate."""
    for u in range(UNITS):
        normed = (cell[u] - mean) * factor * norms[_C + u] + norms[_C + UNITS + u]
        hidden[u] = raw[3 * UNITS + u] * tanh(normed)


@inner(fastmath=FMA)
def normed(raw: Any, norms: Any, units: Any, lanes: Any, cell: Any, hidden: Any) -> None:
    """One voice's sums (128 P or more) become its new c (in place) and h, (32 P,): ``cell_math._normed``.

    ``norms`` (P, NORMS); scratch ``lanes`` (40,) or more: 32 lanes, then the means and factors of the four gates.
    """
    for g in range(4):
        lanes[UNITS + g], lanes[UNITS + 4 + g] = _moments(raw, g * UNITS, WIDTH, units, lanes)
    for p in range(norms.shape[0]):
        _gated(raw[p * WIDTH : (p + 1) * WIDTH], norms[p], lanes[UNITS : UNITS + 4], lanes[UNITS + 4 : UNITS + 8],
               cell[p * UNITS : (p + 1) * UNITS])  # fmt: skip
    mean, factor = _moments(cell, 0, UNITS, units, lanes)
    for p in range(norms.shape[0]):
        first = p * UNITS
        _shown(raw[p * WIDTH : (p + 1) * WIDTH], norms[p], mean, factor, cell[first : first + UNITS],
               hidden[first : first + UNITS])  # fmt: skip


@compiled(fastmath=FMA)
def update(gates: Any, scales: Any, norms: Any, units: Any, head_w: Any, head_scales: Any, head_b: Any, token: Any,
           sums: Any, inputs: Any, raw: Any, voices: Any, bias: Any, start_hidden: Any, start_cell: Any, given: Any,
           hidden: Any, cell: Any, head: Any) -> None:  # fmt: skip
    """The cell and the head for every voice; a voice whose drawing is over begins the next first.

    Weights: gates (P, K, 128), scales (K,), norms (P, NORMS), units (H), head_w (Q, 32 P, 128), head_scales (32 P,),
    head_b (Q, 128), token (5,).
    Voices: voices (N,) records, bias (N, 128 P), start_hidden, start_cell, hidden and cell (N, 32 P), given (N, 5).
    Scratch: sums (TILE, 128), inputs (N, K), raw (N, 128 P). The result: head (N, 128 Q).
    """
    for a in range(0, hidden.shape[0], BLOCK):
        b = min(a + BLOCK, hidden.shape[0])
        for n in range(a, b):
            voice = voices[n]
            if voice["done"]:
                begin(voice)
                for u in range(hidden.shape[1]):
                    hidden[n, u], cell[n, u] = start_hidden[n, u], start_cell[n, u]
                for k in range(5):
                    given[n, k] = token[k]
            for k in range(5):
                inputs[n, k] = as_input(given[n, k] * scales[k], inputs)
            for k in range(hidden.shape[1]):
                inputs[n, place(5 + k)] = as_input(hidden[n, k] * scales[place(5 + k)], inputs)
            paired(inputs, n, gates)
            for k in range(bias.shape[1]):
                raw[n, k] = bias[n, k]
        for p in range(gates.shape[0]):
            products(gates[p], inputs, a, 0, raw, a, p * WIDTH, b - a)
        for n in range(a, b):
            normed(raw[n], norms, units, sums[0], cell[n], hidden[n])
        head_of(head_w, head_scales, head_b, hidden, a, b, inputs, head)
