"""What a preview window shows, as numbers for a graphics card: no window, no graphics library, only NumPy.

All lines of all drawings are rows of one array, in the order of time: a straight piece from (x, y) to (x, y) on the
stage, and the *slot* of its drawing. A slot is a row of a small table: where on the screen the drawing lies, how thick
its lines are and which colour they have now. What changes from picture to picture, fading, zooming, another size of the
window, changes the table, never the lines. A line piece becomes a rectangle around it, with round ends, whose edge is
as soft as a pixel (``preview_gl``).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

MAX_PIECES: Final = 1 << 18
"""Straight pieces of line that are kept, 5 MB of them; beyond, the oldest are forgotten, a quarter at a time."""
MAX_SLOTS: Final = 1 << 12
"""Drawings that are kept; beyond, the oldest are forgotten, a quarter at a time."""
MARGIN: Final = 0.04
"""Free around the view of a drawing, of the shorter side of its cell."""
THINNEST: Final = 1.0
"""Pixels; what is thinner flickers."""
_ZOOM: Final = 0.08  # seconds in which a view goes most (63 %) of the way to where it should be
_STAGE: Final = (0.0, 0.0, 1.0, 1.0)

Rgb: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Look:
    """How drawings are shown."""

    colors: Sequence[Rgb]
    """One for each voice, from 0 to 1; where there are more voices they begin again."""
    background: Rgb
    line_width: float
    """Of the shorter side of a cell."""
    fade: float
    """Seconds until a drawing is gone after the next of its voice began; infinity: it stays."""
    grid: bool
    """Each voice has a cell of its own; otherwise all share the window."""


@dataclass(slots=True)
class _Pen:
    """One voice."""

    voice: int
    slot: int = -1
    """Its present drawing; -1: none."""
    born: int = 0
    """Which drawing of all that is: its slot may be another's by now."""
    x: float = 0.0
    y: float = 0.0


class Scene:
    """Takes what pens do; gives line pieces and the table of their drawings.

    ``rows``: shape (pieces, 5), float32: x, y, x, y, slot; ``count`` of them are in use. ``changed`` is the first row
    that is not as it was when it was last asked for.
    """

    def __init__(self, look: Look, pieces: int = MAX_PIECES, slots: int = MAX_SLOTS) -> None:
        self.look = look
        self.rows = np.zeros((pieces, 5), np.float32)
        self.count = 0
        self.changed = 0
        self.forgotten = 0
        """Pieces that were shown and had to make room."""
        self._voices = 1
        self._pens: dict[int, _Pen] = {}
        self._live = np.zeros(slots, np.bool_)
        self._born = np.zeros(slots, np.int64)  # counts drawings
        self._left = np.full(slots, np.inf)  # when the next drawing of its voice began
        self._voice = np.zeros(slots, np.int64)
        self._box = np.tile(np.array(_STAGE), (slots, 1))  # what the view has to hold
        self._shown = self._box.copy()  # what it does hold
        self._spare: list[int] = list(range(slots))[::-1]  # no line refers to these
        self._begun = 0
        self._seen: float | None = None

    @property
    def drawings(self) -> int:
        """How many are shown."""
        return int(self._live.sum())

    def open(self, voices: int, now: float) -> None:
        """Another player, or the same one again: as many voices; what is drawn gives way to what comes."""
        self._voices = max(1, voices)
        for pen in self._pens.values():
            self._leave(pen, now)
        self._pens.clear()

    def pen(self, number: int, voice: int) -> None:
        """A pen draws for a voice from here on."""
        self._pens[number] = _Pen(voice)

    def drawing(self, number: int, now: float) -> None:
        """A pen begins a drawing; the one before begins to fade. ``now`` in seconds."""
        pen = self._pens.setdefault(number, _Pen(0))
        self._leave(pen, now)
        slot = self._free()
        self._begun += 1
        pen.slot, pen.born = slot, self._begun
        self._live[slot], self._born[slot], self._left[slot] = True, self._begun, np.inf
        self._voice[slot] = pen.voice
        self._box[slot] = self._shown[slot] = _STAGE

    def move(self, number: int, x: float, y: float, now: float) -> None:
        """A pen touches down, which leaves a dot."""
        pen = self._pen(number, now)
        pen.x, pen.y = x, y
        self._piece(pen, x, y)

    def line(self, number: int, x: float, y: float, now: float) -> None:
        """A pen draws from where it is."""
        pen = self._pen(number, now)
        self._piece(pen, x, y)
        pen.x, pen.y = x, y

    def moving(self) -> bool:
        """Whether the next picture differs from the one before though nothing is drawn."""
        if math.isfinite(self.look.fade) and self.fading():
            return True
        return not np.allclose(self._aim(), self._shown[self._live], rtol=1e-4, atol=1e-4)

    def fading(self) -> bool:
        """Whether there are drawings that others gave way to: they are painted below."""
        return bool((self._live & np.isfinite(self._left)).any())

    def table(self, now: float, width: int, height: int) -> NDArray[np.float32]:
        """The slots' table for a window of so many pixels, shape (slots, 8), float32.

        Columns: pixels for a stage unit, x and y of the stage's corner in pixels (y down), half the thickness of lines
        in pixels (0: not shown), red, green, blue (0 to 1, mixed with the background as far as it has faded), and 1
        for drawings that others gave way to.

        Drawings that have faded are taken out here: rows may change.
        """
        self._expire(now)
        self._zoom(now)
        out = np.zeros((len(self._live), 8), np.float32)
        live = np.flatnonzero(self._live)
        corners = cells(self._voices if self.look.grid else 1, width, height)
        cell = corners[self._voice[live] % len(corners)]
        shorter = np.minimum(cell[:, 2], cell[:, 3])
        low, high = self._shown[live, :2], self._shown[live, 2:]
        room = np.maximum(cell[:, 2:] - 2 * MARGIN * shorter[:, None], 1.0)
        scale = (room / np.maximum(high - low, 1e-9)).min(axis=1)
        offset = cell[:, :2] + cell[:, 2:] / 2 - scale[:, None] * (low / 2 + high / 2)
        colors, background = np.array(self.look.colors), np.array(self.look.background)
        seen = self._strength(live, now)[:, None]
        out[live, 0], out[live, 1:3] = scale, offset
        out[live, 3] = np.maximum(self.look.line_width * shorter, THINNEST) / 2
        out[live, 4:7] = background + seen * (colors[self._voice[live] % len(colors)] - background)
        out[live, 7] = np.isfinite(self._left[live])
        return out

    def _strength(self, live: NDArray[np.int64], now: float) -> NDArray[np.float64]:
        """How much of a drawing is still seen, 0 to 1."""
        if not math.isfinite(self.look.fade):
            return np.ones(len(live))
        age = np.maximum(now - self._left[live], 0.0)  # none while it is drawn: left is inf then
        strength: NDArray[np.float64] = np.clip(1.0 - age / max(self.look.fade, 1e-9), 0.0, 1.0)
        return strength

    def _expire(self, now: float) -> None:
        """What has faded is gone; its lines are taken out once they are the larger part."""
        gone = self._live & (self._left + self.look.fade <= now)
        if gone.any():
            self._live &= ~gone
            if 2 * self._live[self.rows[: self.count, 4].astype(np.intp)].sum() < self.count:
                self._compact()

    def _zoom(self, now: float) -> None:
        """Views go smoothly to what they have to hold."""
        passed = 0.0 if self._seen is None else max(now - self._seen, 0.0)
        self._seen = now
        part = 1.0 - math.exp(-passed / _ZOOM)
        self._shown[self._live] += part * (self._aim() - self._shown[self._live])

    def _aim(self) -> NDArray[np.float64]:
        """The views that live drawings should have: each its own, or all the same."""
        boxes = self._box[self._live]
        if not self.look.grid and len(boxes):
            together = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])
            boxes = np.tile(together, (len(boxes), 1))
        return boxes

    def _pen(self, number: int, now: float) -> _Pen:
        pen = self._pens.get(number)
        if pen is None or not self._draws(pen):
            self.drawing(number, now)
            pen = self._pens[number]
        return pen

    def _draws(self, pen: _Pen) -> bool:
        """Whether its drawing is still there."""
        return pen.slot >= 0 and bool(self._live[pen.slot]) and self._born[pen.slot] == pen.born

    def _leave(self, pen: _Pen, now: float) -> None:
        if self._draws(pen):
            self._left[pen.slot] = now
        pen.slot = -1

    def _piece(self, pen: _Pen, x: float, y: float) -> None:
        if self.count == len(self.rows):
            self._make_room()
        self.rows[self.count] = (pen.x, pen.y, x, y, pen.slot)
        self.count += 1
        box = self._box[pen.slot]
        if not (box[0] <= x <= box[2] and box[1] <= y <= box[3]):
            box[:2], box[2:] = np.minimum(box[:2], (x, y)), np.maximum(box[2:], (x, y))

    def _free(self) -> int:
        """A slot that no line refers to."""
        if not self._spare:
            self._compact()
            if len(self._spare) < len(self._live) // 4:
                oldest = np.argsort(np.where(self._live, self._born, np.iinfo(np.int64).max))
                self._live[oldest[: len(self._live) // 4]] = False
                self._compact()
        return self._spare.pop()

    def _make_room(self) -> None:
        self._compact()
        most = 3 * len(self.rows) // 4
        if self.count > most:
            gone = self.count - most
            self.rows[:most] = self.rows[gone : self.count].copy()
            self.count = most
            self.forgotten += gone

    def _compact(self) -> None:
        """Takes out the lines of drawings that are gone."""
        rows = self.rows[: self.count]
        kept = rows[self._live[rows[:, 4].astype(np.intp)]]
        self.rows[: len(kept)] = kept
        self.count, self.changed = len(kept), 0
        self._spare = np.flatnonzero(~self._live)[::-1].tolist()


def cells(voices: int, width: int, height: int) -> NDArray[np.float64]:
    """Where each voice has its place: left, top, width and height in pixels, shape (voices, 4), row by row.

    Of all grids the one whose cells have the longest shorter side.
    """
    columns = np.arange(1, min(voices, 1024) + 1)
    rows = -(-voices // columns)
    best = int(np.argmax(np.minimum(width / columns, height / rows)))
    across, down = int(columns[best]), int(rows[best])
    each = np.arange(voices)
    size = np.array([width / across, height / down])
    corners = np.stack([each % across, each // across], axis=1) * size
    return np.concatenate([corners, np.tile(size, (voices, 1))], axis=1)
