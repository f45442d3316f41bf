"""From text to pen moves: what is pulled from the text, set on the page, and turned into strokes."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from ..errors import ControlError
from ..events import Pen, Source, Token
from .glyphs import Points
from .jitter import Jitter
from .page import Page, Wanted, fitted_page, is_silent, is_space, is_wide, set_character, stream_page
from .setting import Placed, Setting
from .sources import Strokes

STAGE_UNITS: Final = 1000.0
"""Data units across the stage."""

_LOG: Final = logging.getLogger("livesketch")
_OVER: Final = object()


class Move(NamedTuple):
    """A pen action to come: where it moves to, data units from the stage's upper left corner, and what it does."""

    x: float
    y: float
    ink: bool
    pen: Pen
    source: Source


class End(NamedTuple):
    """The end of a drawing to come."""

    ended: bool
    source: Source


Coming: TypeAlias = tuple[Move | End, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """How far the text is set. Replaced as a whole, so that Ctrl-C comes before or after a character, never within."""

    item: Token | str = ""
    """What the text gave last."""
    accepted: int = 0
    """How many of these there were."""
    taken: int = 1
    """How many of the item's characters are set; one more where its end was seen to as well."""
    open: bool = False
    """Within a piece."""
    setting: Setting | None = None
    """None before the piece's first character."""
    voice: int = 0
    piece: int = 0
    page: int = 0
    """Of this piece."""
    drawing: int = 0
    """That is being set."""
    number: int = 0
    """Characters of it that are set."""
    coming: Coming = ()
    before: int = 0
    """Actions before these, since the beginning."""


class Scribe:
    """Writes a text: each step takes it one character further, and gives the pen moves that follow from it."""

    def __init__(
        self, text: Iterable[Token | str], strokes: Strokes, wanted: Wanted, jitter: Jitter, name: str
    ) -> None:
        self.strokes, self.wanted, self.name = strokes, wanted, name
        self.page = fitted_page(wanted, text, strokes) if isinstance(text, str) else None
        self.missing: dict[str, None] = {}
        self._jitter = jitter
        self._items: Iterator[Any] = iter([text] if isinstance(text, str) else text)
        self._pulled: tuple[int, Any] = (0, "")

    def advanced(self, state: Written) -> Written:
        """One character more, the end of an item, or the next item. Raises StopIteration where the text is over."""
        text = state.item if isinstance(state.item, str) else state.item.text
        if state.taken > len(text):
            return self._accepted(state)
        done = replace(state, taken=state.taken + 1)
        if state.taken < len(text):
            return self._written(done, text[state.taken])
        if isinstance(state.item, Token) and state.item.last:
            return self._ended(done, ended=state.item.ended)
        return done

    def _accepted(self, state: Written) -> Written:
        """What the text gives next; a piece that is open is ended first where this is of another."""
        if self._pulled[0] == state.accepted:
            self._pulled = state.accepted + 1, next(self._items, _OVER)
        number, item = self._pulled
        if item is _OVER:
            if not state.open:
                raise StopIteration
            return self._ended(state, ended=isinstance(state.item, str))
        if not isinstance(item, Token | str):
            raise ControlError(f"handwrite: the text gave {item!r:.60}; expected tokens, or pieces of a string")
        where = (item.voice, item.piece) if isinstance(item, Token) else (state.voice, state.piece)
        anew = isinstance(item, Token) and not item.step  # the same piece again: its stream was restarted
        if state.open and (anew or where != (state.voice, state.piece)):
            return self._ended(state, ended=False)
        return replace(state, item=item, accepted=number, taken=0, open=True, voice=where[0], piece=where[1])

    def _written(self, state: Written, character: str) -> Written:
        """The state with one character more; spaces and lines before the first one of a piece are left out."""
        setting = state.setting
        if setting is None:
            if is_space(character) or is_silent(character):
                return state
            setting = Setting(self._decided(character).line, self.wanted.verse)
        if not (is_space(character) or is_silent(character)) and self.strokes.find(character) is None:
            self._report(character)
        setting, placed = set_character(setting, character, self.strokes, _source(state.item))
        return self._inked(replace(state, setting=setting), placed)

    def _decided(self, character: str) -> Page:
        """The page; for a text that is not known as a whole, by its first character."""
        if self.page is None:
            glyph = self.strokes.find(character)
            wide = is_wide(character) if glyph is None else glyph.wide
            self.page = stream_page(self.wanted, wide=wide)
        return self.page

    def _ended(self, state: Written, *, ended: bool) -> Written:
        """The piece is over."""
        placed = [] if state.setting is None else state.setting.flush()[1]
        drawn = self._inked(state, placed)
        coming = (*drawn.coming, End(ended, _source(state.item)))
        return replace(drawn, coming=coming, open=False, setting=None, page=0, drawing=drawn.drawing + 1, number=0)

    def _inked(self, state: Written, placed: Iterable[Placed]) -> Written:
        """The state with these characters' strokes coming, and the ends of pages between them."""
        coming: list[Move | End] = []
        page, drawing, number = state.page, state.drawing, state.number
        for item in placed:
            sheet = self.page
            assert sheet is not None
            if item.row // sheet.lines != page:
                coming.append(End(ended=False, source=item.mark.source))
                page, drawing, number = item.row // sheet.lines, drawing + 1, 0
            glyph = self.strokes.find(item.mark.character)
            strokes: Sequence[Points] = () if glyph is None else glyph.strokes
            if self._jitter.size and strokes:
                strokes = self._jitter.shaken(strokes, state.voice, drawing, number)
            corner = np.array(sheet.corner(item.row % sheet.lines, item.along))
            for line in strokes:
                coming += _pen_points((corner + sheet.size * line) * STAGE_UNITS, item.mark.source)
            number += 1
        before = state.before + len(state.coming)
        return replace(state, coming=tuple(coming), before=before, page=page, drawing=drawing, number=number)

    def _report(self, character: str) -> None:
        if character not in self.missing:
            self.missing[character] = None
            _LOG.warning(
                "%s: no strokes for %s (U+%04X) in %r; it is left out", self.name, character, ord(character),
                self.strokes,
            )  # fmt: skip


def _pen_points(line: Points, source: Source) -> list[Move]:
    """One stroke (k, 2): there without ink, along it with ink, and up; a dot is a touch."""
    pens = [Pen.DOWN] * (len(line) - 1) + [Pen.UP]
    return [Move(x, y, k > 0, pen, source) for k, ((x, y), pen) in enumerate(zip(line.tolist(), pens, strict=True))]


def _source(item: Token | str) -> Source:
    return "model" if isinstance(item, Token) and not item.given else "human"
