"""Strokes that people give, as stroke-3 rows."""

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .errors import StrokesError

Rows: TypeAlias = NDArray[np.float64]
"""One drawing as stroke-3 rows, shape (n, 3), n >= 1, data units unless said otherwise."""

MAX_ROWS: Final = 10**7
"""Most rows of one drawing; more is taken for a mistake."""

MAX_UNITS: Final = 1e9
"""Largest coordinate or offset; float32 would tell no points apart beyond it."""

_FORMS: Final = "give stroke-3 rows, shape (n, 3), or a list of polylines, each of shape (k, 2)"


def to_rows(strokes: Any) -> Rows:
    """Stroke-3 rows of strokes given in either form, in the same units.

    A numeric array or list of shape (n, 3) is stroke-3. A sequence of arrays or lists of shape (k, 2) is polylines;
    the last point of each lifts the pen. The first point of the first polyline is where the pen stands, and gives no
    row; a first polyline of that one point only is the dot (0, 0, 1).

    Args:
        strokes: the strokes; numbers only, finite, within ±``MAX_UNITS``, 1 to ``MAX_ROWS`` rows.

    Raises:
        StrokesError: another form, not finite, lift neither 0 nor 1, too many, or nothing left to draw.
    """
    if not hasattr(strokes, "__array__") and (isinstance(strokes, str | bytes) or not isinstance(strokes, Sequence)):
        raise StrokesError(f"strokes are a {type(strokes).__name__}; {_FORMS}")
    try:
        size = len(strokes)
        first = np.ndim(strokes[0]) if size else 0
    except (TypeError, ValueError, LookupError) as err:
        raise StrokesError(f"strokes of type {type(strokes).__name__} cannot be read ({err}); {_FORMS}") from err
    if size == 0:
        raise StrokesError(f"the strokes are empty; {_FORMS}")
    _check_count(size)
    rows = _from_polylines(strokes) if first == 2 else _from_stroke3(strokes)
    rows = rows[1:] if not rows[0].any() else rows
    if not len(rows):
        raise StrokesError("the strokes are only the start point, nothing to draw; give at least one move or lift")
    return rows


def _check_count(count: int) -> None:
    if count > MAX_ROWS:
        raise StrokesError(f"the strokes have {count} points; at most {MAX_ROWS} are taken; give a part of them")


def _numbers(value: Any, columns: int, what: str) -> NDArray[np.float64]:
    """A finite float64 array of shape (n, columns).

    Raises:
        StrokesError: it is something else; ``what`` says where.
    """
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, OverflowError, RuntimeError) as err:
        raise StrokesError(f"{what} cannot be read as numbers ({err}); {_FORMS}") from err
    if array.ndim != 2 or array.shape[1] != columns or array.dtype.kind not in "iuf":
        wanted = f"expected numbers of shape (n, {columns})"
        hint = "; one polyline alone goes into a list" if columns == 3 and array.shape[1:] == (2,) else ""
        raise StrokesError(f"{what}: shape {array.shape}, dtype {array.dtype}; {wanted}; {_FORMS}{hint}")
    with np.errstate(over="ignore"):  # a longdouble beyond float64 becomes inf, and is refused below
        out = np.array(array, np.float64)
    if not (np.abs(out) <= MAX_UNITS).all():  # NaN fails the comparison too
        row = int(np.argmin((np.abs(out) <= MAX_UNITS).all(1)))
        raise StrokesError(
            f"{what}: point {row} is {out[row].tolist()}; numbers must be finite and within ±{MAX_UNITS:g}; "
            "remove such points"
        )
    return out


def _from_stroke3(strokes: Any) -> Rows:
    rows = _numbers(strokes, 3, "the strokes")
    lifts = rows[:, 2]
    wrong = (lifts != 0) & (lifts != 1)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise StrokesError(
            f"row {row} has lift {lifts[row]:g}; the third column of stroke-3 is 0 (pen stays down) or 1 (pen lifts "
            "after the point); three-dimensional points are not taken"
        )
    return rows


def _from_polylines(strokes: Any) -> Rows:
    parts = []
    total = 0
    for number, line in enumerate(strokes):
        total += _length(line)
        _check_count(total)
        parts.append(_numbers(line, 2, f"polyline {number}"))
        if not len(parts[-1]):
            raise StrokesError(f"polyline {number} is empty; leave it out, or give it at least one point")
    points = np.concatenate(parts)
    rows = np.zeros((len(points), 3))
    rows[1:, :2] = np.diff(points, axis=0)
    rows[np.cumsum([len(part) for part in parts]) - 1, 2] = 1.0
    return rows[1:] if len(parts[0]) > 1 else rows


def _length(line: Any) -> int:
    try:
        return len(line)
    except TypeError:
        return 0  # not a polyline, which _numbers says better
