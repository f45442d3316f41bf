"""Lines and captions as characters: braille cells of 2 x 4 dots, or ``#`` where the encoding has no braille."""

import unicodedata
from collections.abc import Sequence
from typing import Final, TypeAlias

Point: TypeAlias = tuple[float, float]

# The bit of each dot in a braille cell, rows from the top, left and right.
_BITS: Final = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_BRAILLE: Final = 0x2800
_AIR: Final = 0.1  # by how much a view grows beyond the point that left it, so that it does not grow at every step


class Raster:
    """A picture of ``columns`` x ``rows`` characters onto which lines are drawn, and the view that it shows.

    The view is a box of the stage, at first the whole stage; it keeps its aspect in the picture and lies in its
    middle. A braille dot is square, a character twice as high as wide.
    """

    def __init__(self, columns: int, rows: int, *, braille: bool = True) -> None:
        self.columns, self.rows = columns, rows
        self.braille = braille
        self._dots = (2, 4) if braille else (1, 1)
        self._tall = 1.0 if braille else 2.0  # height of a dot by its width
        self.clear()

    def clear(self) -> None:
        """An empty picture that shows the stage."""
        self._low: list[float] = [0.0, 0.0]
        self._high: list[float] = [1.0, 1.0]
        self.wipe()

    def wipe(self) -> None:
        """An empty picture with the same view."""
        self._cells = [bytearray(self.columns) for _ in range(self.rows)]
        width, height = self.columns * self._dots[0] - 1, (self.rows * self._dots[1] - 1) * self._tall
        box_width, box_height = (high - low for high, low in zip(self._high, self._low, strict=True))
        self._scale = min(width / box_width, height / box_height)
        self._left = (width - box_width * self._scale) / 2
        self._top = (height - box_height * self._scale) / 2

    def shows(self, x: float, y: float) -> bool:
        """Whether the place is inside the view."""
        return self._low[0] <= x <= self._high[0] and self._low[1] <= y <= self._high[1]

    def grow(self, points: Sequence[Point]) -> None:
        """Widens the view until it shows the points, with some air; the picture is wiped."""
        for axis in (0, 1):
            low, high = min(p[axis] for p in points), max(p[axis] for p in points)
            if low < self._low[axis]:
                self._low[axis] = low - _AIR * (self._high[axis] - low)
            if high > self._high[axis]:
                self._high[axis] = high + _AIR * (high - self._low[axis])
        self.wipe()

    def line(self, start: Point, end: Point) -> None:
        """A straight line, both ends included; both must be inside the view."""
        x, y = self._place(start)
        to_x, to_y = self._place(end)
        steps = max(round(abs(to_x - x)), round(abs(to_y - y)), 1)
        for i in range(steps + 1):
            self._dot(round(x + (to_x - x) * i / steps), round(y + (to_y - y) * i / steps))

    def lines(self) -> list[str]:
        """The picture, ``rows`` texts of ``columns`` characters."""
        if not self.braille:
            return [bytes(row).translate(_HASHES).decode("ascii") for row in self._cells]
        return ["".join(chr(_BRAILLE + bits) if bits else " " for bits in row) for row in self._cells]

    def _place(self, point: Point) -> Point:
        return (
            self._left + (point[0] - self._low[0]) * self._scale,
            (self._top + (point[1] - self._low[1]) * self._scale) / self._tall,
        )

    def _dot(self, x: int, y: int) -> None:
        wide, high = self._dots
        # Rounding may put the last dot one beyond the edge.
        column, row = min(x // wide, self.columns - 1), min(y // high, self.rows - 1)
        self._cells[row][column] |= _BITS[y % high][x % wide]


_HASHES: Final = bytes([ord(" ")]) + bytes([ord("#")]) * 255


def printable(text: str) -> str:
    """``text`` with ``?`` for control characters; newlines and spaces of any width stay."""
    return "".join(c if c.isprintable() or c == "\n" or unicodedata.category(c) == "Zs" else "?" for c in text)


def clipped(text: str, width: int) -> str:
    """As much of ``text`` as fits ``width`` columns, in printable characters of one line."""
    out, used = [], 0
    for c in printable(text.replace("\n", " ")):
        used += 2 if unicodedata.east_asian_width(c) in "WF" else 1
        if used > width:
            break
        out.append(c)
    return "".join(out)
