"""The page: lines or columns of cells on the stage, fixed before the first stroke, and what takes room on it."""

import itertools
import math
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from ..errors import ControlError
from ..events import Source
from ..values import real, whole
from .setting import Mark, Placed, Setting
from .sources import Strokes

Layout: TypeAlias = Literal["horizontal", "vertical"]

INNER: Final = 0.8
"""Share of the stage's side between the margins."""

LEADING: Final = 1.4
"""From one line to the next, cells; room for the ascenders and descenders of Latin letters too."""

STREAM_WIDE: Final = (8, 8)
"""Cells a line and lines, where the end is not known: eight lines of seven characters and a comma."""

STREAM_LETTERS: Final = (16, 12)
"""The same for text that begins with a letter: some thirty letters a line."""

MOST: Final = 200
"""Most cells of a line that can be asked for, and lines."""

FIT_LINE, FIT_LINES = 40, 28
"""Most cells a line and lines that a known text is fitted with; what is longer goes on on the next page."""

FIT_CHARACTERS: Final = 1500
"""A text is looked through so far for that."""

SPACE: Final = 0.5
"""Width of a space where the source of strokes says nothing about it."""

_NEWLINES: Final = frozenset("\n\v\f\x1c\x1d\x1e\x85\u2028\u2029")
_WIDE_SPACE: Final = "\u3000"


@dataclass(frozen=True, slots=True)
class Page:
    """Where lines and cells are on the stage: a block of lines in its middle, filled from its beginning."""

    vertical: bool
    """Columns from right to left instead of rows from top to bottom."""
    line: int
    """Cells a line has room for."""
    lines: int
    """Lines a page has room for."""
    size: float
    """A cell's side, stage units."""
    block: tuple[float, float]
    """Length of the longest line, and from the first line's cells' outer edge to the last one's; cells."""

    def corner(self, row: int, along: float) -> tuple[float, float]:
        """The upper left corner of a cell on the stage; ``row`` counts from 0 on each page."""
        length, across = self.block
        if self.vertical:
            return (
                0.5 + self.size * (across / 2 - row * LEADING - 1),
                0.5 + self.size * (along - length / 2),
            )
        return 0.5 + self.size * (along - length / 2), 0.5 + self.size * (row * LEADING - across / 2)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked about the page; None: to be found out."""

    vertical: bool
    line: int | None
    lines: int | None
    size: float | None
    verse: bool


def wanted_page(layout: str, line: int | None, lines: int | None, size: float | None, *, verse: bool) -> Wanted:
    """What was asked, checked.

    Raises:
        ControlError: one of it is out of range.
    """
    if layout not in ("horizontal", "vertical"):
        raise ControlError(f"layout {layout!r:.40}: expected 'horizontal' or 'vertical'")
    if size is not None:
        expected = "the side of a character as a share of the stage, 0.002 to 1, or None to fit; try 0.1"
        size = real("size", size, expected)
        if not 0.002 <= size <= 1:
            raise ControlError(f"size {size!r}: expected {expected}")
    if line is not None:
        line = whole("line", line, 1, MOST)
    if lines is not None:
        lines = whole("lines", lines, 1, MOST)
    return Wanted(layout == "vertical", line, lines, size, bool(verse))


def stream_page(wanted: Wanted, *, wide: bool) -> Page:
    """The page for text whose end is not known, by what its first character is."""
    line, lines = STREAM_WIDE if wide else STREAM_LETTERS
    if wanted.size:
        line, lines = _room(wanted.size)
    return _page(wanted, wanted.line or line, wanted.lines or lines)


def fitted_page(wanted: Wanted, text: Iterable[str], strokes: Strokes) -> Page:
    """The page for a text that is known: as large as it fits, lines as the text has them unless they are very long.

    Raises:
        DataError: damaged strokes.
    """
    told = itertools.dropwhile(lambda character: is_space(character) or is_silent(character), text)
    head = list(itertools.islice(told, FIT_CHARACTERS))
    line = wanted.line
    if line is None and wanted.size:
        line = _room(wanted.size)[0]
    if line is None:
        natural, total, _ = _measured(head, strokes, math.inf, verse=wanted.verse)
        square = math.ceil(math.sqrt(total * LEADING))  # a block of lines about as high as wide
        line = min(FIT_LINE, max(1, math.ceil(natural - 1e-6)), max(STREAM_WIDE[0], square))
    length, _, rows = _measured(head, strokes, line, verse=wanted.verse)
    lines = wanted.lines or (_room(wanted.size)[1] if wanted.size else min(rows, FIT_LINES))
    return _page(wanted, line, lines, block=(length, min(rows, lines)) if length else None)


def _page(wanted: Wanted, line: int, lines: int, block: tuple[float, int] | None = None) -> Page:
    length, rows = block or (line, lines)
    across = 1 + (rows - 1) * LEADING
    return Page(wanted.vertical, line, lines, wanted.size or INNER / max(length, across), (length, across))


def _room(size: float) -> tuple[int, int]:
    """Cells of a line and lines between the margins, at least one."""
    cells = INNER / size + 1e-6
    return min(MOST, max(1, int(cells))), min(MOST, max(1, int((cells - 1) / LEADING) + 1))


def _measured(text: Iterable[str], strokes: Strokes, line: float, *, verse: bool) -> tuple[float, float, int]:
    """The longest line of a text and the sum of all, cells, and the number of lines."""
    setting = Setting(line, verse)
    ends: dict[int, float] = {}

    def note(placed: list[Placed]) -> None:
        for item in placed:
            ends[item.row] = max(ends.get(item.row, 0.0), item.along + item.mark.width)

    for character in text:
        setting, placed = set_character(setting, character, strokes, "human")
        note(placed)
    note(setting.flush()[1])
    return max(ends.values(), default=0.0), sum(ends.values()), max(ends, default=0) + 1


def set_character(setting: Setting, character: str, strokes: Strokes, source: Source) -> tuple[Setting, list[Placed]]:
    """The setting with one character more, and what it places: letters wait until their word is complete.

    What has no strokes takes the room that it would have. Control and format characters are passed over.

    Raises:
        DataError: damaged strokes.
    """
    if character in _NEWLINES:
        return setting.newline()
    if character.isspace() and character != "\r":
        return setting.space(_space(character, strokes))
    if is_silent(character):
        return setting, []
    glyph = strokes.find(character)
    if glyph is not None:
        return setting.add(Mark(character, glyph.width, glyph.wide, source))
    if unicodedata.combining(character):
        return setting, []
    wide = is_wide(character)
    return setting.add(Mark(character, 1.0 if wide else SPACE, wide, source))


def is_silent(character: str) -> bool:
    """Whether it is never seen: control and format characters, and variation selectors."""
    return unicodedata.category(character) in {"Cc", "Cf"} or "\ufe00" <= character <= "\ufe0f"


def is_wide(character: str) -> bool:
    """Whether it fills a cell where nothing else is known of it."""
    return unicodedata.east_asian_width(character) in {"W", "F"}


def is_space(character: str) -> bool:
    """Whether it only separates."""
    return character.isspace() or character in _NEWLINES


def _space(character: str, strokes: Strokes) -> float:
    if character == _WIDE_SPACE:
        return 1.0
    found = strokes.find(" ")
    return (SPACE if found is None else found.width) * (4 if character == "\t" else 1)
