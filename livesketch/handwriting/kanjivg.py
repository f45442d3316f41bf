"""Japanese characters from KanjiVG: kanji, kana, digits and Latin letters, each stroke a path in the order of writing.

Ulrich Apel, https://kanjivg.tagaini.net, CC BY-SA 3.0: who passes drawings on names KanjiVG, and passes what is built
on its data on under the same licence. The package ``kanjivg`` (extra ``handwriting``) holds one SVG a character, in a
box of 109; of the characters that only simplified Chinese has, it holds few.
"""

import unicodedata
import xml.etree.ElementTree as ET
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..errors import DataError, MissingExtraError
from ..files import check_size
from .glyphs import Glyph, Points, distinct, pen_bezier

BOX: Final = 109.0
"""Side of the box of a character, in the units of its file."""

MAX_BYTES: Final = 1 << 18
"""The largest file of the package has 20 KB."""

_BEARING: Final = 0.05
"""Air on both sides of a letter, cells."""

_REACH: Final = 2.0
"""Boxes; a pen farther out is not writing."""

_BROKEN: Final = (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError)
"""What svgelements raises where a path is none."""


class KanjiVG:
    """The characters of the installed package; a file is read when its character is first asked for."""

    attribution = "KanjiVG (Ulrich Apel, https://kanjivg.tagaini.net), CC BY-SA 3.0"

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = _installed() if folder is None else folder

    def __repr__(self) -> str:
        return "kanjivg"

    def glyph(self, character: str) -> Glyph | None:
        """The character's strokes; None where the package lacks it.

        Raises:
            DataError: its file is damaged.
        """
        path = self.folder / f"{ord(character):05x}.svg"
        try:
            check_size(path, MAX_BYTES)
            root = ET.parse(path).getroot()  # noqa: S314 - of an installed package, which could run code as well
        except FileNotFoundError:
            return None
        except (OSError, ValueError, ET.ParseError) as err:
            reason = getattr(err, "strerror", None) or err
            raise DataError(f"{path}: no character of KanjiVG ({reason}); install kanjivg anew") from err
        paths = [element.get("d", "") for element in root.iter() if element.tag.rpartition("}")[2] == "path"]
        if not paths:
            raise DataError(f"{path}: holds no stroke; install kanjivg anew")
        strokes = [_stroke(path, text) for text in paths]
        return (
            _letter(strokes) if unicodedata.east_asian_width(character) in _NARROW else Glyph(tuple(strokes), 1, True)
        )


_NARROW: Final = {"Na", "N", "H"}


def _letter(strokes: list[Points]) -> Glyph:
    """A letter that takes as much of the line as it is wide: KanjiVG draws each in the middle of a whole box."""
    every = np.concatenate(strokes)
    left, right = float(every[:, 0].min()), float(every[:, 0].max())
    shift = np.array([_BEARING - left, 0.0])
    return Glyph(tuple(line + shift for line in strokes), right - left + 2 * _BEARING, wide=False)


def _stroke(path: Path, text: str) -> Points:
    from svgelements import Path as SvgPath  # noqa: PLC0415 - it takes 50 ms to load

    try:
        outline: Any = SvgPath(text)
        outline.approximate_arcs_with_cubics()
        parts = [_controls(segment) for segment in outline]
        points = [parts[0][-1:], *(pen_bezier(part) for part in parts[1:] if len(part) > 1)]
        line = np.concatenate(points)
    except _BROKEN as err:
        raise DataError(
            f"{path}: a stroke that cannot be read ({str(err) or 'no path'}); install kanjivg anew"
        ) from err
    return distinct(line)


def _controls(segment: Any) -> Points:
    """Start, control points and end, (k, 2), in cells; of a move its end alone.

    Raises:
        ValueError: they are no places in or near the box.
    """
    names = ("end",) if type(segment).__name__ == "Move" else ("start", "control", "control1", "control2", "end")
    found = [point for point in (getattr(segment, name, None) for name in names) if point is not None]
    points = np.array([(point.x, point.y) for point in found], np.float64).reshape(-1, 2) / BOX
    if not (np.abs(points) <= _REACH).all():
        raise ValueError("it leads far out of the box")
    return points


def _installed() -> Path:
    try:
        folder = Path(str(metadata.distribution("kanjivg").locate_file("kanji")))
    except metadata.PackageNotFoundError as err:
        raise MissingExtraError(
            "strokes 'kanjivg' needs the package kanjivg; pip install \"livesketch[handwriting]\""
        ) from err
    if not folder.is_dir():
        raise DataError(f"{folder}: the package kanjivg is installed without its characters; install it anew")
    return folder
