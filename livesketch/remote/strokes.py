"""Strokes that are drawn elsewhere, point by point or at once, and fed to what plays."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..data.simplify import EPSILON, rdp
from ..errors import ControlError, StrokesError
from ..events import Pen, PenAction
from ..strokes import Rows

Points = NDArray[np.float64]

MOST_POINTS: Final = 10_000
"""That wait to be fed to one player."""
_FARTHEST: Final = 100.0
"""Stage widths from the stage's corner; what is farther off is a mistake."""
_TRACE: Final = 1e-9
"""Data units of a move that sets the pen down where it is: a row of zeros at the beginning would be left out."""


class Pad:
    """Strokes on their way to one player, on the stage: (x, y), 0 to 1, y down."""

    def __init__(self) -> None:
        self._lines: list[list[tuple[float, float]]] = []
        self._down = False
        self._points = 0

    def __len__(self) -> int:
        """Points that wait."""
        return self._points

    def begin(self) -> None:
        """The pen touches the paper; where it was down it is lifted first."""
        self._down = False

    def add(self, values: list[float]) -> None:
        """More points of the present stroke, x y x y …; the first one touches down.

        Raises:
            StrokesError: half a point, too far off, or too many that wait.
        """
        if self._points + len(values) // 2 > MOST_POINTS:
            raise StrokesError(f"{self._points} points wait to be fed, at most {MOST_POINTS}; send /feed/commit")
        points = polyline(values)
        if not points:
            return
        if not self._down:
            self._lines.append([])
            self._down = True
        self._lines[-1] += points
        self._points += len(points)

    def end(self) -> None:
        """The pen lifts."""
        self._down = False

    def take(self) -> list[list[tuple[float, float]]]:
        """The strokes, which then are forgotten."""
        lines, self._lines, self._down, self._points = self._lines, [], False, 0
        return lines


def polyline(values: list[float]) -> list[tuple[float, float]]:
    """Points of x y x y ….

    Raises:
        StrokesError: an odd number of numbers, or a place far off the stage.
    """
    if len(values) % 2:
        raise StrokesError(f"{len(values)} numbers: expected pairs of x and y, 0 to 1 on the stage, y down")
    far = next((value for value in values if not abs(value) <= _FARTHEST), None)
    if far is not None:
        raise StrokesError(f"a point at {far:g}: expected places on the stage, 0 to 1, at most {_FARTHEST:g} off")
    return list(zip(values[::2], values[1::2], strict=True))


def feed(stream: Any, lines: list[list[tuple[float, float]]]) -> None:
    """Feeds strokes where they are on the stage, simplified as the models' training drawings were.

    In the middle of a drawing the pen goes to each of them through the air. At its beginning the model's pen stands in
    the middle of the stage and is down, so that the first stroke begins there, and the others lie around it.

    Raises:
        StrokesError: no strokes, or longer than what is left of a drawing.
    """
    if not lines:
        raise StrokesError("no strokes wait to be fed: expected /feed/point x y before /feed/commit")
    try:
        drawn = [_simplified(np.array(line) * stream.stage_units) for line in lines]
    except ValueError as err:
        raise StrokesError(f"a stroke that goes to and fro without end: {err}; send a simpler one") from err
    with _locked(stream):
        stream.feed(_rows(drawn, stream.actions[-1:], stream.stage_units))  # from where the pen was seen last


def _simplified(line: Points) -> Points:
    return line[rdp(line, EPSILON)]


def _rows(lines: list[Points], before: list[PenAction], units: float) -> Rows:
    """Stroke-3 rows (n, 3) in data units, from where the pen is."""
    points = np.concatenate(lines)
    rows = np.zeros((len(points), 3))
    rows[1:, :2] = np.diff(points, axis=0)
    rows[np.cumsum([len(line) for line in lines]) - 1, 2] = 1.0
    if not before or before[0].last:  # the pen is down, at the first stroke's first point
        return rows[1:] if len(lines[0]) > 1 else rows
    pen = before[0]
    rows[0, :2] = points[0] - np.array([pen.x, pen.y]) * units
    if pen.pen is Pen.DOWN:  # it lifts first
        return np.concatenate([[[0.0, 0.0, 1.0]], rows])
    if not rows[0].any():
        rows[0, 0] = _TRACE
    return rows


def checked(stream: Any, name: str) -> Any:
    """The stream, where strokes can be fed to it: a ``SketchStream``, or what does the same elsewhere.

    Raises:
        ControlError: they cannot.
    """
    if not can(stream, "feed") or not can(stream, "encode"):
        raise ControlError(f"strokes for {name!r:.40}, which is {stream!r:.80}: expected one voice that draws")
    return stream


def can(stream: Any, method: str) -> bool:
    """Whether a stream has a method; one that plays in another process says by a ControlError that it has not."""
    try:
        return callable(getattr(stream, method, None))
    except ControlError:
        return False


def _locked(stream: Any) -> AbstractContextManager[Any]:
    """Its lock; one that plays in another process has none here."""
    try:
        lock: AbstractContextManager[Any] = stream.lock
    except (AttributeError, ControlError):
        return nullcontext()
    return lock
