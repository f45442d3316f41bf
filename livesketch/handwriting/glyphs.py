"""What a written character is, and curves as the pen follows them.

A character stands in a *cell*, a square of side 1: x right, y down, (0, 0) its upper left corner. Lengths here are in
cells.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Points: TypeAlias = NDArray[np.float64]
"""One stroke: shape (k, 2), k at least 1, in the order in which the pen goes; of one point it is a dot."""

SPACING: Final = 0.08
"""Longest line that a stroke is made of: one pen action moves at most so far while it draws, curves within 1 %."""

TURN: Final = math.radians(18)
"""Most that the direction of a curve changes from one of its lines to the next, as far as ``SHORTEST`` allows it."""

SHORTEST: Final = 0.01
"""A curve is not cut into shorter lines, however much it bends: on paper nobody sees it."""

CORNER: Final = math.radians(60)
"""A polyline that turns by more is meant to have a corner there; less is a curve that was cut into lines."""

_SAME: Final = 1e-6
"""Points that are nearer to each other are one."""


@dataclass(frozen=True, slots=True, eq=False)
class Glyph:
    """A character's strokes in their order."""

    strokes: tuple[Points, ...]
    width: float
    """How far along the line the next character stands."""
    wide: bool
    """It fills a cell, as Chinese characters do; the others stand in words, which are not broken."""


def pen_line(points: Points) -> Points:
    """A polyline (k, 2) whose segments are at most ``SPACING`` long; k at least 1, 1 where it has no length.

    Its own vertices stay.
    """
    points = distinct(points)
    parts = [points[:1]]
    for start, end in itertools.pairwise(points):
        count = math.ceil(math.dist(start, end) / SPACING)
        at = (np.arange(1, count + 1) / count)[:, None]
        parts.append(start * (1 - at) + end * at)
    return np.concatenate(parts)


def pen_curve(points: Points) -> Points:
    """The smooth curve through a coarse polyline (k, 2), as a polyline; a dot stays a dot.

    A Catmull-Rom spline ("A class of local interpolating splines", 1974): at each point the curve goes in the direction
    from the point before to the point after. Each segment is a cubic Bézier whose handles are a third of its own chord,
    not of its neighbours', so that points of uneven distance, as in stroke medians, make no loops. At its ends the
    curve bends as an arc of a circle would. Where the polyline turns by more than ``CORNER``, it keeps its corner.
    """
    points = distinct(points)
    if len(points) < 3:
        return pen_line(points)
    chords = np.diff(points, axis=0)
    turns = [abs(_turn(a, b)) for a, b in itertools.pairwise(chords.tolist())]
    edges = [0, *(k for k, turn in enumerate(turns, 1) if turn > CORNER), len(points) - 1]
    parts = [points[:1]]
    for first, last in itertools.pairwise(edges):
        parts += _spline(points[first : last + 1])
    return np.concatenate(parts)


def pen_bezier(controls: Points) -> Points:
    """Points of a Bézier curve of any degree (control points (k, 2)) behind its start, its end last."""
    places = controls.tolist()
    legs = [(x1 - x0, y1 - y0) for (x0, y0), (x1, y1) in itertools.pairwise(places)]
    lengths = [math.hypot(*leg) for leg in legs]
    length = (math.fsum(lengths) + math.dist(places[0], places[-1])) / 2  # between those of chord and controls
    moving = [leg for leg, size in zip(legs, lengths, strict=True) if size > _SAME]
    bend = sum(abs(_turn(a, b)) for a, b in itertools.pairwise(moving))
    pieces = max(1, math.ceil(length / SPACING), min(math.ceil(bend / TURN), math.ceil(length / SHORTEST)))
    out = np.asarray(_bernstein(len(places) - 1, pieces) @ controls, np.float64)
    out[-1] = controls[-1]
    return out


@lru_cache(maxsize=256)
def _bernstein(degree: int, pieces: int) -> Points:
    """Bernstein polynomials of a degree at 1/pieces, 2/pieces ... 1: (pieces, degree + 1)."""
    at = np.arange(1, pieces + 1) / pieces
    return np.stack([math.comb(degree, k) * at**k * (1 - at) ** (degree - k) for k in range(degree + 1)], 1)


def distinct(points: Points) -> Points:
    """The points (k, 2) without those that do not move the pen; k at least 1."""
    kept = np.ones(len(points), bool)
    kept[1:] = np.hypot(*np.diff(points, axis=0).T) > _SAME
    return points[kept]


def _spline(points: Points) -> list[Points]:
    """The curve through the points of a part without corners, behind its first point."""
    if len(points) < 3:
        return [pen_line(points)[1:]]
    chords = np.diff(points, axis=0)
    lengths = np.hypot(*chords.T)
    ways = points[2:] - points[:-2]  # never 0: a turn of 180 degrees is a corner
    ways = ways / np.hypot(*ways.T)[:, None]
    first, last = _mirrored(ways[0], chords[0]), _mirrored(ways[-1], chords[-1])
    directions = np.concatenate([[first], ways, [last]])
    handles = directions[:-1] * lengths[:, None] / 3, directions[1:] * lengths[:, None] / 3
    return [
        pen_bezier(np.array([start, start + out, end - into, end]))
        for start, end, out, into in zip(points[:-1], points[1:], *handles, strict=True)
    ]


def _mirrored(direction: Points, chord: Points) -> Points:
    """The direction at one end of a chord of a circle, (2,), from that at the other."""
    along = chord / math.hypot(*chord)
    return np.asarray(2 * (direction @ along) * along - direction, np.float64)


def _turn(a: Sequence[float], b: Sequence[float]) -> float:
    """The angle from one direction to another, radians in -pi ... pi; neither has length 0."""
    return math.atan2(a[0] * b[1] - a[1] * b[0], a[0] * b[0] + a[1] * b[1])
