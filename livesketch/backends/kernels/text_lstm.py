"""The step of a text_lstm: layers of the cell in ``lstm``, then the logits and the token."""

from typing import Any

import numpy as np

from .common import ACT, FMA, TILE, UNITS, UPDATE, WIDTH, compiled, copy, products, times
from .lstm import lstm_cell
from .text_panels import begin, embedded, multiplied
from .text_sampling import act

_f = np.float32
_NIL = _f(0)


@compiled(inline="always")
def _begin(writer: Any, hidden: Any, cell: Any) -> None:
    begin(writer)
    for layer in range(hidden.shape[0]):
        for u in range(hidden.shape[1]):
            hidden[layer, u], cell[layer, u] = _NIL, _NIL


@compiled(fastmath=FMA, inline="always")
def _given(embedding: Any, embed_scale: Any, layer: Any, width: Any, units: Any, scales: Any, token: Any, hidden: Any,
           inputs: Any) -> None:  # fmt: skip
    """One voice's input of a layer, [x, h] times the scales of its matrices' rows: x (width,), h (units,)."""
    if layer == 0:
        embedded(embedding, token, embed_scale, inputs)
        times(inputs[:width], scales[:width], inputs)
    else:
        times(hidden[layer - 1, :width], scales[:width], inputs)
    times(hidden[layer, :units], scales[width : width + units], inputs[width:])


@compiled()
def _update(rows: Any, plan: Any, scales: Any, bias: Any, head_b: Any, embedding: Any, embed_scale: Any, units: Any,
            gates: Any, inputs: Any, start: Any, hidden: Any, cell: Any, writers: Any,
            logits: Any) -> None:  # fmt: skip
    """The layers and the logits for every voice; a voice whose piece is over begins the next first.

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
            _begin(writers[n], hidden[n], cell[n])
    for layer in range(layers):
        first, turns, width = plan[layer, 0], plan[layer, 1], plan[layer, 2]
        for n in range(count):
            token = writers[n]["token"]
            _given(embedding, embed_scale, layer, width, units, scales[layer], token, hidden[n], inputs[n])
        for p in range(hidden.shape[2] // UNITS):
            at, until = p * UNITS, (p + 1) * UNITS
            weights = rows[first + p * turns : first + (p + 1) * turns]
            for n in range(0, count, TILE):
                some = min(TILE, count - n)
                for i in range(some):
                    own = start[n + i] if layer == 0 else bias[layer]
                    copy(own[p * WIDTH : (p + 1) * WIDTH], gates[i])
                products(weights, inputs, n, 0, gates, 0, 0, some)
                for i in range(some):
                    lstm_cell(gates[i], cell[n + i, layer, at:until], hidden[n + i, layer, at:until])
    for n in range(count):
        times(hidden[n, layers - 1, :units], scales[layers], inputs[n])
    multiplied(rows, plan[layers, 0], plan[layers, 1], head_b, inputs, logits)


@compiled()
def step(rows: Any, plan: Any, scales: Any, bias: Any, head_b: Any, embedding: Any, embed_scale: Any, units: Any,
         gates: Any, inputs: Any, start: Any, hidden: Any, cell: Any, writers: Any, logits: Any, hard: Any, soft: Any,
         masks: Any, rare: Any, settings: Any, override: Any, given: Any, actions: Any, work: Any, lanes: Any,
         order: Any, counts: Any, sums: Any, both: Any, max_steps: Any, count: Any, phase: Any) -> None:  # fmt: skip
    """``_update``, ``act``, or both in one call, which no signal can break off: phase UPDATE, ACT or BOTH."""
    if phase & UPDATE:
        _update(rows, plan, scales, bias, head_b, embedding, embed_scale, units, gates, inputs, start, hidden, cell,
                writers, logits)  # fmt: skip
    if phase & ACT:
        act(writers, logits, hard, soft, masks, rare, settings, override, given, actions, work, lanes, order, counts,
            sums, both, max_steps, count)  # fmt: skip
