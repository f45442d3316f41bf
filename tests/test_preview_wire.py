"""Frames between a player and its preview window."""

import contextlib
import itertools
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from livesketch.outputs import preview_wire as wire
from livesketch.outputs.preview_wire import Frame, Frames, Kind, WireError


def unpack(png: bytes) -> NDArray[np.uint8]:
    """The pixels of a PNG file that is not filtered, (height, width, 3); each part's checksum must be right."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at, parts = 8, {}
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", png, at + 8 + length) == (zlib.crc32(kind + data),)
        parts[kind] = data
        at += 12 + length
    assert list(parts) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, *rest = struct.unpack(">IIBBBBB", parts[b"IHDR"])
    assert rest == [8, 2, 0, 0, 0]
    rows = np.frombuffer(zlib.decompress(parts[b"IDAT"]), np.uint8).reshape(height, 1 + 3 * width)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, 3)


FRAMES = st.lists(st.tuples(st.sampled_from(list(Kind)), st.binary(max_size=40)), max_size=8)


def cut(data: bytes, at: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in at)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(FRAMES, st.lists(st.integers(0, 1000), max_size=10))
def test_frames_come_out_as_they_went_in_however_they_are_cut(frames: list[Frame], at: list[int]) -> None:
    data = b"".join(wire.frame(*frame) for frame in frames)
    reader = Frames()
    assert [frame for part in cut(data, at) for frame in reader.feed(part)] == frames


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_to_be_refused(data: bytes) -> None:
    with contextlib.suppress(WireError):
        for kind, payload in Frames().feed(data):
            (wire.said if kind == Kind.SAY else wire.pen_of if kind == Kind.DRAWING else wire.point_of)(payload)


@pytest.mark.parametrize(
    "data",
    [b"Traceback (most recent call last):", b"\x05\0\0\0\0", b"\0\xff\xff\xff\xff{}"],
    ids=["text", "kind", "long"],
)
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(WireError, match="no frame"):
        list(Frames().feed(data))


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"{}", b'{"say": 3}', b"\xff\xfe", b"[" * 100])
def test_json_that_says_nothing_is_refused(payload: bytes) -> None:
    with pytest.raises(WireError):
        wire.said(payload)


def test_points_and_pens_keep_their_values() -> None:
    ((kind, payload),) = Frames().feed(wire.point(Kind.LINE, 3, 0.25, -1e9))
    assert (kind, wire.point_of(payload)) == (Kind.LINE, (3, 0.25, -1e9))
    ((kind, payload),) = Frames().feed(wire.drawing(7))
    assert (kind, wire.pen_of(payload)) == (Kind.DRAWING, 7)
    ((kind, payload),) = Frames().feed(wire.say("token", text="山\n\0", n=None))
    assert wire.said(payload) == {"say": "token", "text": "山\n\0", "n": None}
    ((kind, payload),) = Frames().feed(wire.picture(4, b"png"))
    assert (kind, wire.picture_of(payload)) == (Kind.PICTURE, (4, b"png"))


def test_a_picture_is_a_png_file() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 7, 3), np.uint8)
    assert np.array_equal(unpack(wire.png(pixels)), pixels)
