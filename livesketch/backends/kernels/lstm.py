"""The step of an LSTM: magenta/magenta ``sketch_rnn/rnn.py`` LSTMCell."""

from typing import Any

import numpy as np

from .common import ACT, BLOCK, FMA, TILE, UNITS, UPDATE, WIDTH, begin, compiled, copy, head_of, products, tanh, times
from .sampling import act

_HALF = np.float32(0.5)


@compiled(fastmath=FMA)
def lstm_cell(sums: Any, cell: Any, hidden: Any) -> None:
    """One panel's gates become its 32 units' new c (in place) and h: magenta ``rnn.py`` LSTMCell."""
    for u in range(UNITS):
        i = _HALF + _HALF * tanh(_HALF * sums[u])
        j = tanh(sums[UNITS + u])
        f = _HALF + _HALF * tanh(_HALF * sums[2 * UNITS + u])
        o = _HALF + _HALF * tanh(_HALF * sums[3 * UNITS + u])
        c = f * cell[u] + i * j
        cell[u] = c
        hidden[u] = o * tanh(c)


@compiled(fastmath=FMA)
def _update(gates: Any, scales: Any, head_w: Any, head_scales: Any, head_b: Any, token: Any, sums: Any, inputs: Any,
           voices: Any, bias: Any, start_hidden: Any, start_cell: Any, given: Any, hidden: Any, cell: Any,
           head: Any) -> None:  # fmt: skip
    """The cell and the head for every voice; a voice whose drawing is over begins the next first.

    Weights: gates (P, K, 128), scales (K,), head_w (Q, 32 P, 128), head_scales (32 P,), head_b (Q, 128), token (5,).
    Voices: voices (N,) records, bias (N, 128 P), start_hidden, start_cell, hidden and cell (N, 32 P), given (N, 5).
    Scratch: sums (TILE, 128), inputs (N, K). The result: head (N, 128 Q).
    """
    count = hidden.shape[0]
    for n in range(count):
        if voices[n]["done"]:
            begin(voices[n], hidden[n], cell[n], given[n], start_hidden[n], start_cell[n], token)
        times(given[n], scales[:5], inputs[n])
        times(hidden[n], scales[5:], inputs[n, 5:])
    for p in range(gates.shape[0]):
        first = p * UNITS
        for n in range(0, count, TILE):
            some = min(TILE, count - n)
            for i in range(some):
                copy(bias[n + i, p * WIDTH : (p + 1) * WIDTH], sums[i])
            products(gates[p], inputs, n, 0, sums, 0, 0, some)
            for i in range(some):
                lstm_cell(sums[i], cell[n + i, first : first + UNITS], hidden[n + i, first : first + UNITS])
    for n in range(count):
        times(hidden[n], head_scales, inputs[n])
    head_of(head_w, head_b, inputs, head)


@compiled()
def step(gates: Any, scales: Any, head_w: Any, head_scales: Any, head_b: Any, token: Any, sums: Any, inputs: Any,
         voices: Any, bias: Any, start_hidden: Any, start_cell: Any, given: Any, hidden: Any, cell: Any, head: Any,
         mixtures: Any, divisors: Any, spreads: Any, override: Any, actions: Any, scale: Any, max_steps: Any,
         count: Any, phase: Any) -> None:  # fmt: skip
    """``_update``, ``act``, or both in one call, which no signal can break off: phase UPDATE, ACT or BOTH."""
    if phase & UPDATE:
        for a in range(0, hidden.shape[0], BLOCK):
            b = min(a + BLOCK, hidden.shape[0])
            _update(gates, scales, head_w, head_scales, head_b, token, sums, inputs[a:b], voices[a:b], bias[a:b],
                    start_hidden[a:b], start_cell[a:b], given[a:b], hidden[a:b], cell[a:b], head[a:b])  # fmt: skip
    if phase & ACT:
        act(voices, given, head, mixtures, divisors, spreads, override, actions, scale, max_steps, count)
