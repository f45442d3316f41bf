"""Chinese and Japanese punctuation, drawn here where a source of strokes lacks it, and how it stands in columns.

The shapes are our own, a pen's plain strokes in the places of GB/T 15834-2011: in lines the full stop and the commas
stand at the lower left of their cell, in columns at its upper right; brackets and dashes turn with the column.
"""

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from .glyphs import Glyph, Points, pen_curve

CORNER_MARKS: Final = frozenset("，。、．,.")
"""In columns they stand in the opposite corner of their cell."""

TURNED: Final = frozenset("“”‘’「」『』（）《》〈〉【】〔〕—…～ー〜")
"""In columns they are turned with the column, a quarter to the right."""

MIDDLE: Final = frozenset("；：？！・·!?;:")
"""In columns they stand upright on the middle of the column."""

CLOSING: Final = frozenset("，。、．；：？！”’」』）》〉】〕～")
"""A line never begins with these: they hang over its end."""

OPENING: Final = frozenset("“‘「『（《〈【〔")
"""A line never ends with these."""

_COMMA: Final = [(0.17, 0.80), (0.205, 0.835), (0.195, 0.895), (0.12, 0.965)]
_DOT: Final = [(0.175, 0.82), (0.205, 0.87)]
_LEFT_QUOTE: Final = [(0.90, 0.10), (0.845, 0.145), (0.835, 0.20), (0.87, 0.235)]
_RIGHT_QUOTE: Final = [(0.13, 0.10), (0.165, 0.135), (0.155, 0.19), (0.10, 0.235)]
_QUERY: Final = [(0.12, 0.32), (0.14, 0.20), (0.26, 0.14), (0.38, 0.21), (0.38, 0.34), (0.27, 0.46), (0.25, 0.64)]
_WAVE: Final = [(0.12, 0.54), (0.30, 0.44), (0.50, 0.50), (0.70, 0.56), (0.88, 0.46)]


def _up(points: list[tuple[float, float]], by: float) -> list[tuple[float, float]]:
    return [(x, y - by) for x, y in points]


def _right(points: list[tuple[float, float]], by: float) -> list[tuple[float, float]]:
    return [(x + by, y) for x, y in points]


def _closed(mark: str, strokes: list[list[tuple[float, float]]]) -> list[list[tuple[float, float]]]:
    """The closing bracket to an opening one: mirrored, the corners of 「 and 『 also from top to foot."""
    if mark in "「『":
        return [[(1 - x, 1 - y) for x, y in reversed(points)] for points in strokes]
    return [[(1 - x, y) for x, y in points] for points in strokes]


def _circle(x: float, y: float, radius: float) -> list[tuple[float, float]]:
    """Written as a hand does, from the top to the left; open, ending just short of where it began."""
    turns = np.linspace(0, 0.965 * math.tau, 14)
    return [(x - radius * math.sin(turn), y - radius * math.cos(turn)) for turn in turns.tolist()]


_OPEN: Final = {
    "「": [[(0.90, 0.10), (0.62, 0.10), (0.62, 0.55)]],
    "『": [[(0.94, 0.07), (0.58, 0.07), (0.58, 0.57)], [(0.94, 0.16), (0.68, 0.16), (0.68, 0.57)]],
    "（": [[(0.90, 0.08), (0.76, 0.26), (0.71, 0.50), (0.76, 0.74), (0.90, 0.92)]],
    "《": [[(0.76, 0.12), (0.54, 0.50), (0.76, 0.88)], [(0.94, 0.12), (0.72, 0.50), (0.94, 0.88)]],
    "〈": [[(0.88, 0.12), (0.66, 0.50), (0.88, 0.88)]],
    "【": [[(0.92, 0.08), (0.64, 0.08), (0.64, 0.92), (0.92, 0.92)], [(0.92, 0.08), (0.76, 0.50), (0.92, 0.92)]],
    "〔": [[(0.90, 0.08), (0.74, 0.20), (0.74, 0.80), (0.90, 0.92)]],
}

_CLOSED: Final = dict(zip("「『（《〈【〔", "」』）》〉】〕", strict=True))

_SHAPES: Final[Mapping[str, list[list[tuple[float, float]]]]] = {
    "，": [_COMMA],
    "。": [_circle(0.185, 0.875, 0.075)],
    "．": [_DOT],
    "、": [[(0.11, 0.80), (0.17, 0.85), (0.235, 0.935)]],
    "；": [_up(_DOT, 0.30), _COMMA],
    "：": [_up(_DOT, 0.30), _DOT],
    "！": [[(0.19, 0.14), (0.19, 0.66)], _DOT],
    "？": [_QUERY, _right(_DOT, 0.06)],
    "‘": [_LEFT_QUOTE],
    "’": [_RIGHT_QUOTE],
    "“": [_right(_LEFT_QUOTE, -0.20), _LEFT_QUOTE],
    "”": [_RIGHT_QUOTE, _right(_RIGHT_QUOTE, 0.20)],
    "—": [[(0.0, 0.5), (1.0, 0.5)]],
    "…": [[(x, 0.48), (x + 0.02, 0.52)] for x in (0.16, 0.49, 0.82)],
    "·": [[(0.485, 0.47), (0.515, 0.53)]],
    "・": [[(0.485, 0.47), (0.515, 0.53)]],
    "～": [_WAVE],
    "〜": [_WAVE],
    **_OPEN,
    **{_CLOSED[mark]: _closed(mark, strokes) for mark, strokes in _OPEN.items()},
}


class Punctuation:
    """The last of all sources."""

    attribution = ""

    def glyph(self, character: str) -> Glyph | None:
        """The mark's strokes in a line; None for what is no punctuation."""
        shape = _SHAPES.get(character)
        if shape is None:
            return None
        return Glyph(tuple(pen_curve(np.array(stroke, np.float64)) for stroke in shape), 1.0, wide=True)


def in_column(character: str, glyph: Glyph) -> Glyph:
    """A glyph of a line as it stands in a column, in its cell or beside the column's middle.

    What does not fill a cell, such as Latin letters, is turned with the column: its ``width`` then goes down.
    """
    if not glyph.wide or character in TURNED:
        return Glyph(tuple(_turned(line) for line in glyph.strokes), glyph.width, glyph.wide)
    if not glyph.strokes or character not in CORNER_MARKS | MIDDLE:
        return glyph
    every = np.concatenate(glyph.strokes)
    middle = (every.min(axis=0) + every.max(axis=0)) / 2
    shift = 1 - 2 * middle if character in CORNER_MARKS else np.array([0.5 - middle[0], 0.0])
    return Glyph(tuple(line + shift for line in glyph.strokes), glyph.width, glyph.wide)


def _turned(line: Points) -> Points:
    """A quarter to the right about the middle of a cell."""
    return np.stack([1 - line[:, 1], line[:, 0]], 1)
