"""Drawings on paper: page sizes and lengths, drawings placed inside the margins, and the SVG that says so.

A user unit is a millimetre: ``width`` and ``height`` are in mm and the viewBox has the same numbers, so that plotters
and Inkscape agree on the size. Nothing but the arguments gets into the text: the same drawings give the same bytes.
svgwrite builds the XML; no other module knows of it.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ControlError

Points: TypeAlias = NDArray[np.float64]
"""One polyline: shape (k, 2), k at least 1."""

SIZES: Final[Mapping[str, tuple[float, float]]] = {
    "a0": (841, 1189),
    "a1": (594, 841),
    "a2": (420, 594),
    "a3": (297, 420),
    "a4": (210, 297),
    "a5": (148, 210),
    "a6": (105, 148),
    "letter": (215.9, 279.4),
    "legal": (215.9, 355.6),
}
"""Pages by name: width and height in mm, upright."""

NAMESPACE: Final = "urn:livesketch:1"
"""The XML namespace of what the metadata say about a drawing."""

_MM: Final = {"mm": 1.0, "cm": 10.0, "in": 25.4, "pt": 25.4 / 72, "px": 25.4 / 96}
_LONGEST = 10_000.0  # mm; ten metres of paper
_THINNEST = 0.001  # mm; the last decimal that is written
_NUMBER = r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_UNIT = r"\s*(mm|cm|in|pt|px)?"
_TINY = 1e-9  # stage units; smaller drawings are points
_AIR = 0.05  # of a cell's shorter side, left free on every side between several drawings
_COLUMNS_TRIED = 400


@dataclass(frozen=True, slots=True)
class Page:
    """A sheet of paper; all lengths in mm."""

    width: float
    height: float
    margin: float
    pen_width: float

    @property
    def inner(self) -> tuple[float, float]:
        """Width and height in which the middle of the pen may move: its ink stays inside the margins."""
        edge = 2 * self.margin + self.pen_width
        return self.width - edge, self.height - edge


@dataclass(frozen=True, slots=True)
class Sketch:
    """One drawing, in any unit, y down: its polylines in time order, and the layer (from 0) it belongs to."""

    polylines: Sequence[ArrayLike]
    layer: int = 0


def length_mm(text: str | float) -> float:
    """Millimetres of a length such as ``"10mm"``, ``"1cm"``, ``"0.5in"``, ``"12pt"``; a bare number is in mm.

    ControlError: anything else, and lengths above ten metres.
    """
    match = re.fullmatch(_NUMBER + _UNIT, str(text).strip().lower())
    value = float(match[1]) * _MM[match[2] or "mm"] if match else math.nan
    if not 0 <= value <= _LONGEST:
        raise ControlError(f"length {text!r:.60}: expected 0 to 10 m as a number and mm, cm, in, pt or px; try 10mm")
    return value


def page_size(page: str) -> tuple[float, float]:
    """Width and height in mm of a page by name (``"a4"``, ``"letter"``) or size (``"210x297mm"``, ``"8.5x11in"``).

    ControlError: an unknown name, a size of zero or above ten metres.
    """
    name = str(page).strip().lower()
    if name in SIZES:
        return SIZES[name]
    match = re.fullmatch(_NUMBER + r"\s*[x×]\s*" + _NUMBER + _UNIT, name)
    if match:
        width, height = (length_mm(f"{side}{match[3] or 'mm'}") for side in match.group(1, 2))
        if width > 0 and height > 0:
            return width, height
    raise ControlError(f"page {page!r:.60}: expected one of {', '.join(SIZES)}, or a size such as 210x297mm")


def make_page(
    page: str = "a4", *, landscape: bool = False, margin: str | float = "10mm", pen_width: str | float = "0.3mm"
) -> Page:
    """A page from what a user gives; ``landscape`` lays the longer side across.

    ControlError: lengths that cannot be read, a pen without width, or margins that leave no room.
    """
    width, height = page_size(page)
    if landscape:
        width, height = max(width, height), min(width, height)
    made = Page(width, height, length_mm(margin), length_mm(pen_width))
    if made.pen_width < _THINNEST:
        raise ControlError(f"pen width {pen_width!r}: expected at least {_THINNEST} mm; try 0.3mm")
    if min(made.inner) <= 0:
        raise ControlError(
            f"margin {margin!r} and pen width {pen_width!r} leave no room on {_number(width)} x {_number(height)} mm: "
            f"expected margins below {_number(min(width, height) / 2)} mm; try 10mm"
        )
    return made


def check_color(color: str) -> str:
    """``color`` in lower case: a name of SVG 1.1 or ``#rgb``, ``#rrggbb``. ControlError: anything else."""
    from svgwrite.data.colors import colornames  # noqa: PLC0415 - svgwrite takes 90 ms to load

    name = str(color).strip().lower()
    if name not in colornames and not re.fullmatch(r"#([0-9a-f]{3}|[0-9a-f]{6})", name):
        raise ControlError(f"color {color!r:.60}: expected a name such as black or crimson, or #rrggbb")
    return name


@dataclass(frozen=True, slots=True)
class Grid:
    """Where drawings come on a page: each in its cell, fitted into it keeping its aspect, row by row."""

    columns: int
    cell: Points
    """Width and height in mm, (2,)."""
    edge: float
    """Where the first cell begins, mm."""
    scales: Points
    """mm to a drawing's unit, (n,)."""
    centers: Points
    """The middles of the drawings in their own unit, (n, 2)."""

    def put(self, index: int, lines: Sequence[Points]) -> list[Points]:
        """The polylines of a drawing in mm on the page."""
        row, column = divmod(index, self.columns)
        middle = self.edge + (np.array([column, row]) + 0.5) * self.cell
        return [(line - self.centers[index]) * self.scales[index] + middle for line in lines]


def grid_of(bounds: Points, page: Page, columns: int | None = None) -> Grid:
    """The grid of drawings with these bounds (n, 4): least x and y, largest x and y.

    It has so many columns, or those with which the drawings cover the largest part of the page together. A drawing
    without size comes to the middle of its cell.
    """
    sizes = bounds[:, 2:] - bounds[:, :2]
    columns = columns or _columns(sizes, page.inner)
    cell, room = _cell(len(bounds), columns, page.inner)
    centers = bounds[:, :2] / 2 + bounds[:, 2:] / 2
    return Grid(columns, cell, page.margin + page.pen_width / 2, _scales(sizes, room), centers)


def place(sketches: Sequence[Sketch], page: Page, columns: int | None = None) -> list[list[Points]]:
    """Each drawing's polylines in mm on the page, in the grid of ``grid_of``."""
    drawn = [[np.asarray(line, np.float64).reshape(-1, 2) for line in sketch.polylines] for sketch in sketches]
    grid = grid_of(np.array([bounds_of(lines) for lines in drawn]).reshape(-1, 4), page, columns)
    return [grid.put(index, lines) for index, lines in enumerate(drawn)]


def page_svg(
    sketches: Sequence[Sketch],
    page: Page,
    *,
    colors: Sequence[str] = ("black",),
    about: Sequence[Mapping[str, str]] = (),
    columns: int | None = None,
) -> str:
    """The SVG of a page: one open path per polyline, in time order within its layer, one Inkscape layer per pen.

    Layer k has the colour ``colors[k % len(colors)]`` and a label such as ``1-black``, which plotter programs read as
    layer 1. Each mapping in ``about`` becomes an element ``play`` of the metadata, its items the attributes. Points
    must be finite; drawings without points are left out. ``columns`` is that of ``place``.
    """
    from svgwrite import Drawing  # noqa: PLC0415 - svgwrite takes 90 ms to load
    from svgwrite.extensions import Inkscape  # noqa: PLC0415

    width, height = _number(page.width), _number(page.height)
    svg = Drawing(size=(f"{width}mm", f"{height}mm"), viewBox=f"0 0 {width} {height}", debug=False)
    inkscape = Inkscape(svg)
    _describe(svg, about)
    drawn = [sketch for sketch in sketches if len(sketch.polylines)]
    layers: dict[int, Any] = {}
    for layer in sorted({sketch.layer for sketch in drawn}):
        color = colors[layer % len(colors)]
        layers[layer] = svg.add(inkscape.layer(
            label=f"{layer + 1}-{color}",
            id=f"layer{layer + 1}",
            fill="none",
            stroke=color,
            stroke_width=_number(page.pen_width),
            stroke_linecap="round",
            stroke_linejoin="round",
        ))  # fmt: skip
    for sketch, lines in zip(drawn, place(drawn, page, columns), strict=True):
        for line in lines:
            layers[sketch.layer].add(svg.path(d=_path(line), fill="none"))
    return f'<?xml version="1.0" encoding="utf-8"?>\n{svg.tostring()}\n'


@dataclass(frozen=True, slots=True)
class Frame:
    """The text around the paths of a page of one layer."""

    before: str
    path: str
    """A path's element, ``%s`` where its places are."""
    after: str
    empty: str
    """The whole text where nothing is drawn."""


def page_frame(page: Page, *, color: str, about: Mapping[str, str]) -> Frame:
    """What ``page_svg`` writes around the paths of drawings that are all of the first layer."""
    dot = page_svg([Sketch([[(0.0, 0.0)]])], page, colors=[color], about=[about])
    found = re.fullmatch(r'(.*)(<path d=")[^"]*("[^>]*/>)(.*)', dot, re.DOTALL)
    assert found is not None
    before, start, end, after = found.groups()
    return Frame(before, f"{start}%s{end}", after, page_svg([], page, about=[about]))


def page_in_parts(drawings: Iterable[Sequence[Points]], grid: Grid, frame: Frame) -> Iterator[str]:
    """The text of ``page_svg``, the same characters, in parts, so that one drawing at a time is in memory.

    Drawings are polylines (k, 2), at least one each, as ``grid_of`` had their bounds.
    """
    if not len(grid.scales):
        yield frame.empty
        return
    yield frame.before
    for index, lines in enumerate(drawings):
        yield "".join(frame.path % _path(line) for line in grid.put(index, lines))
    yield frame.after


def drawing_svg(polylines: Sequence[ArrayLike]) -> str:
    """A small SVG of one drawing, 80 mm square, for notebooks. Polylines of shape (k, 2), y down, any unit."""
    page = make_page("80x80mm", margin="3mm", pen_width="0.6mm")
    return page_svg([Sketch(polylines)], page).partition("\n")[2]


def bounds_of(lines: Sequence[Points]) -> tuple[float, float, float, float]:
    """Least x and y, largest x and y of a drawing's polylines."""
    low = np.min([line.min(axis=0) for line in lines], axis=0)
    high = np.max([line.max(axis=0) for line in lines], axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _cell(count: int, columns: int, inner: tuple[float, float]) -> tuple[Points, Points]:
    """Width and height of a grid cell, and of the room in it for a drawing; mm."""
    rows = max(1, math.ceil(count / columns))
    cell = np.array([inner[0] / columns, inner[1] / rows])
    air = 2 * _AIR * cell.min() if count > 1 else 0.0
    return cell, cell - air


def _scales(sizes: Points, room: Points) -> Points:
    """How much larger each drawing (n, 2) becomes so that it just fits the room; 1 where it has no size."""
    large = sizes > _TINY
    ratios = np.divide(room, sizes, out=np.full(sizes.shape, np.inf), where=large)
    return np.where(large.any(axis=1), ratios.min(axis=1, initial=np.inf), 1.0)


def _columns(sizes: Points, inner: tuple[float, float]) -> int:
    """The number of columns that wastes the least area; of equals, the one that draws largest."""
    count = len(sizes)
    if count <= 1:
        return 1
    middle = math.sqrt(count * inner[0] / inner[1])
    first = max(1, min(count, int(middle - _COLUMNS_TRIED / 2)))
    best, chosen = [-1.0], 1
    for columns in range(first, min(count, first + _COLUMNS_TRIED) + 1):
        room = _cell(count, columns, inner)[1]
        fitted = sizes * _scales(sizes, room)[:, None]
        sums = fitted.prod(axis=1).sum(), fitted.sum(), room.min()
        # Rounded, so that equally good grids are told apart by the next number and not by the last bit.
        score = [round(float(total), 6) for total in sums] + [columns * (count // -columns)]
        if score > best:
            best, chosen = score, columns
    return chosen


def _path(line: Points) -> str:
    """``M x y L x y x y``: three decimals; a lone point is a line to itself, which round caps show as a dot."""
    if len(line) == 1:
        line = np.repeat(line, 2, axis=0)
    values = (np.round(line, 3) + 0.0).ravel().tolist()  # + 0.0: no negative zero
    return ("M %.3f %.3f L" + " %.3f %.3f" * (len(line) - 1)) % tuple(values)


def _describe(svg: Any, about: Sequence[Mapping[str, str]]) -> None:
    from svgwrite.etree import etree  # noqa: PLC0415

    if about:
        svg["xmlns:livesketch"] = NAMESPACE
    for play in about:
        svg.set_metadata(etree.Element("livesketch:play", {key: _xml_text(value) for key, value in play.items()}))


def _xml_text(text: str) -> str:
    """``text`` without the characters that XML cannot hold."""
    return re.sub("[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", str(text))


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")
