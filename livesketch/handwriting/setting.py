"""Setting text: where in which line each character stands, decided as the text arrives.

Lengths are in cells. A line is a row or, in vertical writing, a column; nothing here knows which.
"""

from dataclasses import dataclass, replace
from typing import Final

from ..events import Source
from .punctuation import CLOSING, OPENING

SENTENCE: Final = frozenset("。！？；")
"""In verse a line ends behind these."""

CLAUSE: Final = frozenset("，：")
"""In verse a line that is more than half full ends behind these too."""

_OVERHANG: Final = 2.0
"""Closing marks hang over the end of a line by at most so much."""

_SLACK: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Mark:
    """A character that takes room."""

    character: str
    width: float
    wide: bool
    source: Source


@dataclass(frozen=True, slots=True)
class Placed:
    """A character in its place."""

    mark: Mark
    row: int
    along: float
    """From the beginning of the line to where the character begins."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How far a text is set. A value: each step gives the next one, so that a step that is broken off did nothing.

    Characters that fill a cell are placed at once; others wait until their word is complete, at most for a line's
    length, since a word goes to the next line as a whole; an opening mark waits for what follows it. Closing marks hang
    over the end of a line instead of beginning one. With ``verse`` a line also ends behind a full stop, and behind a
    comma where more than half of it is full: the verses of a poem in five or seven characters then each get a line of
    their own, in longer lines each couplet.
    """

    line: float
    verse: bool
    row: int = 0
    along: float = 0.0
    due: bool = False
    """A verse ended: the next character begins a line, unless it closes something."""
    word: tuple[Mark, ...] = ()

    def newline(self) -> tuple["Setting", list[Placed]]:
        """The text begins a line."""
        done, placed = self.flush()
        return _next_line(done), placed

    def space(self, width: float) -> tuple["Setting", list[Placed]]:
        """Ends a word. At the end of a line it is lost: only where the text begins a line it stays, as an indent."""
        done, placed = self.flush()
        return replace(done, along=done.along + width), placed

    def add(self, mark: Mark) -> tuple["Setting", list[Placed]]:
        """The next character."""
        if mark.character in OPENING:
            return self._add_opening(mark)
        return self._add_wide(mark) if mark.wide else self._add_to_word(mark)

    def flush(self) -> tuple["Setting", list[Placed]]:
        """The word is complete."""
        placed, along = [], self.along
        for mark in self.word:
            placed.append(Placed(mark, self.row, along))
            along += mark.width
        return (replace(self, along=along, word=()) if self.word else self), placed

    def _add_wide(self, mark: Mark) -> tuple["Setting", list[Placed]]:
        opened = bool(self.word) and self.word[-1].character in OPENING
        if opened:
            joined, placed = self._add_to_word(mark)
            done, more = joined.flush()
            placed += more
        else:
            done, placed = self.flush()
            end = done.along + mark.width - _SLACK
            closing = mark.character in CLOSING
            if end > done.line + _OVERHANG * closing or (done.due and not closing):
                done = _next_line(done) if done.along else done
            placed.append(Placed(mark, done.row, done.along))
            done = replace(done, along=done.along + mark.width)
        clause = mark.character in CLAUSE and done.along > done.line / 2 + _SLACK
        due = self.verse and (mark.character in SENTENCE or clause)
        return (replace(done, due=True) if due else done), placed

    def _add_opening(self, mark: Mark) -> tuple["Setting", list[Placed]]:
        done, placed = (self, []) if all(part.character in OPENING for part in self.word) else self.flush()
        added, more = done._add_to_word(mark)  # noqa: SLF001 - its own
        return added, placed + more

    def _add_to_word(self, mark: Mark) -> tuple["Setting", list[Placed]]:
        done = _next_line(self) if self.due else self
        placed: list[Placed] = []
        length = sum(part.width for part in done.word) + mark.width
        if done.along + length > done.line + _SLACK:
            if done.along:
                done = _next_line(done)
            if done.word and length > done.line + _SLACK:  # a word that is longer than a line
                done, placed = done.flush()
                done = _next_line(done)
        return replace(done, word=(*done.word, mark)), placed


def _next_line(setting: Setting) -> Setting:
    return replace(setting, row=setting.row + 1, along=0.0, due=False)
