"""Drawings in files: ``.npz`` without pickles, or JSON Lines."""

import io
import json
import math
import os
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from .errors import DataError, OutputError, StrokesError
from .events import Cue, PenAction, Token
from .files import check_size, replacing
from .rows import Rows, to_rows
from .strokes import Drawn, rows_of

MAX_BYTES: Final = 1 << 30
"""Most bytes of a file of strokes, also when unpacked."""

_LISTED: Final = "one drawing alone goes into a list, as in save_strokes(path, [drawing])"
_EVENTS: Final = (PenAction, Token, Cue)

_UNREADABLE: Final = (
    *(OSError, EOFError, ValueError, TypeError, LookupError, OverflowError, MemoryError, RecursionError),
    *(SyntaxError, tokenize.TokenError, UserWarning),  # how NumPy's header parser fails
    *(zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError),  # damaged, odd or encrypted archives
)


def save_strokes(path: str | Path, drawings: Iterable[Any]) -> None:
    """Writes drawings; there may be none.

    Each may be a drawing as ``draw`` and ``SketchStream.drawing`` give it (what is drawn of it so far), a list of its
    actions, stroke-3 rows (n, 3), or a list of polylines (k, 2); rows and polylines in data units.

    ``.npz`` holds the arrays ``rows`` (total, 3) float32 and ``lengths`` (drawings,) int64. ``.jsonl`` holds one
    drawing a line, ``{"rows": [[dx, dy, lift], ...]}``, at full precision. The same drawings give the same bytes.

    Raises:
        StrokesError: something else, of wrong shape, not finite, or with nothing drawn; the message says which one.
        OutputError: another ending than .npz or .jsonl, or the file cannot be written.
    """
    if not _is_path(path):
        raise OutputError(f"the path is {path!r:.60} of type {type(path).__name__}; expected a name such as 'cat.npz'")
    write = _WRITERS.get(Path(path).suffix)
    if write is None:
        raise OutputError(f"{path}: strokes are saved as .npz or .jsonl; give such a name")
    if isinstance(drawings, Drawn):
        raise StrokesError(f"a {type(drawings).__name__} alone: {_LISTED}")
    if isinstance(drawings, str | bytes | Mapping) or not hasattr(drawings, "__iter__"):
        raise StrokesError(f"drawings of type {type(drawings).__name__}; expected a list of drawings")
    with replacing(path) as stream:
        write(stream, _each(drawings))


def _is_path(path: Any) -> bool:
    return isinstance(path, str | os.PathLike) and isinstance(os.fspath(path), str)


def _each(drawings: Iterable[Any]) -> Iterator[Rows]:
    for number, drawing in enumerate(drawings):
        try:
            yield _rows(drawing)
        except StrokesError as err:
            hint = f"; {_LISTED}" if _is_part(drawing) else ""
            raise StrokesError(f"drawing {number}: {err}{hint}") from err


def _rows(drawing: Any) -> Rows:
    acted = isinstance(drawing, Sequence) and len(drawing) and isinstance(drawing[0], _EVENTS)
    if not acted and not isinstance(drawing, Drawn):
        return to_rows(drawing)
    rows = rows_of(drawing)
    if not len(rows):
        raise StrokesError("nothing is drawn; leave it out, or draw some of it first")
    return to_rows(rows)


def _is_part(drawing: Any) -> bool:
    """Whether this is a part of a drawing, one action or one row, as where a drawing was given in place of a list."""
    row = (
        isinstance(drawing, Sequence | np.ndarray) and len(drawing) and isinstance(drawing[0], float | int | np.number)
    )
    return isinstance(drawing, _EVENTS) or bool(row)


def load_strokes(path: str | Path) -> list[Rows]:
    """The drawings of a file that ``save_strokes`` wrote, each (n, 3).

    Raises:
        DataError: the file cannot be read, is damaged, holds something else, or is larger than ``MAX_BYTES``.
    """
    if not _is_path(path):
        raise DataError(f"the path is {path!r:.60} of type {type(path).__name__}; expected a name such as 'cat.npz'")
    path = Path(path)
    read = _READERS.get(path.suffix)
    if read is None:
        raise DataError(f"{path}: strokes are read from .npz or .jsonl files; give such a file")
    try:
        check_size(path, MAX_BYTES)
        with path.open("rb") as stream:
            return read(stream)
    except StrokesError as err:
        raise DataError(f"{path}: {err}") from err
    except _UNREADABLE as err:
        reason = getattr(err, "strerror", None) or str(err) or type(err).__name__
        raise DataError(
            f"{path}: not strokes that can be read: {reason}; expected a {path.suffix} file from save_strokes"
        ) from err


def _write_npz(stream: BinaryIO, drawings: Iterable[Rows]) -> None:
    parts = [rows.astype(np.float32) for rows in drawings]
    arrays = {
        "rows": np.concatenate([np.zeros((0, 3), np.float32), *parts]),
        "lengths": np.array([len(rows) for rows in parts], np.int64),
    }
    packed = io.BytesIO()  # devices and pipes cannot be sought in, which zip needs
    with zipfile.ZipFile(packed, "w") as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            npy_format.write_array(member, array, version=(1, 0), allow_pickle=False)
            # ZipInfo by name alone carries a fixed date: the same drawings give the same bytes.
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue(), zipfile.ZIP_DEFLATED)
    stream.write(packed.getbuffer())


def _read_npz(stream: BinaryIO) -> list[Rows]:
    with zipfile.ZipFile(stream) as archive:
        rows = _read_member(archive, "rows.npy", "f")
        lengths = _read_member(archive, "lengths.npy", "i")
    if rows.ndim != 2 or lengths.ndim != 1 or (lengths < 1).any() or sum(lengths.tolist()) != len(rows):
        raise ValueError(f"rows {rows.shape} and lengths {lengths.shape} do not belong together")
    return [to_rows(part) for part in np.split(rows, np.cumsum(lengths)[:-1])] if len(lengths) else []


def _read_member(archive: zipfile.ZipFile, name: str, kind: str) -> NDArray[Any]:
    info = archive.getinfo(name)
    if info.file_size > MAX_BYTES:
        raise ValueError(f"{name} unpacks to {info.file_size} bytes, more than {MAX_BYTES}")
    stream = io.BytesIO(archive.read(info))
    if npy_format.read_magic(stream) != (1, 0):
        raise ValueError(f"{name} is not in version 1.0 of NumPy's format")
    shape, fortran, dtype = npy_format.read_array_header_1_0(stream)
    count = math.prod(shape)
    if dtype.kind != kind or fortran or count * dtype.itemsize != info.file_size - stream.tell():
        raise ValueError(f"{name} claims shape {shape}, dtype {dtype}, which its {info.file_size} bytes are not")
    return np.frombuffer(stream.read(), dtype).reshape(shape)


def _write_jsonl(stream: BinaryIO, drawings: Iterable[Rows]) -> None:
    for rows in drawings:
        listed = [[dx, dy, int(lift)] for dx, dy, lift in rows.tolist()]
        stream.write(json.dumps({"rows": listed}, separators=(",", ":")).encode() + b"\n")


def _read_jsonl(stream: BinaryIO) -> list[Rows]:
    drawings = []
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        record = json.loads(line.decode("utf-8"))
        if not isinstance(record, dict) or not isinstance(record.get("rows"), list):
            raise TypeError(f'line {number} is not an object with a list "rows"')
        drawings.append(to_rows(record["rows"]))
    return drawings


_WRITERS: Final[dict[str, Callable[[BinaryIO, Iterable[Rows]], None]]] = {".npz": _write_npz, ".jsonl": _write_jsonl}
_READERS: Final[dict[str, Callable[[BinaryIO], list[Rows]]]] = {".npz": _read_npz, ".jsonl": _read_jsonl}
