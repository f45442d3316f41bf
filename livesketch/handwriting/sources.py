"""Where strokes come from: which sources were asked for, and a character's strokes from the first that has them."""

import contextlib
import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol, TypeAlias

import numpy as np

from ..errors import ControlError, MissingExtraError
from .glyphs import Glyph
from .hershey import DEFAULT_FONT, Hershey
from .kanjivg import KanjiVG
from .medians import Medians
from .punctuation import Punctuation, in_column

WantedStrokes: TypeAlias = str | os.PathLike[str]
"""A source by name (``hershey``, ``hershey:FONT``, ``kanjivg``) or a file of medians by its path."""

KEPT: Final = 1024
"""Characters whose strokes are remembered, some kilobytes each."""

_FULL_WIDTH: Final = range(0xFF01, 0xFF5F)
_FULL_TO_ASCII: Final = 0xFEE0
_EXPECTED: Final = (
    "expected 'hershey', 'hershey:FONT' such as 'hershey:scripts', 'kanjivg', the path of a JSON Lines file of stroke "
    "medians, or a list of these"
)


class Source(Protocol):
    """Knows the strokes of some characters."""

    attribution: str
    """Who made them and the licence, as whoever passes the drawings on has to say it."""

    def glyph(self, character: str) -> Glyph | None:
        """One character's strokes, or None. DataError: they are damaged."""


class Strokes:
    """Several sources in the order in which they are asked, then our own punctuation; remembers what it found."""

    def __init__(self, sources: Sequence[Source], *, vertical: bool = False) -> None:
        self.sources, self.vertical = tuple(sources), vertical
        self._asked = (*self.sources, Punctuation())
        self._kept: OrderedDict[str, Glyph | None] = OrderedDict()

    def __repr__(self) -> str:
        return " then ".join(map(repr, self.sources))

    def find(self, character: str) -> Glyph | None:
        """The character's strokes as they stand in a line or column; None where no source has them.

        Raises:
            DataError: they are damaged.
        """
        if character not in self._kept:
            glyph = self._ask(character)
            self._kept[character] = in_column(character, glyph) if glyph and self.vertical else glyph
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return self._kept[character]

    def _ask(self, character: str) -> Glyph | None:
        found = (source.glyph(character) for source in self._asked)
        glyph = next((glyph for glyph in found if glyph is not None), None)
        if glyph is None and ord(character) in _FULL_WIDTH:
            plain = self._ask(chr(ord(character) - _FULL_TO_ASCII))
            return None if plain is None else _widened(plain)
        return glyph


def open_strokes(strokes: WantedStrokes | Sequence[WantedStrokes] | None, *, vertical: bool = False) -> Strokes:
    """The sources that were asked for; None: ``hershey`` and ``kanjivg``, as far as they are installed.

    Hershey comes first there: of what both have, ASCII, its letters have the widths of letters.

    Raises:
        ControlError: no such source or font.
        DataError: a file cannot be read, or is none of medians.
        MissingExtraError: a source that was named is not installed; for None, neither is.
    """
    if strokes is None:
        sources: list[Source] = []
        for make in (Hershey, KanjiVG):
            with contextlib.suppress(MissingExtraError):
                sources.append(make())
        if sources:
            return Strokes(sources, vertical=vertical)
        raise MissingExtraError(
            'handwriting needs strokes and no source of them is installed; pip install "livesketch[handwriting]", or '
            "give a JSON Lines file of stroke medians as strokes="
        )
    names = [strokes] if isinstance(strokes, str | os.PathLike) else strokes
    if not isinstance(names, Sequence) or not names:
        raise ControlError(f"strokes {strokes!r:.60}: {_EXPECTED}")
    return Strokes([_source(name) for name in names], vertical=vertical)


def _source(wanted: WantedStrokes) -> Source:
    if isinstance(wanted, str):
        name, _, font = wanted.partition(":")
        if wanted == "kanjivg":
            return KanjiVG()
        if name == "hershey":
            return Hershey(font or DEFAULT_FONT)
    if not isinstance(wanted, str | os.PathLike) or not os.fspath(wanted):
        raise ControlError(f"strokes {wanted!r:.60}: {_EXPECTED}")
    if not Path(wanted).exists():
        raise ControlError(f"strokes {os.fspath(wanted)!r:.200}: no source of that name and no such file; {_EXPECTED}")
    return Medians(wanted)


def _widened(glyph: Glyph) -> Glyph:
    """A letter in the middle of a whole cell, as the full-width forms of ASCII stand."""
    if glyph.wide:
        return glyph
    shift = np.array([(1 - glyph.width) / 2, 0.0])
    return replace(glyph, strokes=tuple(line + shift for line in glyph.strokes), width=1.0, wide=True)
