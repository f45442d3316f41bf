"""The step of a text_attention: blocks of attention over a ring of the last tokens, then the logits and the token.

Norms and softmax run in float64, whose range no weight that is let in can leave; sums of both in one fixed order.
"""

import math
from typing import Any

import numpy as np

from ...models.text_model import NORM_EPSILON
from .common import FMA, compiled, inner, tanh
from .text_panels import begin, multiplied, ready
from .text_weights import weighed

_f = np.float32
_ONE, _HALF, _NIL = _f(1), _f(0.5), _f(0)
_CUBIC, _SLOPE = _f(0.044715), _f(math.sqrt(2 / math.pi))
QKV, OUT, UP, DOWN = 0, 1, 2, 3
"""The matrices of a block, as the plan and the biases hold them."""


@inner(fastmath=FMA)
def _normed(x: Any, norm: Any, scale: Any, out: Any) -> None:
    """``out[:E]``: the norm of x (E,), times gamma plus beta (norm (2, E)), times the scale of what follows."""
    size = x.shape[0]
    mean, square = 0.0, 0.0
    for k in range(size):
        mean += np.float64(x[k])
    mean /= size
    for k in range(size):
        apart = np.float64(x[k]) - mean
        square += apart * apart
    factor = 1.0 / math.sqrt(square / size + NORM_EPSILON)
    for k in range(size):
        out[k] = (_f((np.float64(x[k]) - mean) * factor) * norm[0, k] + norm[1, k]) * scale


@inner(fastmath=FMA)
def _gelu(wide: Any, scale: Any, out: Any) -> None:
    """``out``: the tanh form of GELU, times the scale of what follows."""
    for k in range(out.shape[0]):
        x = wide[k]
        out[k] = _HALF * x * (_ONE + tanh(_SLOPE * (x + _CUBIC * x * x * x))) * scale


@inner(fastmath=FMA)
def _scores(q: Any, keys: Any, first: Any, used: Any, scores: Any) -> None:
    """One head's q k at every place that is used: q (D,), keys (E, window) from row ``first`` on."""
    for j in range(used):
        scores[j] = _NIL
    for d in range(q.shape[0]):
        for j in range(used):
            scores[j] = q[d] * keys[first + d, j] + scores[j]


@inner(fastmath=FMA)
def _attended(q: Any, keys: Any, values: Any, first: Any, at: Any, slope: Any, scores: Any, aged: Any,
              out: Any) -> None:  # fmt: skip
    """One head's mean of the values, out (D,): keys (E, window), values (window, E), at the token's number.

    Scratch: scores (window,), aged (2, window).
    """
    size, window = q.shape[0], values.shape[0]
    used, place = min(at + 1, window), at % window
    _scores(q, keys, first, used, scores)
    factor, top = 1.0 / math.sqrt(size), -math.inf
    for j in range(used):
        age = place - j if j <= place else place - j + window
        aged[0, j] = np.float64(scores[j]) * factor - slope * age
        top = max(top, aged[0, j])
    weighed(aged[0], top, 1.0, aged[0, :used], aged[1])
    total = 0.0
    for j in range(used):
        total += aged[1, j]
    for d in range(size):
        out[d] = _NIL
    for j in range(used):
        share, row = _f(aged[1, j] / total), values[j, first : first + size]
        for d in range(size):
            out[d] = share * row[d] + out[d]


@inner()
def _attend(wide: Any, keys: Any, values: Any, at: Any, slopes: Any, scores: Any, aged: Any, out: Any) -> None:
    """All heads of one voice: wide (3 E or more) holds q, k, v, which join the rings; out (E or more)."""
    window, size = values.shape
    each, place = size // slopes.shape[0], at % window
    for k in range(size):
        keys[k, place], values[place, k] = wide[size + k], wide[2 * size + k]
    for head in range(slopes.shape[0]):
        first, until = head * each, (head + 1) * each
        _attended(wide[first:until], keys, values, first, at, slopes[head], scores, aged, out[first:until])


@inner(fastmath=FMA)
def _added(wide: Any, x: Any) -> None:
    for k in range(x.shape[0]):
        x[k] += wide[k]


@inner(fastmath=FMA)
def _scaled(scale: Any, out: Any) -> None:
    for k in range(out.shape[0]):
        out[k] *= scale


@inner()
def _block(several: Any, rows: Any, plan: Any, scales: Any, biases: Any, widths: Any, norms: Any, slopes: Any,
           scores: Any, aged: Any, x: Any, inputs: Any, wide: Any, keys: Any, values: Any, writers: Any,
           block: Any) -> None:  # fmt: skip
    """One block for every voice: plan (4, 2), scales (4,), biases (4, W), norms (2, 2, E)."""
    count, size = x.shape[0], x.shape[1]
    for n in range(count):
        _normed(x[n], norms[0], scales[QKV], inputs[n])
        ready(inputs, n, size, plan[QKV, 1], rows)
    multiplied(several, rows, plan[QKV, 0], plan[QKV, 1], biases[QKV, : widths[QKV]], inputs, wide)
    for n in range(count):
        _attend(wide[n], keys[n, block], values[n, block], writers[n]["step"], slopes, scores, aged, inputs[n])
        _scaled(scales[OUT], inputs[n, :size])
        ready(inputs, n, size, plan[OUT, 1], rows)
    multiplied(several, rows, plan[OUT, 0], plan[OUT, 1], biases[OUT, : widths[OUT]], inputs, wide)
    for n in range(count):
        _added(wide[n], x[n])
        _normed(x[n], norms[1], scales[UP], inputs[n])
        ready(inputs, n, size, plan[UP, 1], rows)
    multiplied(several, rows, plan[UP, 0], plan[UP, 1], biases[UP, : widths[UP]], inputs, wide)
    for n in range(count):
        _gelu(wide[n], scales[DOWN], inputs[n, : 4 * size])
        ready(inputs, n, 4 * size, plan[DOWN, 1], rows)
    multiplied(several, rows, plan[DOWN, 0], plan[DOWN, 1], biases[DOWN, : widths[DOWN]], inputs, wide)
    for n in range(count):
        _added(wide[n], x[n])


@compiled()
def update(several: Any, rows: Any, plan: Any, scales: Any, biases: Any, widths: Any, norms: Any, head_b: Any,
           embedding: Any, embed_scale: Any, slopes: Any, scores: Any, aged: Any, x: Any, inputs: Any, wide: Any,
           labels: Any, keys: Any, values: Any, writers: Any, logits: Any) -> None:  # fmt: skip
    """The blocks and the logits for every voice; a voice whose piece is over begins the next first.

    ``several``: None where there is only one voice, for which less is compiled; else True.
    Weights: rows (R, 128); plan (blocks + 1, 4, 2), of each matrix (of the head in place 0 behind the blocks) its first
    row and the rows of a panel; scales (blocks + 1, 4); biases (blocks, 4, W), of which ``widths`` (4,) are used; norms
    (blocks + 1, 2, 2, E); head_b (W,); embedding (V, E), embed_scale; slopes (heads,).
    Voices: labels (N, E), keys (N, blocks, E, window), values (N, blocks, window, E), writers (N,) records.
    Scratch: scores (window,), aged (2, window), x (N, E), inputs (N, 4 E or more), wide (N, W). The result: logits.
    """
    count, blocks = x.shape[0], keys.shape[1]
    for n in range(count):
        if writers[n]["done"]:
            begin(writers[n])
        token = writers[n]["token"]
        for k in range(x.shape[1]):
            x[n, k] = _f(embedding[token, k]) * embed_scale
        _added(labels[n], x[n])
    for block in range(blocks):
        _block(several, rows, plan[block], scales[block], biases[block], widths, norms[block], slopes, scores, aged, x,
               inputs, wide, keys, values, writers, block)  # fmt: skip
    for n in range(count):
        _normed(x[n], norms[blocks, 0], scales[blocks, 0], inputs[n])
        ready(inputs, n, x.shape[1], plan[blocks, 0, 1], rows)
    multiplied(several, rows, plan[blocks, 0, 0], plan[blocks, 0, 1], head_b, inputs, logits)
