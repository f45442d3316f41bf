"""Strokes in and out: rows and polylines that people give, those that drawn actions make, and files of them.

*Rows* are stroke-3, shape (n, 3): dx, dy, and 1 where the pen lifts after the point. The pen starts down at the
origin, so the first row is an ordinary segment; a leading (0, 0, 0) row, the move from the origin to itself with
which data sets begin, is dropped everywhere. *Polylines* are lists of points, shape (k, 2), one list per stroke.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from .cues import START, CueMaker
from .errors import StrokesError
from .events import Event, Pen, PenAction
from .rows import Rows, to_rows
from .stroke_files import load_strokes, save_strokes

__all__ = [
    "START",
    "CueMaker",
    "PolylineBuilder",
    "Rows",
    "load_strokes",
    "save_strokes",
    "to_polylines",
    "to_rows",
    "to_stroke3",
]


class PolylineBuilder:
    """Collects the polylines of one voice's drawing, action by action, in stage coordinates.

    The pen starts down, so the first stroke begins at the start point. A move without ink begins a new polyline at
    its own point; one that then lifts or ends is a dot, a polyline of one point. END draws nothing. For a part of a
    drawing that begins inside a stroke, the line begins at the first action's point: where it came from is not known.
    """

    def __init__(self) -> None:
        self.polylines: list[list[tuple[float, float]]] = []
        """What is drawn so far; the last one may still grow."""
        self._down = False

    def add(self, action: PenAction) -> None:
        """The next action; step 0 begins at the start point again."""
        if action.pen is Pen.END:
            self._down = False
            return
        point = (action.x, action.y)
        if not action.ink:
            self.polylines.append([point])
        elif action.step == 0:
            self.polylines.append([START, point])
        elif self._down:
            self.polylines[-1].append(point)
        else:
            self.polylines.append([point])
        self._down = action.pen is Pen.DOWN and not action.last


def to_polylines(actions: Iterable[Event]) -> list[NDArray[np.float64]]:
    """Polylines, each (k, 2) in stage coordinates, in order of time within each drawing of each voice.

    Events that are not pen actions are passed over, so that what an output recorded can be given as it is. Drawings
    follow one another in the order in which they began.
    """
    builders: dict[tuple[int, int], PolylineBuilder] = {}
    for action in actions:
        if isinstance(action, PenAction):
            builders.setdefault((action.voice, action.drawing), PolylineBuilder()).add(action)
    return [np.array(line, np.float64) for builder in builders.values() for line in builder.polylines]


def to_stroke3(actions: Iterable[Event]) -> NDArray[np.float32]:
    """Stroke-3 rows (n, 3) of the actions of one drawing, data units; n is 0 where END is all there is.

    END gives no row. The last row of a drawing that ended, or was cut at its maximum length, lifts the pen. Events
    that are not pen actions are passed over.

    >>> import livesketch as ls
    >>> cat = ls.sketch("cat", seed=7)
    >>> fed = cat.feed([[(0, 0), (40, 10), (80, 0)], [(10, 20), (20, 20)]])
    >>> to_stroke3(fed).tolist()
    [[40.0, 10.0, 0.0], [40.0, -10.0, 1.0], [-70.0, 20.0, 0.0], [10.0, 0.0, 1.0]]

    Raises:
        StrokesError: the actions are of several drawings or voices.
    """
    taken = [action for action in actions if isinstance(action, PenAction)]
    drawings = sorted({(action.voice, action.drawing) for action in taken})
    if len(drawings) > 1:
        named = ", ".join(f"voice {voice} drawing {drawing}" for voice, drawing in drawings[:5])
        more = ", ..." if len(drawings) > 5 else ""
        raise StrokesError(
            f"the actions are of {len(drawings)} drawings ({named}{more}); stroke-3 holds one; split them by .voice "
            "and .drawing"
        )
    rows = [(action.dx, action.dy, action.pen is Pen.UP) for action in taken if action.pen is not Pen.END]
    out = np.array(rows, np.float32).reshape(-1, 3)
    if len(out) and taken[-1].last:
        out[-1, 2] = 1.0
    return out
