"""Lines of given lengths: haiku-like forms for any text."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..errors import ControlError
from ..values import whole
from .constraint import Constraint, checked_vocabulary
from .table import LEFT, TableConstraint, checked_size

MOST_LENGTH = 2000
"""Units in a line."""


def lines(
    lengths: Iterable[int], ends: str | Iterable[str] = "\n", unit: Literal["character", "token"] = "character"
) -> "Lines":
    """Lines of exactly ``lengths`` units each, every one with its mark, then END: ``lines((5, 7, 5))``.

    ``ends`` is the mark after each line, one for all or one for each; the last may be "". Inside a line there is no
    character of any mark and no newline. A unit is a character, or a token, which for a model of words is a word.

    Raises:
        ControlError: no lengths, lengths not from 1 to 2000, another number of marks, an empty mark between lines.
    """
    if not isinstance(lengths, Iterable) or isinstance(lengths, str | bytes):
        raise ControlError(f"lengths {lengths!r:.60}: expected numbers, such as (5, 7, 5)")
    counts = tuple(whole("the length of a line", length, 1, MOST_LENGTH) for length in lengths)
    if not counts:
        raise ControlError("lengths (): expected at least one line, such as (5, 7, 5)")
    marks: tuple[Any, ...] = (ends,) * len(counts) if isinstance(ends, str) else tuple(ends)
    if len(marks) != len(counts) or not all(isinstance(mark, str) for mark in marks):
        raise ControlError(
            f"ends {ends!r:.60}: expected one text for all lines, or {len(counts)} texts, one for each line"
        )
    if not all(marks[:-1]):
        raise ControlError(f"ends {ends!r:.60}: only the last line can do without a mark; try '\\n'")
    if unit not in {"character", "token"}:
        raise ControlError(f"unit {unit!r:.40}: expected 'character' or 'token'")
    return Lines(counts, marks, unit)


@dataclass(frozen=True, slots=True)
class Lines:
    """The rule that :func:`lines` gives."""

    lengths: tuple[int, ...]
    ends: tuple[str, ...]
    unit: Literal["character", "token"]

    def says(self) -> str:
        """What it asks for, for messages."""
        return f"lines of {', '.join(map(str, self.lengths))} {self.unit}s"

    def bind(self, vocabulary: tuple[str, ...]) -> Constraint:
        """The lines as a table of states: one for each place in each line and in each mark.

        Raises:
            ControlError: too long for a table (table.py), or the vocabulary lacks a mark or symbols that fill the
                lines.
        """
        vocabulary = checked_vocabulary(vocabulary)
        states = sum(self.lengths) + sum(map(len, self.ends)) + 1
        checked_size(states, len(vocabulary), self.says())
        outside = set("".join(self.ends)) | set("\r\n")
        sizes = np.array([0 if outside & set(text) else self._size(text) for text in vocabulary])
        table = np.full((states, len(vocabulary)), LEFT, dtype=np.int16)
        state = 0
        for length, mark in zip(self.lengths, self.ends, strict=True):
            for done in range(length):
                fits = (sizes > 0) & (sizes <= length - done)
                table[state, fits] = state + sizes[fits]
                state += 1
            for done in range(len(mark)):
                for index, text in _beginnings(mark[done:], vocabulary):
                    table[state, index] = state + len(text)
                state += 1
        accepting = np.zeros(states, dtype=np.bool_)
        accepting[state] = True
        return TableConstraint(table, accepting, vocabulary, self.says())

    def _size(self, text: str) -> int:
        return len(text) if self.unit == "character" else int(bool(text))


def _beginnings(mark: str, vocabulary: Sequence[str]) -> list[tuple[int, str]]:
    """The symbols that ``mark`` begins with, by index."""
    return [(index, text) for index, text in enumerate(vocabulary) if text and mark.startswith(text)]
