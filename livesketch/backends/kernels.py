"""The cpu backend's arithmetic, compiled by numba on first use and cached on disk.

Every output is one chain of fused multiply-adds over k in ascending order, starting from its bias. That fixes its
bits: neither the number of voices nor the split into panels can change them. Weights stay int16 where the checkpoint
holds int16; each input is multiplied by its row's scale first, so no weight is ever rounded.

Layout: the gate matrix is cut into panels of 32 units, (panel, k, 4 gates * 32), the head into panels of 128 outputs.
"""

import logging
import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

_LOG: Final = logging.getLogger("livesketch")

UNITS = 32
WIDTH = 4 * UNITS
UPDATE, ACT, BOTH = 1, 2, 3
ROWS = 4
"""Rows of a panel taken per turn; k is padded to a multiple with zero rows."""

_FMA = {"contract"}  # a * b + c may become one fused operation; nothing may be reordered
_f = np.float32

# tanh(x) = x P(x^2) / Q(x^2) on |x| <= 7.998, degrees 5 and 3, fitted by iteratively reweighted least squares to the
# relative error; largest error in float32 3.1e-7, never above 1.
_LIMIT = _f(7.998)
_P = tuple(
    map(_f, (0.9999999812433896, 0.12979348936702514, 0.002985999009757274, 9.879976902165408e-06,
             -1.4708549207927652e-08, 2.352117264406356e-11))
)  # fmt: skip
_Q = tuple(map(_f, (0.463126650546895, 0.024028479472930818, 0.0002372225734467569)))
_P0, _P1, _P2, _P3, _P4, _P5 = _P
_Q1, _Q2, _Q3 = _Q
_ONE, _HALF, _NIL = _f(1), _f(0.5), _f(0)


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """``numba.njit`` with its cache on disk; where no folder for it can be written, each process compiles anew."""

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError as err:
            _LOG.warning("%s; set NUMBA_CACHE_DIR to a folder that can be written to start faster", err)
            return njit(**options)(function)

    return decorate


@compiled(fastmath=_FMA)
def _tanh(x: Any) -> Any:
    x = min(max(x, -_LIMIT), _LIMIT)
    s = x * x
    p = ((((_P5 * s + _P4) * s + _P3) * s + _P2) * s + _P1) * s + _P0
    q = ((_Q3 * s + _Q2) * s + _Q1) * s + _ONE
    return x * p / q


@compiled(fastmath=_FMA)
def _panel(weights: Any, inputs: Any, sums: Any) -> None:
    """sums[j] += weights[k, j] * inputs[k], k ascending; weights (K, 128), K a multiple of 4."""
    for k in range(0, weights.shape[0], ROWS):
        a0, a1, a2, a3 = inputs[k], inputs[k + 1], inputs[k + 2], inputs[k + 3]
        for j in range(WIDTH):
            s = sums[j]
            s = _f(weights[k, j]) * a0 + s
            s = _f(weights[k + 1, j]) * a1 + s
            s = _f(weights[k + 2, j]) * a2 + s
            s = _f(weights[k + 3, j]) * a3 + s
            sums[j] = s


@compiled(fastmath=_FMA)
def _cell(sums: Any, cell: Any, hidden: Any) -> None:
    """One panel's gates become its 32 units' new c (in place) and h: magenta ``rnn.py`` LSTMCell."""
    for u in range(UNITS):
        i = _HALF + _HALF * _tanh(_HALF * sums[u])
        j = _tanh(sums[UNITS + u])
        f = _HALF + _HALF * _tanh(_HALF * sums[2 * UNITS + u])
        o = _HALF + _HALF * _tanh(_HALF * sums[3 * UNITS + u])
        c = f * cell[u] + i * j
        cell[u] = c
        hidden[u] = o * _tanh(c)


@compiled()
def _copy(values: Any, out: Any) -> None:
    """``out[:] = values``; that form would compile NumPy's error message about shapes, for seconds."""
    for k in range(out.shape[0]):
        out[k] = values[k]


@compiled(fastmath=_FMA)
def _scale(values: Any, scales: Any, out: Any) -> None:
    for k in range(values.shape[0]):
        out[k] = values[k] * scales[k]


@compiled()
def _begin(voice: Any, hidden: Any, cell: Any, given: Any, start_hidden: Any, start_cell: Any, token: Any) -> None:
    """A finished drawing gives way to step 0 of the next: ``NumpyBatch.restart``."""
    voice["drawing"] += 1
    voice["step"], voice["x"], voice["y"], voice["pen"], voice["done"] = 0, 0.0, 0.0, 0, False
    _copy(start_hidden, hidden)
    _copy(start_cell, cell)
    _copy(token, given)


@compiled(fastmath=_FMA)
def _update(gates: Any, scales: Any, head_w: Any, head_scales: Any, head_b: Any, token: Any, sums: Any, inputs: Any,
           voices: Any, bias: Any, start_hidden: Any, start_cell: Any, given: Any, hidden: Any, cell: Any,
           head: Any) -> None:  # fmt: skip
    """The cell and the head for every voice; a voice whose drawing is over begins the next first.

    Weights: gates (P, K, 128), scales (K,), head_w (Q, 32 P, 128), head_scales (32 P,), head_b (Q, 128), token (5,).
    Voices: voices (N,) records, bias (N, 128 P), start_hidden, start_cell, hidden and cell (N, 32 P), given (N, 5).
    Scratch: sums (128,), inputs (N, K). The result: head (N, 128 Q).
    """
    count = hidden.shape[0]
    for n in range(count):
        if voices[n]["done"]:
            _begin(voices[n], hidden[n], cell[n], given[n], start_hidden[n], start_cell[n], token)
        _scale(given[n], scales[:5], inputs[n])
        _scale(hidden[n], scales[5:], inputs[n, 5:])
    for p in range(gates.shape[0]):
        first = p * UNITS
        for n in range(count):
            _copy(bias[n, p * WIDTH : (p + 1) * WIDTH], sums)
            _panel(gates[p], inputs[n], sums)
            _cell(sums, cell[n, first : first + UNITS], hidden[n, first : first + UNITS])
    for n in range(count):
        _scale(hidden[n], head_scales, inputs[n])
    for q in range(head_w.shape[0]):
        for n in range(count):
            _copy(head_b[q], sums)
            _panel(head_w[q], inputs[n], sums)
            _copy(sums, head[n, q * WIDTH : (q + 1) * WIDTH])


_U32 = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)


@compiled()
def _philox(step: Any, voice: Any, drawing: Any, key_low: Any, key_high: Any, out: Any) -> None:
    """``sampling.uniforms`` with use 0, four float64 numbers into out."""
    c0, c1 = np.uint64(step) & _U32, np.uint64(voice) & _U32
    c2, c3 = np.uint64(drawing) & _U32, np.uint64(0)
    k0, k1 = np.uint64(key_low), np.uint64(key_high)
    for _ in range(10):
        p0, p1 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (p1 >> _SHIFT) ^ c1 ^ k0, p1 & _U32, (p0 >> _SHIFT) ^ c3 ^ k1, p0 & _U32
        k0 = (k0 + np.uint64(0x9E3779B9)) & _U32
        k1 = (k1 + np.uint64(0xBB67AE85)) & _U32
    out[0], out[1] = (
        (np.float64(c0 >> np.uint64(9)) + 0.5) * 2.0**-23,
        (np.float64(c1 >> np.uint64(9)) + 0.5) * 2.0**-23,
    )
    out[2], out[3] = (
        (np.float64(c2 >> np.uint64(9)) + 0.5) * 2.0**-23,
        (np.float64(c3 >> np.uint64(9)) + 0.5) * 2.0**-23,
    )


@compiled()
def _choose(head: Any, first: Any, count: Any, divisor: Any, u: Any) -> Any:
    """``sampling.choose`` over head[first : first + count]."""
    best, top = 0, -1e30
    for k in range(count):
        value = min(np.float64(head[first + k]), 1e30)
        if value > top:
            best, top = k, value
    if divisor == 0.0:
        return best
    total = 0.0
    for k in range(count):
        total += math.exp((max(min(np.float64(head[first + k]), 1e30), -1e30) - top) / divisor)
    target, running = u * total, 0.0
    for k in range(count):
        running += math.exp((max(min(np.float64(head[first + k]), 1e30), -1e30) - top) / divisor)
        if running >= target:
            return k
    return count - 1


@compiled()
def _move(
    voice: Any, given: Any, action: Any, dx: Any, dy: Any, pen: Any, component: Any, scale: Any, max_steps: Any
) -> None:
    """``ReferenceBatch._move``: the action is written and becomes the next input."""
    ended = pen == 2
    given[0], given[1] = dx, dy
    given[2], given[3], given[4] = pen == 0, pen == 1, ended
    if ended:
        dx, dy = 0.0, 0.0
    voice["x"] += dx * scale
    voice["y"] += dy * scale
    last = ended or voice["step"] + 1 >= max_steps
    action["drawing"], action["step"] = voice["drawing"], voice["step"]
    action["x"], action["y"] = voice["x"], voice["y"]
    action["dx"], action["dy"] = dx * scale, dy * scale
    action["component"], action["pen"] = component, pen
    action["ink"], action["last"], action["ended"] = voice["pen"] == 0 and not ended, last, ended
    voice["pen"], voice["done"] = pen, last
    voice["step"] += 1


@compiled()
def _act(voices: Any, given: Any, head: Any, mixtures: Any, divisors: Any, spreads: Any, override: Any, actions: Any,
        scale: Any, max_steps: Any, count: Any) -> None:  # fmt: skip
    """``sampling.sample`` and the move for every voice, in float64; override (N, 4), or (0, 4) for Philox."""
    u = np.empty(4)
    for n in range(voices.shape[0]):
        voice, row = voices[n], head[n]
        if override.shape[0]:
            _copy(override[n], u)
        else:
            _philox(voice["step"], voice["voice"], voice["drawing"], voice["key_low"], voice["key_high"], u)
        k = _choose(row, 3, mixtures, divisors[n], u[0])
        pen = _choose(row, 0, 3, divisors[n], u[1])
        at = 3 + mixtures + k
        mu_x, mu_y = np.float64(row[at]), np.float64(row[at + mixtures])
        sigma_x = math.exp(max(min(np.float64(row[at + 2 * mixtures]), 60.0), -60.0)) * spreads[n]
        sigma_y = math.exp(max(min(np.float64(row[at + 3 * mixtures]), 60.0), -60.0)) * spreads[n]
        raw = np.float64(row[at + 4 * mixtures])
        size = abs(raw)
        free = math.exp(math.log(2.0) - size - math.log1p(math.exp(-2.0 * size)))
        radius, angle = math.sqrt(-2.0 * math.log(u[2])), 2.0 * math.pi * u[3]
        z1, z2 = radius * math.cos(angle), radius * math.sin(angle)
        dx = mu_x + sigma_x * (free * z1 + math.tanh(raw) * z2)
        _move(voice, given[n], actions[n], dx, mu_y + sigma_y * z2, pen, k, scale, max_steps)
    count[0] += 1


@compiled()
def step(gates: Any, scales: Any, head_w: Any, head_scales: Any, head_b: Any, token: Any, sums: Any, inputs: Any,
         voices: Any, bias: Any, start_hidden: Any, start_cell: Any, given: Any, hidden: Any, cell: Any, head: Any,
         mixtures: Any, divisors: Any, spreads: Any, override: Any, actions: Any, scale: Any, max_steps: Any,
         count: Any, phase: Any) -> None:  # fmt: skip
    """``_update``, ``_act``, or both in one call, which no signal can break off: phase UPDATE, ACT or BOTH."""
    if phase & UPDATE:
        _update(gates, scales, head_w, head_scales, head_b, token, sums, inputs, voices, bias, start_hidden, start_cell,
                given, hidden, cell, head)  # fmt: skip
    if phase & ACT:
        _act(voices, given, head, mixtures, divisors, spreads, override, actions, scale, max_steps, count)


@compiled()
def force(voices: Any, given: Any, actions: Any, dx: Any, dy: Any, pen: Any, scale: Any, max_steps: Any) -> None:
    """One voice takes this move (model units) as its own: arrays of one voice each."""
    _move(voices[0], given[0], actions[0], dx, dy, pen, -1, scale, max_steps)


def pack(matrix: NDArray[Any], rows: int) -> NDArray[Any]:
    """Panels (columns / 128, rows, 128) of a matrix (k, columns), with zero rows up to ``rows``, C-contiguous."""
    k, columns = matrix.shape
    out = np.zeros((rows, math.ceil(columns / WIDTH) * WIDTH), matrix.dtype)
    out[:k, :columns] = matrix
    return np.ascontiguousarray(out.reshape(rows, -1, WIDTH).transpose(1, 0, 2))


def by_panel(gates: NDArray[Any], hidden: int) -> NDArray[Any]:
    """Gate columns (..., 4H) in blocks i, j, f, o as (..., P * 128): for each 32 units i, j, f, o; H padded."""
    panels = math.ceil(hidden / UNITS)
    split = gates.reshape(*gates.shape[:-1], 4, hidden)
    padded = np.zeros((*gates.shape[:-1], 4, panels * UNITS), gates.dtype)
    padded[..., :hidden] = split
    parted = padded.reshape(*gates.shape[:-1], 4, panels, UNITS)
    return np.ascontiguousarray(np.moveaxis(parted, -3, -2)).reshape(*gates.shape[:-1], panels * WIDTH)
