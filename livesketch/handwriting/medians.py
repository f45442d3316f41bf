"""Characters from a JSON Lines file of stroke medians, the format of Make me a Hanzi.

One object a line: ``{"character": "永", "medians": [[[x, y], ...], ...]}``, in the order of writing, on a grid of 1024
units whose y points up: the top of a character's box is at 900, its foot at -124 (github.com/skishore/makemeahanzi,
README). Other keys are passed over. The licence is that of the file.
"""

import json
import math
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..errors import DataError
from ..files import check_size
from .glyphs import Glyph, Points, pen_curve

GRID: Final = 1024.0
TOP: Final = 900.0

MAX_BYTES: Final = 1 << 30
MAX_LINE: Final = 1 << 20
"""Most bytes of a line; one of Make me a Hanzi with outlines has 30 KB."""
MAX_STROKES: Final = 200
"""The characters with most strokes have 84."""
MAX_POINTS: Final = 10_000
REACH: Final = 2 * GRID
MAX_LENGTH: Final = 100.0
"""Cells, of all strokes together; no character of Make me a Hanzi has more than 7."""

_WANTED: Final = '{"character": "永", "medians": [[[x, y], ...], ...]}'
_CHARACTER: Final = re.compile(rb'"character"\s*:\s*("(?:[^"\\]|\\.)*")')


class Medians:
    """A file of medians: looked through once for where each character is, and read one character at a time."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.attribution = f"stroke medians of {self.path.name}"
        try:
            check_size(self.path, MAX_BYTES)
            found = self.path.stat()
            self._index = _index(self.path.resolve(), found.st_mtime_ns, found.st_size)
        except (OSError, ValueError) as err:
            if isinstance(err, DataError):
                raise
            reason = getattr(err, "strerror", None) or err
            raise DataError(f"{self.path}: cannot be read ({reason}); give a file of stroke medians") from err

    def __repr__(self) -> str:
        return repr(str(self.path))

    def glyph(self, character: str) -> Glyph | None:
        """The character's strokes, smoothed (``glyphs.pen_curve``); None where the file lacks it.

        Raises:
            DataError: its line holds something else, or the file is no longer what it was.
        """
        place = self._index.get(character)
        if place is None:
            return None
        number, offset = place
        where = f"{self.path}: line {number}"
        try:
            with self.path.open("rb") as stream:
                stream.seek(offset)
                record = json.loads(stream.readline(MAX_LINE).decode("utf-8"), parse_constant=_refuse)
        except OSError as err:
            raise DataError(f"{self.path}: cannot be read any more ({err.strerror or err})") from err
        except (ValueError, RecursionError) as err:
            raise DataError(f"{where}: no JSON object ({err}); expected {_WANTED}") from err
        if not isinstance(record, dict) or record.get("character") != character:
            raise DataError(f"{where}: no longer about {character!r}; make it anew after a file was changed")
        return Glyph(tuple(_strokes(record.get("medians"), where)), 1.0, wide=True)


@lru_cache(maxsize=4)
def _index(path: Path, changed: int, size: int) -> dict[str, tuple[int, int]]:  # noqa: ARG001 - what tells versions apart
    """Of each character the number of its line, from 1, and where the line begins, bytes; the first line counts.

    Raises:
        DataError: a line is too long, or is about no character.
        OSError: the file cannot be read.
    """
    out: dict[str, tuple[int, int]] = {}
    offset = 0
    with path.open("rb") as stream:
        for number, line in enumerate(iter(lambda: stream.readline(MAX_LINE + 1), b""), 1):
            if len(line) > MAX_LINE:
                raise DataError(f"{path}: line {number} is longer than {MAX_LINE >> 20} MiB; expected {_WANTED}")
            if line.strip():
                out.setdefault(_character(line, f"{path}: line {number}"), (number, offset))
            offset += len(line)
    if not out:
        raise DataError(f"{path}: holds no character; expected a line such as {_WANTED}")
    return out


def _character(line: bytes, where: str) -> str:
    """What a line is about, without reading all of it: a file has 7 MB."""
    match = _CHARACTER.search(line)
    try:
        character = json.loads(match[1].decode("utf-8")) if match else ""
    except ValueError as err:
        raise DataError(f"{where}: no JSON ({err}); expected {_WANTED}") from err
    if len(character) != 1:
        raise DataError(f"{where}: about {character!r:.40}, not one character; expected {_WANTED}")
    return str(character)


def _strokes(medians: Any, where: str) -> list[Points]:
    """DataError: what a line holds as medians is not strokes of points."""
    wanted = f"expected 1 to {MAX_STROKES} strokes of 1 to {MAX_POINTS} points [x, y] within {REACH:g} grid units"
    if not isinstance(medians, list) or not 1 <= len(medians) <= MAX_STROKES:
        got = f"a list of {len(medians)}" if isinstance(medians, list) else type(medians).__name__
        raise DataError(f"{where}: medians is {got}; {wanted}")
    for number, stroke in enumerate(medians, 1):
        if not isinstance(stroke, list) or not 1 <= len(stroke) <= MAX_POINTS or not all(map(_is_point, stroke)):
            raise DataError(f"{where}: stroke {number} is {stroke!r:.60}; {wanted}")
    lines = [np.array([(x, TOP - y) for x, y in stroke], np.float64) / GRID for stroke in medians]
    length = math.fsum(float(np.hypot(*np.diff(line, axis=0).T).sum()) for line in lines)
    if length > MAX_LENGTH:
        raise DataError(f"{where}: strokes of {length:.0f} boxes together; expected at most {MAX_LENGTH:g}")
    return [pen_curve(line) for line in lines]


def _is_point(point: Any) -> bool:
    return (
        isinstance(point, list)
        and len(point) == 2
        and all(type(value) in {int, float} and abs(value) <= REACH for value in point)
    )


def _refuse(word: str) -> float:
    raise ValueError(f"it holds {word}, which is no number")
