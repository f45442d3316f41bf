"""Reads Quick, Draw! ``.ndjson``, raw or simplified, one drawing a line.

Format: googlecreativelab/quickdraw-dataset ``README.md``. A line's ``drawing`` is a list of strokes, each of two lists
``[xs, ys]`` (simplified), or of three, ``[xs, ys, milliseconds]`` (raw). Raw drawings are simplified here.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np

from ..errors import DataError, StrokesError
from ..rows import MAX_UNITS
from .found import EMPTY, Found, of_polylines
from .json_lines import json_lines
from .simplify import SIDE, Points, simplified
from .sketch_npz import Stroke3

MAX_SHOWN: Final = 200
"""Most characters of an error that are repeated."""


def read_ndjson(path: Path, label: str, *, recognized_only: bool = False) -> Found:
    """The drawings of a file, all of them or those that the game recognized.

    Lines that hold no drawing are counted.

    Raises:
        DataError: the file cannot be read, or more than half of its lines hold no drawing.
    """
    found = Found(str(path), label)
    lines = bad = 0
    first = ""
    for number, record in json_lines(path):
        lines += 1
        if recognized_only and isinstance(record, dict) and record.get("recognized") is not True:
            found.skip("not recognized by the game: left out")
            continue
        try:
            rows = _drawing(record, found)
        except (ValueError, StrokesError, OverflowError) as err:
            first = first or f"line {number}: {str(err)[:MAX_SHOWN]}"
            bad += 1
            continue
        if rows is None:
            found.skip(EMPTY)
        else:
            found.drawings.append(rows)
    if lines and 2 * bad > lines:
        raise DataError(
            f"{path}: {bad} of its {lines} lines hold no drawing; {first}; expected Quick, Draw! ndjson, a line such "
            'as {"drawing": [[[0, 255], [10, 10]]]}'
        )
    found.skip(f"lines without a drawing: left out ({first})", bad)
    return found


def _drawing(record: dict[str, Any] | str, found: Found) -> Stroke3 | None:
    """Stroke-3 of a line's ``drawing``; None where nothing is drawn. A text says why the line has no object.

    Raises:
        ValueError, StrokesError, OverflowError: it is no drawing, or one too wild to be simplified.
    """
    if isinstance(record, str):
        raise ValueError(record)  # noqa: TRY004
    strokes = record.get("drawing")
    if not isinstance(strokes, list):
        raise ValueError(f'"drawing" is a {type(strokes).__name__}, expected a list of strokes')  # noqa: TRY004
    kinds = {len(stroke) if isinstance(stroke, list) else 0 for stroke in strokes}
    if kinds - {2, 3} or len(kinds) > 1:
        raise ValueError("strokes that are neither all [xs, ys] nor all [xs, ys, ms]")
    lines = [line for line in (_points(stroke) for stroke in strokes) if len(line)]
    found.skip("strokes without a point: left out of their drawings", len(strokes) - len(lines) if lines else 0)
    if not lines:
        return None
    if kinds == {3} or _is_raw(lines):
        lines = simplified(lines)
    return of_polylines(lines)


def _is_raw(lines: list[Points]) -> bool:
    """Whether strokes without times are not simplified: outside of 0 to 255, or not whole."""
    points = np.concatenate(lines)
    return bool((points < 0).any() or (points > SIDE).any() or (points != np.round(points)).any())


def _points(stroke: list[Any]) -> Points:
    """(k, 2) of a stroke's xs and ys."""
    xs, ys = stroke[:2]
    if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys):
        raise ValueError("a stroke whose xs and ys are not lists of one length")
    if len(stroke) == 3 and (not isinstance(stroke[2], list) or len(stroke[2]) != len(xs)):
        raise ValueError("a stroke whose times are not a list as long as its xs")
    array = np.asarray([xs, ys])
    if xs and (array.ndim != 2 or array.dtype.kind not in "iuf"):
        raise ValueError("a stroke whose coordinates are not numbers")
    points = array.astype(np.float64).reshape(2, -1).T
    if not (np.abs(points) <= MAX_UNITS).all():
        raise ValueError(f"a stroke with coordinates beyond ±{MAX_UNITS:g}")
    return points
