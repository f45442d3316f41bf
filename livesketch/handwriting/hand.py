"""Handwriting: text in, pen actions out, stroke by stroke."""

import itertools
import threading
from collections.abc import Iterable, KeysView, Sequence
from typing import Any, Final, NamedTuple, NoReturn, Self, SupportsIndex

from ..errors import ControlError
from ..events import Pen, PenAction, Token
from ..sampling import checked_seed
from ..streams.drawing import Drawing
from ..streams.trail import Trail
from ..values import whole
from .jitter import Jitter, checked_jitter
from .page import Layout, Page, wanted_page
from .scribe import STAGE_UNITS, End, Move, Scribe, Written
from .sources import WantedStrokes, open_strokes

DEFAULT_NAME: Final = "handwriting"

_MIDDLE: Final = STAGE_UNITS / 2
"""Where the pen starts, across and down."""


class _PenPlace(NamedTuple):
    """How far the pen is."""

    sent: int = 0
    """Actions drawn since the beginning."""
    drawing: int = 0
    step: int = 0
    x: float = _MIDDLE
    y: float = _MIDDLE


class Handwriting:
    """Text as it is written by hand: each ``next()`` gives one ``PenAction``. Make one with ``livesketch.handwrite``.

    A piece is a drawing: its last token gives END. A piece that is longer than the page goes on in the next drawing;
    there END has ``ended`` False, as it has where the tokens ran out before the piece did. The pen starts in the middle
    of the stage and goes without ink to where each stroke begins. Behind the last piece comes ``StopIteration``.

    It can be played and drawn like a sketch: ``ls.play(hand, to=...)``, ``ls.draw(hand, to=...)``.

    >>> hand = handwrite("永", "kanjivg")
    >>> first = next(hand)
    >>> first.ink, first.pen.name, first.drawing, first.step
    (False, 'DOWN', 0, 0)
    >>> sum(action.pen is Pen.UP for action in hand)  # its five strokes
    5
    """

    __slots__ = ("__weakref__", "_lock", "_pen", "_scribe", "_seed", "_trail", "_written", "name", "temperature")

    def __init__(self, scribe: Scribe, seed: int, name: str, temperature: float | None = None) -> None:
        self.name = name
        self.temperature = temperature
        """Of the text's model at the start; None where there is none."""
        self._scribe, self._seed = scribe, seed
        self._written, self._pen = Written(), _PenPlace()
        self._trail: Trail[PenAction] = Trail()
        self._lock = threading.RLock()  # a REPL may pull while a player does

    def __repr__(self) -> str:
        layout = "vertical" if self._scribe.wanted.vertical else "horizontal"
        where = f"drawing={self._pen.drawing} step={self._pen.step}"
        return f"<Handwriting {self.name!r} {layout} strokes={self._scribe.strokes!r} {where}>"

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        raise TypeError(f"handwriting {self.name!r} is neither copied nor pickled; make another of the same text")

    @property
    def seed(self) -> int:
        """What draws it again: of the text's model, where it has one, and of the jitter."""
        return self._seed

    @property
    def convention(self) -> None:
        """None: what a temperature means is not in question for text."""

    @property
    def stage_units(self) -> float:
        """Data units across the stage."""
        return STAGE_UNITS

    @property
    def page(self) -> Page | None:
        """Line length, lines and cell size; None as long as nothing of a text of unknown length was seen."""
        return self._scribe.page

    @property
    def missing(self) -> KeysView[str]:
        """The characters that had no strokes so far, as a set, in the order in which they came."""
        return self._scribe.missing.keys()

    @property
    def attributions(self) -> tuple[str, ...]:
        """Whom to name, with the licence, where the drawing is passed on."""
        return tuple(source.attribution for source in self._scribe.strokes.sources)

    @property
    def actions(self) -> list[PenAction]:
        """The present drawing's actions so far; a new list for each drawing."""
        return self._trail.actions

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> PenAction:
        """The next pen action; the text gives as much as is needed for it.

        Raises:
            ControlError: the text gave something that is no text.
            DataError: damaged strokes.
        """
        with self._lock:
            pen = self._pen
            while pen.sent - self._written.before == len(self._written.coming):
                self._written = self._scribe.advanced(self._written)
            coming = self._written.coming[pen.sent - self._written.before]
            action = self._action(pen, coming)
            self._trail.add(action)
            if isinstance(coming, End):
                self._pen = _PenPlace(pen.sent + 1, pen.drawing + 1)
            else:
                self._pen = _PenPlace(pen.sent + 1, pen.drawing, pen.step + 1, coming.x, coming.y)
            return action

    def events(self) -> list[PenAction]:
        """What a player sends for one step. Raises StopIteration behind the last piece, as ``next`` does."""
        return [next(self)]

    def take(self, n: int) -> list[PenAction]:
        """The next n actions, or as many as there are."""
        return list(itertools.islice(self, whole("take", n, 0, 10**9)))

    def drawing(self) -> Drawing:
        """An iterator over the rest of this drawing, or over the next where this is over; Jupyter shows it."""
        return Drawing(self, self._trail)

    def _action(self, pen: _PenPlace, coming: Move | End) -> PenAction:
        voice = self._written.voice
        if isinstance(coming, End):
            return PenAction(
                0.0, self.name, voice, pen.drawing, pen.step, pen.x / STAGE_UNITS, pen.y / STAGE_UNITS, 0.0, 0.0,
                ink=False, pen=Pen.END, last=True, ended=coming.ended, source=coming.source,
            )  # fmt: skip
        return PenAction(
            0.0, self.name, voice, pen.drawing, pen.step, coming.x / STAGE_UNITS, coming.y / STAGE_UNITS,
            coming.x - pen.x, coming.y - pen.y, coming.ink, coming.pen, last=False, ended=False, source=coming.source,
        )  # fmt: skip


def handwrite(
    text: Iterable[Token | str],
    strokes: WantedStrokes | Sequence[WantedStrokes] | None = None,
    *,
    layout: Layout = "horizontal",
    line: int | None = None,
    lines: int | None = None,
    size: float | None = None,
    verse: bool = True,
    jitter: float = 0.0,
    seed: int | None = None,
    name: str | None = None,
) -> Handwriting:
    """Text as pen actions, stroke by stroke: ``ls.play(ls.handwrite(ls.text("wuyan"), ...), to=[ls.osc(...)])``.

    Args:
        text: a text stream, or any iterator of tokens; each piece (poem) becomes a drawing, begun as its first token
            comes. Or a string, or an iterator of parts of one, such as an open file: a single piece.
        strokes: ``hershey`` or ``hershey:FONT`` (Latin), ``kanjivg`` (Japanese, and the Chinese characters that it
            shares), the path of a JSON Lines file of stroke medians (Chinese, as of Make me a Hanzi), or a list of
            these, tried in this order for each character. None: ``hershey`` and ``kanjivg``, where installed. What a
            source lacks of Chinese punctuation is drawn all the same. Other characters without strokes are reported
            once (``.missing``, logger ``livesketch``) and leave a gap.
        layout: ``horizontal``, or ``vertical`` as Chinese poems are set: columns from right to left.
        line: length of a line, in characters that fill a cell, 1 to 200; Latin letters take about half of one. None:
            fitted to a string; for a text that is not known beforehand 8, and 16 where it begins with a letter.
        lines: lines a page has room for, 1 to 200. A piece that is longer goes on in the next drawing. None: as many as
            a string has, at most 28; else 8 or 12.
        size: side of a character's cell, stage units, 0.002 to 1. None: the block of lines fills the stage but for a
            margin of a tenth.
        verse: end lines behind 。！？； and behind ，： where the line is more than half full; else only where the text
            has a newline or the line is full.
        jitter: how unsteady the hand is, as a share of a cell, 0 to 0.3; 0.02 looks written.
        seed: of the jitter. None: the text's own seed; where it has none, a fresh one if there is jitter.
        name: for events and OSC addresses. None: the text's own, or ``handwriting``.

    Words are not broken, lines do not begin with closing marks; these hang over the end instead.

    Raises:
        ControlError: an option out of its range, an unknown source or font, or what has no text.
        DataError: a file of strokes that cannot be read.
        MissingExtraError: the package of a named source is not installed, or for None none is.
    """
    given: Any = text
    if isinstance(given, bytes | bytearray) or not isinstance(given, Iterable):
        raise ControlError(f"handwrite: {given!r:.60} has no text; expected a text stream, tokens, or a string")
    wanted = wanted_page(layout, line, lines, size, verse=verse)
    unsteady = checked_jitter(jitter)
    own = _Own.of(given)
    if seed is None and (own.seed is not None or not unsteady):
        seed = own.seed or 0
    seed = checked_seed(seed)
    name = own.name if name is None else name
    if not isinstance(name, str) or not name.strip():
        raise ControlError(f"name {name!r:.60}: expected a word such as 'poem', or None for the text's own")
    found = open_strokes(strokes, vertical=wanted.vertical)
    return Handwriting(Scribe(text, found, wanted, Jitter(unsteady, seed), name), seed, name, own.temperature)


class _Own(NamedTuple):
    """What a text stream says about itself; of other texts the seed is None."""

    name: str = DEFAULT_NAME
    seed: int | None = None
    temperature: float | None = None

    @classmethod
    def of(cls, text: Any) -> Self:
        seed, name, temperature = (getattr(text, what, None) for what in ("seed", "name", "temperature"))
        if not isinstance(seed, int):
            return cls()  # a file has a name too
        known = name if isinstance(name, str) and name else DEFAULT_NAME
        return cls(known, seed, float(temperature) if isinstance(temperature, int | float) else None)
