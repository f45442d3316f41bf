"""The step of one voice of an LSTM in two threads: ``lstm.update`` with its panels shared out, and the same numbers.

A panel's sums run over h first, then over the step's input. So the helper makes the sums of h for the next step while
the leader is still busy with the head, with sampling and with whoever wants the action: it works ahead.

One word says what is left to do of P panels, and each thread takes of it by exchanging the word for another:

    0 ....... first ....... last ....... ahead ....... end ....... P
      leader's      free         helper's      waiting     finished

The leader takes free panels from the left, the helper from the right. Before the step is open (``_OPEN``), the helper
only sums, and what it has summed waits; then both finish what waits, and sum and finish what is free. The leader does
not need the helper: what that one does not take, it takes itself, and it waits only for what is taken and not done.
Sums of another h than the step begins with are thrown away: the leader compares.
"""

from typing import Any

import numpy as np

from .atomics import added, awaited, confined, core, pause, put, rung, seen, swapped
from .common import FMA, NIL, UNITS, WIDTH, begin, compiled, inner, place, product
from .lstm import headed, lstm_cell, taken

_LEFT, _DONE, _END, _ASLEEP, _BARRED = np.int64(0), np.int64(8), np.int64(16), np.int64(24), np.int64(32)
"""Places of ``shared``, a cache line each: the word, how many panels the helper has finished, whether it is to end,
whether it waits for the bell, and the core that it is kept from, plus one."""
PLACES = 40
CORES = 1024
"""So many are told apart."""
_LAST, _AHEAD, _BEHIND, _OPEN = np.int64(12), np.int64(24), np.int64(36), np.int64(48)
"""Where in the word what begins; ``first`` at 0."""
_MASK = np.int64(0xFFF)
_PATIENCE = np.int64(5_000)
"""So often the helper looks for work, some 0.2 ms where a pause takes 40 ns, before it sleeps."""
_ZERO = np.float32(0)


@inner()
def _first(word: Any) -> Any:
    return word & _MASK


@inner()
def _last(word: Any) -> Any:
    return (word >> _LAST) & _MASK


@inner()
def _ahead(word: Any) -> Any:
    return (word >> _AHEAD) & _MASK


@inner()
def _end(word: Any) -> Any:
    return (word >> _BEHIND) & _MASK


@inner()
def _fresh(panels: Any) -> Any:
    """The word of a step of which nothing is taken."""
    return (panels << _LAST) | (panels << _AHEAD) | (panels << _BEHIND)


@inner(fastmath=FMA)
def _sum(p: Any, panels: Any, ahead: Any, sums: Any) -> None:
    """What h gives panel p."""
    for k in range(WIDTH):
        sums[place(p), k] = _ZERO
    product(panels[p, : ahead.shape[1]], ahead, NIL, NIL, sums, p, NIL)


@inner(fastmath=FMA)
def _finish(p: Any, panels: Any, bias: Any, now: Any, sums: Any, hidden: Any, cell: Any) -> None:
    """The step's input, the bias, and the cell."""
    product(panels[p, hidden.shape[1] :], now, NIL, NIL, sums, p, NIL)
    for k in range(WIDTH):
        sums[place(p), k] += bias[0, place(p * WIDTH + k)]
    lstm_cell(sums, p, cell, hidden, NIL, p * UNITS)


@inner()
def _help(shared: Any, word: Any, panels: Any, bias: Any, ahead: Any, now: Any, sums: Any, hidden: Any,
          cell: Any) -> Any:  # fmt: skip
    """Takes a panel and does what can be done; False where there is none."""
    opened = (word >> _OPEN) != 0
    if opened and _ahead(word) < _end(word):
        if swapped(shared, _LEFT, word, word - (NIL + 1 << _BEHIND)):
            _finish(_end(word) - 1, panels, bias, now, sums, hidden, cell)
            added(shared, _DONE, 1)
    elif _first(word) < _last(word):
        if swapped(shared, _LEFT, word, word - (NIL + 1 << _LAST)):
            p = _last(word) - 1
            _sum(p, panels, ahead, sums)
            while not opened:
                word = seen(shared, _LEFT)
                opened = (word >> _OPEN) != 0
                if not opened and swapped(shared, _LEFT, word, word - (NIL + 1 << _AHEAD)):
                    return True
            _finish(p, panels, bias, now, sums, hidden, cell)
            added(shared, _DONE, 1)
    else:
        return False
    return True


@compiled(nogil=True)
def helped(shared: Any, bell: Any, panels: Any, bias: Any, ahead: Any, now: Any, sums: Any, hidden: Any,
           cell: Any) -> None:  # fmt: skip
    """Takes panels whenever some are left, until it is to end; ``bell`` is the end of a pipe that it sleeps at."""
    idle = NIL
    while not seen(shared, _END):
        if _help(shared, seen(shared, _LEFT), panels, bias, ahead, now, sums, hidden, cell):
            idle = NIL
        elif idle < _PATIENCE:
            idle += 1
            pause()
        else:
            idle = NIL
            added(shared, _ASLEEP, 1)
            word = seen(shared, _LEFT)
            if not (seen(shared, _END) or _first(word) < _last(word)):
                awaited(bell)
            put(shared, _ASLEEP, 0)


@inner()
def _same(a: Any, b: Any) -> Any:
    differ = np.int32(0)
    for k in range(a.shape[0]):
        differ |= a[k] ^ b[k]
    return differ == 0


@inner()
def _publish(shared: Any, panels: Any, scales: Any, hidden: Any, ahead: Any, was: Any, opened: Any) -> None:
    """From here on the sums of this h are made."""
    for k in range(hidden.shape[1]):
        was[k] = hidden[0, k]
    taken(hidden[0], scales[1], panels, ahead[0], NIL)
    put(shared, _DONE, 0)
    put(shared, _LEFT, _fresh(np.int64(hidden.shape[1] // UNITS)) | (opened << _OPEN))


@inner()
def _wake(shared: Any, bell: Any, thread: Any, cores: Any) -> None:
    """Left to itself Linux may wake the helper on this very core, and let the two share it for milliseconds."""
    own = core()
    if 0 <= own < CORES and shared[_BARRED] != own + 1:
        all_here = cores[own >> 6]
        cores[own >> 6] = all_here & ~((NIL + 1) << (own & 63))
        confined(thread, cores)
        cores[own >> 6] = all_here
        shared[_BARRED] = own + 1
    rung(bell)


@inner()
def _open(shared: Any, panels: Any, scales: Any, hidden: Any, ahead: Any, was: Any) -> None:
    """The step begins: with what was summed ahead, or, where h is another by now, with nothing."""
    if seen(shared, _LEFT) and _same(hidden[0].view(np.int32), was.view(np.int32)):
        added(shared, _LEFT, NIL + 1 << _OPEN)
        return
    word = seen(shared, _LEFT)
    while _first(word) < _last(word) or _last(word) < _ahead(word):
        swapped(shared, _LEFT, word, word + _last(word) - _first(word))
        word = seen(shared, _LEFT)
    _publish(shared, panels, scales, hidden, ahead, was, NIL + 1)


@inner()
def _lead(shared: Any, panels: Any, bias: Any, ahead: Any, now: Any, sums: Any, hidden: Any, cell: Any) -> Any:
    """Takes panels until none is left; how many it has finished."""
    own = NIL
    while True:
        word = seen(shared, _LEFT)
        if _first(word) < _last(word):
            if swapped(shared, _LEFT, word, word + 1):
                _sum(_first(word), panels, ahead, sums)
                _finish(_first(word), panels, bias, now, sums, hidden, cell)
                own += 1
        elif _ahead(word) < _end(word):
            if swapped(shared, _LEFT, word, word - (NIL + 1 << _BEHIND)):
                _finish(_end(word) - 1, panels, bias, now, sums, hidden, cell)
                own += 1
        else:
            return own


@compiled(fastmath=FMA)
def led(shared: Any, bell: Any, thread: Any, cores: Any, panels: Any, scales: Any, token: Any, ahead: Any, now: Any,
        sums: Any, was: Any, voices: Any, bias: Any, start_hidden: Any, start_cell: Any, given: Any, hidden: Any,
        cell: Any, head: Any) -> None:  # fmt: skip
    """``lstm.update`` for one voice, with whoever runs ``helped`` on the same arrays.

    The helper: bell is where to ring for it, thread its number for the system, cores (CORES / 64,) a bit for each core
    that it may use.
    Shared: ahead (1, 32 P) and now (1, K - 32 P), h and the step's input as ``taken``; sums (P, 128); was (32 P,), the
    h of ``ahead``, which only the leader knows.
    """
    voice, units = voices[0], hidden.shape[1]
    gates = np.int64(units // UNITS)
    if voice["done"]:
        begin(voice)
        for u in range(units):
            hidden[0, u], cell[0, u] = start_hidden[0, u], start_cell[0, u]
        for k in range(5):
            given[0, k] = token[k]
    taken(given[0], scales[0], panels, now[0], NIL)
    _open(shared, panels, scales, hidden, ahead, was)
    own = _lead(shared, panels, bias, ahead, now, sums, hidden, cell)
    while seen(shared, _DONE) < gates - own:
        pause()
    _publish(shared, panels, scales, hidden, ahead, was, NIL)
    for p in range(gates, panels.shape[0]):
        first = (p - gates) * WIDTH
        for k in range(WIDTH):
            head[0, place(first + k)] = _ZERO
        product(panels[p, :units], ahead, NIL, NIL, head, NIL, first)
        headed(head[:, first:], NIL, scales[2], bias[0], p * WIDTH, head[0], first)
    if seen(shared, _ASLEEP) and swapped(shared, _ASLEEP, 1, 0):
        _wake(shared, bell, thread, cores)


def clear(shared: Any) -> None:
    """Nothing is taken, and nothing is ready."""
    shared[:] = 0


def end(shared: Any) -> None:
    """Has ``helped`` end."""
    shared[_END] = 1


def ended(shared: Any) -> bool:
    """Whether it is to."""
    return bool(shared[_END])
