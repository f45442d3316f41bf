"""A constraint that is a finite automaton over tokens: what ``grammar`` and ``lines`` become when they are bound."""

from collections import deque
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..errors import ControlError
from ..token_sampling import END, UNK
from .constraint import Bias, Walk, keep, row_of, shown

LEFT: Final = -1
"""In a table: this token leads out of the language."""
MOST_STATES: Final = 4000
MOST_ENTRIES: Final = 1 << 25
"""States times symbols (a table of 64 MiB)."""
KEPT_ROWS: Final = 512

Table = NDArray[np.int16]
"""(S, V): the state after token v in state s, or LEFT."""


def checked_size(states: int, symbols: int, says: str) -> None:
    """Refuses a table that would take too much memory.

    Raises:
        ControlError: over :data:`MOST_STATES`, or over :data:`MOST_ENTRIES`.
    """
    most = min(MOST_STATES, MOST_ENTRIES // symbols)
    if states > most:
        raise ControlError(
            f"{says} needs more than {most} states for a vocabulary of {symbols}: make it shorter, with fewer or "
            "smaller counted repeats"
        )


class TableConstraint:
    """Tokens that keep the text inside a regular language, and END where the text is a whole word of it.

    Tokens from which no whole text can be reached *with this vocabulary* are forbidden, so that nothing runs into a
    dead end.
    """

    def __init__(self, table: Table, accepting: NDArray[np.bool_], vocabulary: tuple[str, ...], says: str) -> None:
        """``table`` (S, V) is changed; its columns END and UNK count for nothing. State 0 is the start.

        Raises:
            ControlError: this vocabulary has no text of the language.
        """
        self._vocabulary, self._says, self._accepting = vocabulary, says, accepting
        table[:, [END, UNK]] = LEFT
        alive = _alive(table, accepting)
        if not alive[0]:
            raise ControlError(
                f"{says} cannot be met with this vocabulary of {len(vocabulary)} symbols: none of its texts can be "
                "written with them"
            )
        table[~np.append(alive, False)[table]] = LEFT  # index LEFT is the last, the appended one
        self._table = table
        self._walk = Walk(0, self._step)
        self._rows: dict[int, Bias] = {}

    def says(self) -> str:
        """What it asks for, for messages."""
        return self._says

    def bias(self, tokens: Sequence[int]) -> Bias:
        """The row of the state that ``tokens`` lead to.

        Raises:
            ControlError: they lead out of the language, or to where it cannot be ended.
        """
        state = self._walk.at(tokens)
        found = self._rows.get(state)
        if found is None:
            allowed = self._table[state] != LEFT
            allowed[END] = self._accepting[state]
            found = keep(self._rows, state, Bias(row_of(allowed)), KEPT_ROWS)
        return found

    def _step(self, state: int, tokens: Sequence[int], place: int) -> int:
        token = tokens[place]
        following = int(self._table[state, token])
        if following == LEFT:
            wrong = self._vocabulary[token] or ("END" if token == END else "an unknown symbol")
            raise ControlError(
                f"{wrong!r} after {shown(tokens[:place], self._vocabulary)} does not fit {self._says}: no text that it "
                "allows begins like this"
            )
        return following


def _alive(table: Table, accepting: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(S,) whether an accepting state can be reached."""
    before: list[list[int]] = [[] for _ in range(len(table))]
    for state, row in enumerate(table):
        reached = np.zeros(len(table) + 1, dtype=np.bool_)
        reached[row] = True
        for other in np.flatnonzero(reached[:-1]):
            before[other].append(state)
    alive = accepting.copy()
    queue = deque(np.flatnonzero(accepting).tolist())
    while queue:
        for state in before[queue.popleft()]:
            if not alive[state]:
                alive[state] = True
                queue.append(state)
    return alive
