"""Kept parts as one file: a sheet of paper, JSON Lines or an archive of strokes, one part at a time in memory."""

import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO, Final, TypeAlias

import numpy as np

from ..errors import OutputError
from ..paper import Page, bounds_of, grid_of, page_frame, page_in_parts
from ..rows import Rows
from ..stroke_files import MAX_BYTES
from .parts import Part, header_of, lines_of

Parts: TypeAlias = Callable[[], Iterable[Part]]
"""Gives all parts from the beginning, as often as it is called."""

_PIECE: Final = 1 << 20
"""Bytes that are compressed at a time, always: what comes out depends on nothing else."""


def write_sheet(stream: BinaryIO, parts: Parts, page: Page, color: str, about: Mapping[str, str]) -> None:
    """A page with all drawings on a grid, the bytes that ``draw`` to ``svg`` writes."""
    bounds = np.array([bounds_of(lines) for lines in _drawn(parts)], np.float64).reshape(-1, 4)
    grid = grid_of(bounds, page)
    frame = page_frame(page, color=color, about=about)
    stream.writelines(text.encode() for text in page_in_parts(_drawn(parts), grid, frame))


def _drawn(parts: Parts) -> Iterator[list[Rows]]:
    return (lines_of(rows) for part in parts() for _, rows in part.drawings() if len(rows))


def write_lines(stream: BinaryIO, parts: Parts) -> None:
    """JSON Lines as ``save_strokes`` writes them, with each drawing's number; those without rows are left out."""
    for part in parts():
        for number, rows in part.drawings():
            if len(rows):
                listed = [[dx, dy, int(lift)] for dx, dy, lift in rows.tolist()]
                record = {"number": number, "rows": listed}
                stream.write(json.dumps(record, separators=(",", ":")).encode() + b"\n")


def write_archive(stream: BinaryIO, parts: Parts) -> None:
    """An ``.npz`` as ``save_strokes`` writes it, with the array ``numbers`` (drawings,) int64 besides.

    Drawings without rows are left out. OutputError: more than is read again.
    """
    counts = [(part.lengths, part.numbers) for part in parts()]
    lengths, numbers = (np.concatenate(arrays) for arrays in zip(*counts, strict=True))
    check_archive(int(lengths.sum()))
    kept = lengths > 0
    with zipfile.ZipFile(stream, "w") as archive:
        _member(archive, "rows", (int(lengths.sum()), 3), np.float32, (part.rows for part in parts()))
        _member(archive, "lengths", (int(kept.sum()),), np.int64, [lengths[kept]])
        _member(archive, "numbers", (int(kept.sum()),), np.int64, [numbers[kept]])


def check_archive(rows: int) -> None:
    """OutputError: so many rows are more than an ``.npz`` of strokes may hold."""
    most = MAX_BYTES // 12 - 100  # three float32, and a header
    if rows > most:
        raise OutputError(
            f"{rows} rows of strokes: expected at most {most} in an .npz, as no more are read again; write .jsonl, or "
            "several files with --range"
        )


def _member(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], dtype: Any, arrays: Iterable[Any]) -> None:
    """One array, compressed piece by piece. ZipInfo by name alone carries a fixed date."""
    info = zipfile.ZipInfo(f"{name}.npy")
    info.compress_type = zipfile.ZIP_DEFLATED
    waiting = bytearray(header_of(shape, dtype))
    with archive.open(info, "w", force_zip64=True) as member:
        for array in arrays:
            waiting += np.ascontiguousarray(array, dtype).tobytes()
            while len(waiting) >= _PIECE:
                member.write(waiting[:_PIECE])
                del waiting[:_PIECE]
        member.write(waiting)
