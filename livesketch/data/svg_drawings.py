"""Reads SVG files as drawings: any path and basic shape, curves flattened, transforms and viewBox applied.

Each subpath is a stroke, in the order of the file; y points down. Only shape counts: whether a path is filled, stroked
or seen at all behind another one does not, so take out backgrounds first. A drawing is scaled so that its larger side
is 255 and simplified with epsilon 2.0, which makes a folder of SVG files look like Quick, Draw! data.
"""

import io
import math
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..errors import DataError
from .found import EMPTY, Found, of_polylines
from .simplify import MAX_PATH, SIDE, Points, rdp, scaled
from .svg_files import CheckedSvg, TooLongError, read_svg

FLATNESS: Final = 0.1
"""How far a flattened curve may be from the curve, in data units of the scaled drawing."""

MAX_PIECES: Final = 1000
"""Most lines that one curve becomes."""

_BROKEN: Final = (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError)
"""What svgelements raises where attributes are not what they should be."""


def read_svg_files(paths: Iterable[Path], where: Path, label: str) -> Found:
    """One drawing from each file, all of one class.

    What is not drawn (text, images, style) is counted, as are files without a path and files that are too long.

    Raises:
        DataError: a file cannot be read, is no SVG, or not one that can be read safely.
    """
    found = Found(str(where), label)
    for path in paths:
        try:
            svg = read_svg(path)
            lines = polylines(path, svg, found)
            for kind, count in svg.ignored.items():
                found.skip(f"{kind} elements: not drawn", count)
            rows = of_polylines(_simple(lines)) if lines else None
        except TooLongError as err:
            found.skip(f"too long to be read ({err}): left out")
            continue
        if rows is None:
            found.skip(EMPTY)
        else:
            found.drawings.append(rows)
    return found


def svg_polylines(path: str | Path) -> list[Points]:
    """The strokes of an SVG file, each (k, 2), pixels of the page (96 to the inch where it has a size), y down.

    Raises:
        DataError: as ``read_svg_files``; also where it is too long.
    """
    path = Path(path)
    try:
        return polylines(path, read_svg(path), Found(str(path), ""))
    except TooLongError as err:
        raise DataError(f"{path}: {err}; split or simplify it") from err


def polylines(path: Path, svg: CheckedSvg, found: Found) -> list[Points]:
    """The strokes of a checked SVG; hidden elements are counted in ``found``.

    Raises:
        DataError: attributes that cannot be read, or places that are none.
    """
    from svgelements import SVG, Shape  # noqa: PLC0415 - it takes 50 ms to load
    from svgelements import Path as SvgPath  # noqa: PLC0415

    try:
        tree = SVG.parse(io.BytesIO(ET.tostring(svg.root)), on_error="raise")
        pieces: list[Any] = []
        for shape in tree.elements(lambda element: isinstance(element, Shape)) if isinstance(tree, SVG) else ():
            if str(shape.values.get("visibility", "")).strip() in {"hidden", "collapse"}:
                found.skip("hidden elements: not drawn")
                continue
            outline = SvgPath(shape)
            outline.reify()
            outline.approximate_arcs_with_cubics()
            pieces.append(list(outline))
        flat = [line for segments in pieces for line in _strokes(segments, _tolerance(pieces))]
    except _BROKEN as err:
        reason = str(err) or "numbers are missing"
        raise DataError(f"{path}: a path or attribute that cannot be read ({reason}); open and save it again") from err
    if not all(np.isfinite(line).all() for line in flat):
        raise DataError(f"{path}: a path leads to places that are no numbers; open and save it again")
    return flat


def _simple(lines: list[Points]) -> list[Points]:
    """The strokes of a drawing, scaled and simplified. TooLongError: that would take too long."""
    fitted = scaled(lines)
    if sum(float(np.hypot(*np.diff(line, axis=0).T).sum()) for line in fitted) > MAX_PATH:
        raise TooLongError(f"a path of more than {MAX_PATH} data units")
    try:
        return [line[rdp(line)] for line in fitted]
    except ValueError as err:
        raise TooLongError(str(err)) from err


def _controls(segment: Any) -> Points:
    """Start, control points and end, (k, 2)."""
    found = [segment.start, getattr(segment, "control", None), getattr(segment, "control1", None)]
    found += [getattr(segment, "control2", None), segment.end]
    return np.array([(point.x, point.y) for point in found if point is not None], np.float64).reshape(-1, 2)


def _tolerance(pieces: list[Any]) -> float:
    """``FLATNESS`` in the units of the file, as the drawing will be scaled; 0 where it has no size."""
    points = [_controls(segment) for segments in pieces for segment in segments]
    if not points:
        return 0.0
    every = np.concatenate(points)
    return float((every.max(axis=0) - every.min(axis=0)).max()) * FLATNESS / SIDE


def _strokes(segments: list[Any], tolerance: float) -> list[Points]:
    """The polylines of one path; a subpath that only moves is none, one that goes nowhere is a dot of two points."""
    out: list[list[Points]] = []
    begins = True
    for segment in segments:
        kind = type(segment).__name__
        if kind == "Move":
            begins = True
            continue
        controls = _controls(segment)
        if not len(controls):
            continue
        if begins:
            out.append([controls[:1]])
        out[-1].append(_flattened(controls, tolerance))
        begins = kind == "Close"
    return [np.concatenate(parts) for parts in out]


def _flattened(controls: Points, tolerance: float) -> Points:
    """Points of a Bézier curve of degree 1 to 3 behind its start, (k, 2), its end last.

    The number of pieces follows from the second differences d of the control points: a curve of degree n in k equal
    pieces of its parameter is nowhere farther than n (n - 1) / 8 max|d| / k² from them (Wang 1984).
    """
    degree = len(controls) - 1
    if degree < 2:
        return controls[-1:]
    bend = np.hypot(*np.diff(controls, 2, axis=0).T).max() * degree * (degree - 1) / 8
    pieces = math.ceil(min(math.sqrt(bend / tolerance), MAX_PIECES)) if tolerance and np.isfinite(bend) else 1
    at = (np.arange(1, max(pieces, 1) + 1) / max(pieces, 1))[:, None]
    weights = [math.comb(degree, k) * at**k * (1 - at) ** (degree - k) for k in range(degree + 1)]
    return np.asarray(sum(weight * point for weight, point in zip(weights, controls, strict=True)), np.float64)
