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
    fetch,
    inner,
    place,
    product,
    products,
    share,
    tanh,
)

_HALF, _ZERO = np.float32(0.5), np.float32(0)


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


@inner(fastmath=False)  # so that it gives the same numbers in whatever kernel
def taken(values: Any, scale: Any, panels: Any, inputs: Any, at: Any) -> None:
    """inputs[at:], at even, become values times scale the way ``product`` takes them with such weights."""
    last = values.shape[0] - 1
    for k in range(last):
        other = share(panels) * np.float32(1 - (k & 1))
        inputs[place(at + k)] = as_input(values[k] * scale - other * (values[place(k + 1)] * scale), inputs)
    inputs[place(at + last)] = as_input(values[last] * scale, inputs)


@inner(fastmath=False)  # likewise
def headed(sums: Any, i: Any, scale: Any, bias: Any, first: Any, head: Any, column: Any) -> None:
    """A panel of the head: sums[i] times the scale, and the bias from ``first`` on, into head[column:]."""
    for k in range(WIDTH):
        head[place(column + k)] = sums[i, k] * scale + bias[place(first + k)]


@compiled(fastmath=FMA)
def update(several: Any, panels: Any, scales: Any, token: Any, sums: Any, inputs: Any, voices: Any, bias: Any,
           start_hidden: Any, start_cell: Any, given: Any, hidden: Any, cell: Any, head: Any) -> None:  # fmt: skip
    """The cell and the head for every voice; a voice whose drawing is over begins the next first.

    The sums of a gate run over h, then the step's input, then comes the bias: what h gives can be had before the input
    is known (``lstm_two``).

    ``several``: None where there is only one voice, for which less is compiled; else True.
    Weights: panels (P + Q, K, 128) of the gates, then of the head, whose rows for the step's input are zero; scales
    (3,): of the input's rows, of h's, and what the head's are times those of h; token (5,).
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
            taken(hidden[n], scales[1], panels, inputs[n - a], NIL)
            taken(given[n], scales[0], panels, inputs[n - a], units)
        for p in range(panels.shape[0]):
            first = p * UNITS
            if first == units:
                for n in range(a, b):
                    taken(hidden[n], scales[1], panels, inputs[n - a], NIL)
            rows = panels[p] if first < units else panels[p, :units]
            for n in range(a, b, TILE):
                some = TILE if n + TILE < b else b - n
                for i in range(some):
                    for k in range(WIDTH):
                        sums[i, k] = _ZERO
                if several is None:
                    product(rows, inputs, NIL, NIL, sums, NIL, NIL)
                else:
                    for i in range(some):
                        fetch(bias, n + i, p * WIDTH, WIDTH // 16)
                        if first < units:
                            fetch(cell, n + i, first, UNITS // 16)
                            fetch(hidden, n + i, first, UNITS // 16)
                    products(rows, inputs, n - a, NIL, sums, NIL, NIL, some)
                for i in range(some):
                    if first < units:
                        for k in range(WIDTH):
                            sums[i, k] += bias[n + i, place(p * WIDTH + k)]
                        lstm_cell(sums, i, cell, hidden, n + i, first)
                    else:
                        headed(sums, i, scales[2], bias[n + i], p * WIDTH, head[n + i], 4 * (first - units))
