"""Strokes in and out: rows and polylines that people give, and those that drawn actions make.

*Rows* are stroke-3, shape (n, 3): dx, dy, and 1 where the pen lifts after the point. The pen starts down at the
origin, so the first row is an ordinary segment; a leading (0, 0, 0) row, the move from the origin to itself with
which data sets begin, is dropped everywhere. *Polylines* are lists of points, shape (k, 2), one list per stroke.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .cues import START, CueMaker
from .errors import StrokesError
from .events import Cue, Event, Pen, PenAction, Token
from .rows import Rows, to_rows

__all__ = [
    "START",
    "CueMaker",
    "Drawn",
    "PolylineBuilder",
    "Rows",
    "rows_of",
    "to_polylines",
    "to_rows",
    "to_stroke3",
]


@runtime_checkable
class Drawn(Protocol):
    """What holds the actions of a drawing, as ``SketchStream.drawing`` and ``draw`` give it.

    The actions are taken from here, whether or not it is also an iterator: one that has run out still holds them, and
    one that has not is not moved on.
    """

    @property
    def actions(self) -> Sequence[PenAction]:
        """All that is drawn so far."""


class PolylineBuilder:
    """Collects the polylines of one voice's drawing, action by action, in stage coordinates.

    The pen starts down, so the first stroke begins at the start point. A move without ink begins a new polyline at
    its own point; one that then lifts or ends is a dot, a polyline of one point. END draws nothing. Where a part of a
    drawing begins inside a stroke, and where a step does not follow the one before it (the stream was restored, steps
    were left out), a line begins at the action's own point: where its move came from is not known.
    """

    def __init__(self) -> None:
        self.polylines: list[list[tuple[float, float]]] = []
        """What is drawn so far; the last one may still grow."""
        self._down = False
        self._next: tuple[int, int] | None = None
        """Drawing and step that go on from here."""

    def add(self, action: PenAction) -> None:
        """The next action; step 0 begins at the start point again."""
        down = self._down and (action.drawing, action.step) == self._next
        self._down = action.pen is Pen.DOWN and not action.last
        self._next = (action.drawing, action.step + 1)
        if action.pen is Pen.END:
            return
        point = (action.x, action.y)
        if not action.ink:
            self.polylines.append([point])
        elif action.step == 0:
            self.polylines.append([START, point])
        elif down:
            self.polylines[-1].append(point)
        else:
            self.polylines.append([point])


def to_polylines(actions: Iterable[Event] | Drawn) -> list[NDArray[np.float64]]:
    """Polylines, each (k, 2) in stage coordinates, in order of time within each drawing of each voice.

    A drawing gives all that it holds so far, and is not moved on. Events that are not pen actions are passed over, so
    that what an output recorded can be given as it is. Drawings follow one another in the order in which they began.
    Where steps are missing, a line begins at the next action's own point.

    Raises:
        StrokesError: what came holds something else than events.
    """
    builders: dict[tuple[int, int], PolylineBuilder] = {}
    for action in _pen_actions(actions):
        builders.setdefault((action.voice, action.drawing), PolylineBuilder()).add(action)
    return [np.array(line, np.float64) for builder in builders.values() for line in builder.polylines]


def to_stroke3(actions: Iterable[Event] | Drawn) -> NDArray[np.float32]:
    """Stroke-3 rows (n, 3) of the actions of one drawing, data units; n is 0 where END is all there is.

    A drawing gives all that it holds so far, and is not moved on. END gives no row. The last row of a drawing that
    ended, or was cut at its maximum length, lifts the pen. Events that are not pen actions are passed over.

    >>> import livesketch as ls
    >>> cat = ls.sketch("cat", seed=7)
    >>> fed = cat.feed([[(0, 0), (40, 10), (80, 0)], [(10, 20), (20, 20)]])
    >>> to_stroke3(fed).tolist()
    [[40.0, 10.0, 0.0], [40.0, -10.0, 1.0], [-70.0, 20.0, 0.0], [10.0, 0.0, 1.0]]

    Raises:
        StrokesError: the actions are of several drawings or voices, or what came holds something else than events.
    """
    return rows_of(actions).astype(np.float32)


def rows_of(actions: Iterable[Event] | Drawn) -> Rows:
    """What ``to_stroke3`` gives, at full precision; n may be 0.

    Raises:
        StrokesError: as ``to_stroke3``.
    """
    taken = _pen_actions(actions)
    drawings = sorted({(action.voice, action.drawing) for action in taken})
    if len(drawings) > 1:
        named = ", ".join(f"voice {voice} drawing {drawing}" for voice, drawing in drawings[:5])
        more = ", ..." if len(drawings) > 5 else ""
        raise StrokesError(
            f"the actions are of {len(drawings)} drawings ({named}{more}); stroke-3 holds one; split them by .voice "
            "and .drawing"
        )
    rows = [(action.dx, action.dy, action.pen is Pen.UP) for action in taken if action.pen is not Pen.END]
    out = np.array(rows, np.float64).reshape(-1, 3)
    if len(out) and taken[-1].last:
        out[-1, 2] = 1.0
    return out


def _pen_actions(source: Any) -> list[PenAction]:
    """The pen actions among the events of a drawing or an iterable.

    Raises:
        StrokesError: it is something else, or holds something else.
    """
    expected = "expected a drawing, such as draw gives, or pen actions in a list"
    events = source.actions if isinstance(source, Drawn) else source
    if isinstance(events, str | bytes) or not hasattr(events, "__iter__"):
        raise StrokesError(f"{source!r:.60} of type {type(source).__name__} has no pen actions; {expected}")
    taken = []
    for number, event in enumerate(events):
        if isinstance(event, PenAction):
            taken.append(event)
        elif not isinstance(event, Token | Cue):
            hint = "; several drawings are given one at a time" if isinstance(event, Drawn | list | tuple) else ""
            raise StrokesError(f"item {number} is of type {type(event).__name__}; {expected}{hint}")
    return taken
