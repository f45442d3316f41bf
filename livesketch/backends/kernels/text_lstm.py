"""The step of a text_lstm: layers of the cell in ``lstm``, then the logits."""

from typing import Any

import numpy as np

from .common import FMA, NIL, TILE, UNITS, WIDTH, compiled, place, product, products
from .lstm import lstm_cell
from .text_panels import begin, multiplied, ready

_f = np.float32
_NIL = _f(0)


@compiled(fastmath=FMA)
def update(several: Any, rows: Any, plan: Any, scales: Any, bias: Any, head_b: Any, embedding: Any, embed_scale: Any,
           units: Any, gates: Any, inputs: Any, start: Any, hidden: Any, cell: Any, writers: Any,
           logits: Any) -> None:  # fmt: skip
    """The layers and the logits for every voice; a voice whose piece is over begins the next first.

    ``several``: None where there is only one voice, for which less is compiled; else True.
    Weights: rows (R, 128); plan (layers + 1, 3), of each layer and of the head its first row, the rows of a panel, and
    the length of x; scales (layers + 1, K), of the rows of each matrix; bias (layers, 128 P), head_b (W,), embedding
    (V, E), embed_scale, units (H).
    Voices: start (N, 128 P), the first layer's bias with the label's share, hidden and cell (N, layers, 32 P),
    writers (N,) records.
    Scratch: gates (TILE, 128), inputs (N, K). The result: logits (N, W).
    """
    count, layers = hidden.shape[0], hidden.shape[1]
    for n in range(count):
        if writers[n]["done"]:
            begin(writers[n])
            for layer in range(layers):
                for u in range(hidden.shape[2]):
                    hidden[n, layer, u], cell[n, layer, u] = _NIL, _NIL
    for layer in range(layers):
        first, turns, width = plan[layer, 0], plan[layer, 1], plan[layer, 2]
        for n in range(count):
            if layer == 0:
                token = writers[n]["token"]
                for k in range(width):
                    inputs[n, k] = _f(embedding[token, k]) * embed_scale * scales[layer, k]
            else:
                for k in range(width):
                    inputs[n, k] = hidden[n, layer - 1, k] * scales[layer, k]
            for k in range(units):
                inputs[n, place(width + k)] = hidden[n, layer, k] * scales[layer, place(width + k)]
            ready(inputs, n, width + units, turns, rows)
        for p in range(hidden.shape[2] // UNITS):
            weights = rows[first + p * turns : first + (p + 1) * turns]
            for n in range(0, count, TILE):
                some = TILE if n + TILE < count else count - n
                for i in range(some):
                    for k in range(WIDTH):
                        at = place(p * WIDTH + k)
                        gates[i, k] = start[n + i, at] if layer == 0 else bias[layer, at]
                if several is None:
                    product(weights, inputs, n, NIL, gates, NIL, NIL)
                else:
                    products(weights, inputs, n, NIL, gates, NIL, NIL, some)
                for i in range(some):
                    lstm_cell(gates, i, cell[n + i], hidden[n + i], layer, p * UNITS)
    for n in range(count):
        for k in range(units):
            inputs[n, k] = hidden[n, layers - 1, k] * scales[layers, k]
        ready(inputs, n, units, plan[layers, 1], rows)
    multiplied(several, rows, plan[layers, 0], plan[layers, 1], head_b, inputs, logits)
