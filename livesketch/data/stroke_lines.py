"""Reads drawings that ``livesketch.save_strokes`` wrote."""

from pathlib import Path

from ..errors import DataError, StrokesError
from ..stroke_files import load_strokes
from .found import Found, stroke3
from .json_lines import json_lines


def read_saved_npz(path: Path, label: str) -> Found:
    """The drawings of an ``.npz`` with ``rows`` and ``lengths``. DataError: it is damaged."""
    return Found(str(path), label, [stroke3(rows) for rows in load_strokes(path)])


def read_saved_lines(path: Path, label: str) -> Found:
    """The drawings of JSON Lines ``{"rows": [[dx, dy, lift], ...]}``.

    Raises:
        DataError: a line is something else; the message gives its number.
    """
    found = Found(str(path), label)
    for number, record in json_lines(path):
        if isinstance(record, str) or not isinstance(record.get("rows"), list):
            what = record if isinstance(record, str) else 'an object without a list "rows"'
            raise DataError(f"{path}: line {number} is {what}; expected lines from save_strokes")
        try:
            found.drawings.append(stroke3(record["rows"]))
        except StrokesError as err:
            raise DataError(f"{path}: line {number}: {err}") from err
    return found
