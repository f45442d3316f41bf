"""What goes between a player and its preview window: frames on a pipe, the same in both directions.

A frame is one byte of kind, four bytes of length (little-endian), and so many bytes. What is drawn has fixed layouts,
everything else is JSON with the key ``say``. Nothing that is read runs code.
"""

import json
import struct
import zlib
from collections.abc import Iterator
from enum import IntEnum
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

_HEAD: Final = struct.Struct("<BI")
_PEN: Final = struct.Struct("<I")
_POINT: Final = struct.Struct("<Iff")

MAX_FRAME: Final = 1 << 28
"""Bytes; the picture of a screen of 8,000 x 8,000 pixels fits."""


class Kind(IntEnum):
    """What a frame holds."""

    SAY = 0
    """JSON."""
    DRAWING = 1
    """A pen begins a drawing."""
    MOVE = 2
    """A pen touches down: where a line begins, or a dot."""
    LINE = 3
    """A pen draws a straight line to here."""
    PICTURE = 4
    """To the player: what is seen, as a PNG file, behind the number of the request."""


Frame: TypeAlias = tuple[Kind, bytes]


class WireError(ValueError):
    """Bytes that are no frames: whatever is at the other end does not speak this."""


def frame(kind: Kind, payload: bytes = b"") -> bytes:
    """One frame."""
    return _HEAD.pack(kind, len(payload)) + payload


def say(what: str, **values: Any) -> bytes:
    """A frame of JSON: what it is about, and its values."""
    return frame(Kind.SAY, json.dumps({"say": what, **values}, allow_nan=False).encode())


def drawing(pen: int) -> bytes:
    """A pen begins a drawing."""
    return frame(Kind.DRAWING, _PEN.pack(pen))


def point(kind: Kind, pen: int, x: float, y: float) -> bytes:
    """MOVE or LINE of a pen to a place on the stage; its magnitude must be one that float32 holds."""
    return frame(kind, _POINT.pack(pen, x, y))


def picture(number: int, png: bytes) -> bytes:
    """The answer to a request for a picture."""
    return frame(Kind.PICTURE, _PEN.pack(number) + png)


def said(payload: bytes) -> dict[str, Any]:
    """What a JSON frame says. WireError: it is none."""
    try:
        values = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise WireError(f"a frame that should be JSON is not: {payload[:60]!r}") from error
    if not isinstance(values, dict) or not isinstance(values.get("say"), str):
        raise WireError(f"a frame of JSON without what it says: {payload[:60]!r}")
    return values


def pen_of(payload: bytes) -> int:
    """The number that a DRAWING, or a PICTURE, begins with. WireError: too short."""
    if len(payload) < _PEN.size:
        raise WireError(f"a frame of {len(payload)} bytes where a number should be")
    number: int = _PEN.unpack_from(payload)[0]
    return number


def picture_of(payload: bytes) -> tuple[int, bytes]:
    """The number of the request, and the PNG file. WireError: too short."""
    return pen_of(payload), payload[_PEN.size :]


def point_of(payload: bytes) -> tuple[int, float, float]:
    """Pen, x and y of a MOVE or LINE. WireError: of another length."""
    if len(payload) != _POINT.size:
        raise WireError(f"a point of {len(payload)} bytes, expected {_POINT.size}")
    pen, x, y = _POINT.unpack(payload)
    return pen, x, y


class Frames:
    """Takes bytes as they come, in any portions, and gives the frames that are complete."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that end within ``data``. WireError: these are no frames."""
        self._rest += data
        at = 0
        try:
            while at + _HEAD.size <= len(self._rest):
                kind, length = _HEAD.unpack_from(self._rest, at)
                if kind > max(Kind) or length > MAX_FRAME:
                    raise WireError(f"no frame: it begins with {bytes(self._rest[at : at + 12])!r}")
                end = at + _HEAD.size + length
                if end > len(self._rest):
                    break
                payload = bytes(self._rest[at + _HEAD.size : end])
                at = end
                yield Kind(kind), payload
        finally:
            del self._rest[:at]


def png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG file of an image, shape (height, width, 3), the top row first (PNG specification, W3C, 2003: 8-bit RGB)."""
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each row has a byte before it that says: not filtered
    rows[:, 1:] = pixels.reshape(height, -1)
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows.tobytes(), 3)),
        (b"IEND", b""),
    ]
    chunks = [struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
