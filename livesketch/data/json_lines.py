"""JSON Lines from anywhere: line by line, each of bounded length."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from ..errors import DataError
from ..files import check_size

MAX_LINE: Final = 1 << 24
"""Most bytes of a line, 16 MiB; a raw drawing of Quick, Draw! has 10 KB, and a thousand times as many is no drawing."""

MAX_BYTES: Final = 1 << 40

_SNIFFED: Final = 100
"""Lines that are looked at to find out what a file holds."""


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """The number of each line that is not empty, from 1, and its object, or in words why it is none.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        check_size(path, MAX_BYTES)
        with path.open("rb") as stream:
            for number, line in _lines(stream):
                if len(line) > MAX_LINE:
                    yield number, f"longer than {MAX_LINE >> 20} MiB"
                elif line.strip():
                    yield number, _object(line)
    except (OSError, ValueError) as err:
        reason = getattr(err, "strerror", None) or err
        raise DataError(f"{path}: cannot be read ({reason}); give a file with one JSON object a line") from err


def kind_of(path: Path, kinds: dict[str, str]) -> str | None:
    """Which of these keys to kinds the first lines of a file have; None where they have none."""
    for count, (_, record) in enumerate(json_lines(path)):
        if count >= _SNIFFED:
            break
        if isinstance(record, dict):
            found = next((kind for key, kind in kinds.items() if key in record), None)
            if found:
                return found
    return None


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Numbered lines; of one that is too long, only so much that this can be seen."""
    number = 0
    while line := stream.readline(MAX_LINE + 1):
        number += 1
        yield number, line
        while len(line) > MAX_LINE and not line.endswith(b"\n"):
            line = stream.readline(MAX_LINE + 1)


def _object(line: bytes) -> dict[str, Any] | str:
    try:
        value = json.loads(line.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as err:
        return f"no JSON ({err})" if isinstance(err, ValueError) else "no JSON (nested too deep)"
    return value if isinstance(value, dict) else f"a {type(value).__name__}, not an object"


def _refuse(word: str) -> float:
    raise ValueError(f"it holds {word}, which is no number")
