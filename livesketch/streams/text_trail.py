"""What there is of a text stream's present piece, bounded however long the piece grows."""

from array import array
from collections.abc import Iterable
from typing import Any, Final

from ..events import Token
from .past import EVERY, STEPS
from .trail import Trail

MOST: Final = 2**16
"""Tokens of one piece that are kept; where more come, the older half of them goes."""


class Sheet(list[Token]):
    """A piece's last tokens, and beside them the numbers of all its symbols, four bytes each."""

    def __init__(self, tokens: Iterable[Token] = (), ids: bytes = b"") -> None:
        super().__init__(tokens)
        self.ids = array("i", ids)

    def put(self, token: Token) -> None:
        """The next one. Broken off, it can be done again."""
        del self.ids[token.step :]
        self.ids.append(token.index)
        self.append(token)
        if len(self) > MOST:
            del self[: MOST // 2]

    def back_to(self, count: int) -> None:
        """Only the piece's first tokens, so many."""
        del self.ids[count:]
        del self[max(0, count - self[0].step) if self else 0 :]


class Script(Trail[Token]):
    """The tokens of the present piece, at most ``MOST`` of them, and the pieces that ``rewind`` can come back to."""

    __slots__ = ("_older",)

    actions: Sheet

    def __init__(self) -> None:
        super().__init__()
        self.actions = Sheet()
        self._older: tuple[Sheet, ...] = ()

    @property
    def ids(self) -> "array[int]":
        """The symbols of the whole piece."""
        return self.actions.ids

    def begin(self, actions: Iterable[Token] = (), unsent: Iterable[Token] = (), ids: bytes = b"") -> None:
        """``Trail.begin``, with all that ``copied`` gives."""
        self.actions, self.unsent, self._older = Sheet(actions, ids), [*unsent], ()

    def copied(self) -> tuple[Any, ...]:
        """``Trail.copied``."""
        return *super().copied(), self.actions.ids.tobytes()

    def leave(self) -> None:
        """The piece is over: what comes is of another."""
        if self.actions:
            older = self._older if self._older and self._older[-1] is self.actions else (*self._older, self.actions)
            after = 0
            for at in range(len(older) - 1, -1, -1):  # as far back as can be gone
                after += len(older[at])
                if after >= STEPS + EVERY:
                    older = older[at:]
                    break
            self._older = older
        self.actions = Sheet()

    def add(self, action: Token) -> None:
        """``Trail.add``."""
        if self._has(action):
            return
        if not action.step and self.actions:
            self.leave()
        self.actions.put(action)

    def feed(self, actions: list[Token]) -> None:
        """``Trail.feed``."""
        for action in actions:
            self.add(action)
        self.unsent = [*self.unsent, *actions]

    def cut(self, number: int, count: int, left: list[Token]) -> None:  # noqa: ARG002 - the pieces are all here
        """``Trail.cut``."""
        sheets = [*self._older, self.actions]
        while sheets and not (sheets[-1] and sheets[-1][-1].piece <= number):
            sheets.pop()
        self.actions = sheets.pop() if sheets and sheets[-1][-1].piece == number else Sheet()
        self.actions.back_to(count)
        self._older = tuple(sheets)
        self.unsent = [action for action in self.unsent if (action.piece, action.step) < (number, count)]

    def kept(self) -> tuple[Any, ...]:
        """``Trail.kept``."""
        sheets = (*self._older, self.actions)
        return tuple((sheet, tuple(sheet), sheet.ids.tobytes()) for sheet in sheets), tuple(self.unsent)

    def put_back(self, kept: tuple[Any, ...]) -> None:
        """``Trail.put_back``."""
        sheets, unsent = kept
        for sheet, tokens, ids in sheets:
            sheet[:], sheet.ids = tokens, array("i", ids)
        self._older, self.actions = tuple(sheet for sheet, _, _ in sheets[:-1]), sheets[-1][0]
        self.unsent = [*unsent]
