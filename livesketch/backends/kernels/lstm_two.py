"""The step of one voice of an LSTM in two threads: ``lstm.update`` with its panels shared out, and the same numbers.

One thread leads: it makes the inputs ready and says so. Then it takes panels from the first on, and the helper from the
last, until they meet, so that each mostly reads the same weights every time. The leader does not need the helper: what
that one does not take, it takes itself, and it waits only for what is taken and not done. The head is its own.
"""

from typing import Any

import numpy as np

from .atomics import added, pause, put, seen
from .common import FMA, NIL, UNITS, WIDTH, begin, compiled, inner, paired, place, product
from .lstm import lstm_cell

_LEFT, _DONE, _END = np.int64(0), np.int64(8), np.int64(16)
"""Places of ``shared``, a cache line each: the panels left, how many the helper has done, whether it is to end."""
PLACES = 24
_FIELD, _MASK = np.int64(16), np.int64(0xFFFF)
"""_LEFT holds the first panel that is left above so many bits, below them the one behind the last."""
_SHARE = 8
"""Of what is left, this part is taken at a time, from either end: that they tell each other of it costs time, too."""
_PATIENCE = 20_000
"""So often the helper looks for work, a millisecond or less, before it rests."""


@inner(fastmath=FMA)
def _panel(p: Any, panels: Any, bias: Any, inputs: Any, sums: Any, hidden: Any, cell: Any) -> None:
    for k in range(WIDTH):
        sums[0, k] = bias[0, place(p * WIDTH + k)]
    product(panels[p], inputs, NIL, NIL, sums, NIL, NIL)
    lstm_cell(sums, NIL, cell, hidden, NIL, p * UNITS)


@inner()
def _count(left: Any) -> Any:
    """How many panels are left."""
    return (left & _MASK) - ((left >> _FIELD) & _MASK)


@compiled(nogil=True)
def helped(shared: Any, panels: Any, bias: Any, inputs: Any, sums: Any, hidden: Any, cell: Any) -> Any:
    """Takes panels whenever some are left; False when it is to end, True when there was none for a while."""
    idle = 0
    while idle < _PATIENCE:
        if seen(shared, _END):
            return False
        count = _count(seen(shared, _LEFT))
        if count > 0:
            some = count // _SHARE if count > _SHARE else 1
            left = added(shared, _LEFT, -some)
            count = _count(left)
            some = count if count < some else some
            for k in range(some):
                _panel((left & _MASK) - 1 - k, panels, bias, inputs, sums, hidden, cell)
            added(shared, _DONE, some if some > 0 else 0)
            idle = 0
        else:
            idle += 1
            pause()
    return True


@compiled(fastmath=FMA)
def led(shared: Any, panels: Any, scales: Any, token: Any, sums: Any, inputs: Any, voices: Any, bias: Any,
        start_hidden: Any, start_cell: Any, given: Any, hidden: Any, cell: Any, head: Any) -> None:  # fmt: skip
    """``lstm.update`` for one voice, with whoever runs ``helped`` on the same ``shared`` and ``sums`` of its own."""
    voice, units = voices[0], hidden.shape[1]
    if voice["done"]:
        begin(voice)
        for u in range(units):
            hidden[0, u], cell[0, u] = start_hidden[0, u], start_cell[0, u]
        for k in range(5):
            given[0, k] = token[k]
    for k in range(5):
        inputs[0, k] = given[0, k] * scales[0, k]
    for k in range(units):
        inputs[0, place(5 + k)] = hidden[0, k] * scales[0, place(5 + k)]
    paired(inputs, NIL, panels)
    gates = units // UNITS
    put(shared, _DONE, 0)
    put(shared, _LEFT, gates)
    own, count = 0, gates
    while count > 0:
        some = count // _SHARE if count > _SHARE else 1
        left = added(shared, _LEFT, some << _FIELD)
        count = _count(left)
        some = count if count < some else some
        for k in range(some):
            _panel(((left >> _FIELD) & _MASK) + k, panels, bias, inputs, sums, hidden, cell)
        own += some if some > 0 else 0
        count = _count(seen(shared, _LEFT))
    while seen(shared, _DONE) < gates - own:
        pause()
    for k in range(units):
        inputs[0, place(5 + k)] = hidden[0, k] * scales[1, place(5 + k)]
    paired(inputs, NIL, panels)
    for p in range(gates, panels.shape[0]):  # shared out in turn it would take as long
        first = (p - gates) * WIDTH
        for k in range(WIDTH):
            head[0, place(first + k)] = bias[0, place(p * WIDTH + k)]
        product(panels[p], inputs, NIL, NIL, head, NIL, first)


def end(shared: Any) -> None:
    """Has ``helped`` end."""
    shared[_END] = 1
