"""Finished drawings in arrays: what is kept of a stretch of numbers until all are there, and sent between machines."""

import io
import itertools
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, TypeAlias

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from ..errors import OutputError
from ..outputs.places import FAR
from ..rows import MAX_UNITS, Rows
from ..streams.bulk import Bulk, FinishedDrawing, Subject
from ..strokes import START

Kind: TypeAlias = Literal["strokes", "places"]
"""What the rows of a part are: ``strokes`` (dx, dy, lift) in data units, or ``places`` (x, y, joint) on the stage."""

SIZE: Final = 1000
"""Drawings of a part: what is lost, at most, where a process is killed."""

APART, JOINED, FROM_START = 0.0, 1.0, 2.0
"""Joints: a place begins a line, goes on with the one before, or begins one that comes from the start point."""

_FIELDS: Final = ("numbers", "lengths", "ended", "rows")


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """k drawings, one after the other."""

    numbers: NDArray[np.int64]
    """(k,)."""
    lengths: NDArray[np.int64]
    """Rows of each, (k,); 0 where nothing is drawn, or nothing that can be kept: not finite, or lost far away."""
    ended: NDArray[np.bool_]
    """Whether the model ended it by itself, (k,)."""
    rows: Rows
    """(rows of all, 3)."""

    @property
    def stretch(self) -> range:
        """Its numbers as a range."""
        return range(int(self.numbers[0]), int(self.numbers[-1]) + 1)

    def drawings(self) -> Iterator[tuple[int, Rows]]:
        """The number of each and its rows (n, 3)."""
        parts = np.split(self.rows, np.cumsum(self.lengths)[:-1])
        yield from zip(self.numbers.tolist(), parts, strict=True)


def stretches(numbers: range) -> list[range]:
    """A range cut at the multiples of ``SIZE``, so that it is cut at the same places whatever range it is part of."""
    cuts = [numbers.start, *range(numbers.start // SIZE * SIZE + SIZE, numbers.stop, SIZE), numbers.stop]
    return [range(a, b) for a, b in itertools.pairwise(cuts)]


def part_of(drawings: Iterable[FinishedDrawing], kind: Kind) -> Part:
    """Finished drawings as a part."""
    numbers, ended, kept = [], [], []
    for drawing in drawings:
        numbers.append(drawing.number)
        ended.append(drawing.ended)
        kept.append(_strokes(drawing) if kind == "strokes" else _places(drawing))
    lengths = np.array([len(rows) for rows in kept], np.int64)
    return Part(np.array(numbers, np.int64), lengths, np.array(ended, np.bool_), np.concatenate([_NOTHING, *kept]))


def drawn_part(subject: Subject, numbers: range, kind: Kind, voices: int) -> Part:
    """Draws a part; what other processes and machines are asked for."""
    return part_of(Bulk(subject, numbers, voices), kind)


_NOTHING: Final = np.zeros((0, 3))


def _strokes(drawing: FinishedDrawing) -> Rows:
    """The rows that files of strokes take: ``rows.to_rows`` would refuse others, and leave out a move to the start."""
    rows = drawing.rows
    if not (np.abs(rows) <= MAX_UNITS).all():
        return _NOTHING
    return rows[1:] if len(rows) and not rows[0].any() else rows


def _places(drawing: FinishedDrawing) -> Rows:
    """What ``PolylineBuilder`` makes of the actions that are places to draw at, before it is cut into lines."""
    units = drawing.stage_units
    moves = drawing.records[drawing.records["pen"] != 2]
    out = np.stack([0.5 + moves["x"] / units, 0.5 + moves["y"] / units, moves["ink"]], -1).astype(np.float64)
    if not len(out):
        return out
    if out[0, 2]:
        out[0, 2] = FROM_START
    lost = np.asarray(~(np.abs(out[:, :2]) < FAR).all(axis=1))
    out[1:][lost[:-1], 2] = APART
    return out[~lost]


def lines_of(places: Rows) -> list[NDArray[np.float64]]:
    """The polylines, each (k, 2), of a drawing's places."""
    if not len(places):
        return []
    begins = np.flatnonzero(places[:, 2] != JOINED)
    lines = np.split(places[:, :2], begins[1:])
    if places[0, 2] == FROM_START:
        lines[0] = np.concatenate([[START], lines[0]])
    return lines


def write_part(part: Part, stream: BinaryIO) -> None:
    """Writes a part so that ``read_part`` has the same bits."""
    np.savez(stream, **{name: getattr(part, name) for name in _FIELDS})


def read_part(path: Path) -> Part:
    """A part that was kept.

    Raises:
        OutputError: it is not there or damaged; without it the run can go on, and makes it again.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            part = Part(*(arrays[name] for name in _FIELDS))
        _check(part)
    except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile) as err:
        raise OutputError(
            f"{path}: not a part of a run that can be read ({err}); expected what this program left there; delete it "
            "and run again"
        ) from err
    return part


def _check(part: Part) -> None:
    count = len(part.numbers)
    if part.lengths.shape != (count,) or part.ended.shape != (count,) or part.rows.shape != (part.lengths.sum(), 3):
        raise ValueError("its arrays do not belong together")


def header_of(shape: tuple[int, ...], dtype: Any) -> bytes:
    """What stands before an array's bytes in an .npy file."""
    stream = io.BytesIO()
    fields = {"descr": npy_format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    npy_format.write_array_header_1_0(stream, fields)
    return stream.getvalue()
