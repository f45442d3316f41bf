"""The step of an LSTM: magenta/magenta ``sketch_rnn/rnn.py`` LSTMCell."""

from typing import Any

import numpy as np

from .common import (
    BLOCK,
    FMA,
    NIL,
    TILE,
    UNITS,
    WIDTH,
    as_input,
    begin,
    compiled,
    inner,
    paired,
    place,
    product,
    products,
    tanh,
)

_HALF = np.float32(0.5)


@inner(fastmath=FMA)
def lstm_cell(sums: Any, i: Any, cell: Any, hidden: Any, row: Any, first: Any) -> None:
    """One panel's gates, sums[i], become the new c (in place) and h of 32 units, of a row of these from ``first`` on.

    Formula: magenta ``rnn.py`` LSTMCell.
    """
    for u in range(UNITS):
        enter = _HALF + _HALF * tanh(_HALF * sums[i, u])
        new = tanh(sums[i, UNITS + u])
        keep = _HALF + _HALF * tanh(_HALF * sums[i, 2 * UNITS + u])
        show = _HALF + _HALF * tanh(_HALF * sums[i, 3 * UNITS + u])
        c = keep * cell[row, place(first + u)] + enter * new
        cell[row, place(first + u)] = c
        hidden[row, place(first + u)] = show * tanh(c)


@compiled(fastmath=FMA)
def update(several: Any, panels: Any, scales: Any, token: Any, sums: Any, inputs: Any, voices: Any, bias: Any,
           start_hidden: Any, start_cell: Any, given: Any, hidden: Any, cell: Any, head: Any) -> None:  # fmt: skip
    """The cell and the head for every voice; a voice whose drawing is over begins the next first.

    ``several``: None where there is only one voice, for which less is compiled; else True.
    Weights: panels (P + Q, K, 128) of the gates, then of the head, whose rows for the step's input are zero; scales
    (2, K) of the rows in either; token (5,).
    Voices: voices (N,) records, bias (N, 128 (P + Q)), start_hidden, start_cell, hidden and cell (N, 32 P),
    given (N, 5).
    Scratch: sums (TILE, 128), inputs (N, K). The result: head (N, 128 Q).
    """
    units = hidden.shape[1]
    for a in range(0, hidden.shape[0], BLOCK):
        b = a + BLOCK if a + BLOCK < hidden.shape[0] else hidden.shape[0]
        for n in range(a, b):
            voice = voices[n]
            if voice["done"]:
                begin(voice)
                for u in range(units):
                    hidden[n, u], cell[n, u] = start_hidden[n, u], start_cell[n, u]
                for k in range(5):
                    given[n, k] = token[k]
            for k in range(5):
                inputs[n, k] = as_input(given[n, k] * scales[0, k], inputs)
            for k in range(units):
                inputs[n, place(5 + k)] = as_input(hidden[n, k] * scales[0, place(5 + k)], inputs)
            paired(inputs, n, panels)
        for p in range(panels.shape[0]):
            first = p * UNITS
            if first == units:
                for n in range(a, b):
                    for k in range(units):
                        inputs[n, place(5 + k)] = as_input(hidden[n, k] * scales[1, place(5 + k)], inputs)
                    paired(inputs, n, panels)
            for n in range(a, b, TILE):
                some = TILE if n + TILE < b else b - n
                for i in range(some):
                    for k in range(WIDTH):
                        sums[i, k] = bias[n + i, place(p * WIDTH + k)]
                if several is None:
                    product(panels[p], inputs, n, NIL, sums, NIL, NIL)
                else:
                    products(panels[p], inputs, n, NIL, sums, NIL, NIL, some)
                for i in range(some):
                    if first < units:
                        lstm_cell(sums, i, cell, hidden, n + i, first)
                    else:
                        for k in range(WIDTH):
                            head[n + i, place(4 * (first - units) + k)] = sums[i, k]
