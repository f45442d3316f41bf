"""Reads the official Sketch-RNN ``.npz`` data sets without running any code from them.

A data set holds three object arrays, ``train``, ``valid`` and ``test``; each element is one drawing as a
stroke-3 array (magenta/magenta ``sketch_rnn/README.md``, "Creating Your Own Dataset"). NumPy stores object
arrays as pickles and reads them only with ``allow_pickle=True``, which runs whatever the file says. Here
``array_pickle`` reads them, which knows arrays of arrays and nothing else.
"""

import lzma
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .array_pickle import MAX_DRAWINGS, MAX_NUMBERS, read_drawings

Stroke3: TypeAlias = NDArray[np.float32]
"""One drawing: rows (dx, dy, lift), data units; lift is 1 where the pen lifts *after* the point."""

MAX_BYTES: Final = 1 << 28
"""Most bytes one array of a data set may unpack to; 4,500 drawings unpack to a few MB."""

MAX_HEADER: Final = 1000
"""Most bytes of an array's header; NumPy writes about 120."""

SPLITS: Final = ("train", "valid", "test")

_HEADER: Final = re.compile(
    r"\{'descr': '([<>|=]?[a-zA-Z][0-9]*)', 'fortran_order': (True|False), 'shape': \(([0-9L, ]*)\), \}\s*"
)
"""The header of an .npy file, in the one form in which NumPy writes it (Python 2 may write counts as 5L)."""

_DAMAGE: Final = (
    OSError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    KeyError,
    ValueError,
    EOFError,
    IndexError,
    MemoryError,
    RuntimeError,
    OverflowError,
)
"""What zipfile and the readers here raise on files that are no data sets (RuntimeError: encrypted)."""


@dataclass(frozen=True, slots=True)
class SketchData:
    """The three splits of one data set, and what had to be left out of them."""

    train: list[Stroke3]
    valid: list[Stroke3]
    test: list[Stroke3]
    skipped: int
    """Drawings without a single usable row, left out of the splits."""


def _read_header(stream: IO[bytes]) -> tuple[str, bool, tuple[int, ...]]:
    """The dtype, Fortran order and shape that an .npy file claims."""
    magic = stream.read(8)
    if magic[:6] != b"\x93NUMPY" or magic[6:7] not in {b"\1", b"\2", b"\3"}:
        raise ValueError("an array that is no .npy file of version 1, 2 or 3")
    size = int.from_bytes(stream.read(2 if magic[6] == 1 else 4), "little")
    found = _HEADER.fullmatch(stream.read(size).decode("latin1")) if size <= MAX_HEADER else None
    if found is None:
        raise ValueError("an .npy header that NumPy does not write for arrays of numbers or objects")
    counts = found[3].replace("L", "").split(",")
    return found[1], found[2] == "True", tuple(int(count) for count in counts if count.strip())


def _plain_drawings(contents: bytes, descr: str, fortran: bool, shape: tuple[int, ...]) -> list[NDArray[Any]]:
    """The drawings of an array of numbers (drawings, rows, 3): what NumPy makes of drawings of one length."""
    if shape[:1] == (0,):
        return []
    if descr.lstrip("<>|=") not in {"i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"}:
        raise ValueError(f"an array of dtype {descr!r}, expected objects or numbers")
    if len(shape) != 3 or 0 in shape:
        raise ValueError(f"an array of shape {shape}, expected (drawings, rows, 3)")
    dtype = np.dtype(descr)
    numbers = shape[0] * shape[1] * shape[2]
    if numbers * dtype.itemsize > len(contents):
        raise ValueError(f"claims shape {shape}, more than the {len(contents)} bytes it holds")
    if shape[0] > MAX_DRAWINGS or numbers > MAX_NUMBERS:
        raise ValueError(f"claims shape {shape}, more than {MAX_DRAWINGS} drawings or {MAX_NUMBERS} numbers")
    return list(np.frombuffer(contents, dtype, numbers).reshape(shape, order="F" if fortran else "C"))


def _read_split(archive: zipfile.ZipFile, split: str) -> list[NDArray[Any]]:
    info = archive.getinfo(f"{split}.npy")
    if info.file_size > MAX_BYTES:
        raise ValueError(f"{split} unpacks to {info.file_size} bytes, more than {MAX_BYTES}")
    with archive.open(info) as stream:
        descr, fortran, shape = _read_header(stream)
        contents = stream.read()
    if descr.lstrip("<>|=") not in {"O", "O4", "O8"}:
        return _plain_drawings(contents, descr, fortran, shape)
    if len(shape) != 1:
        raise ValueError(f"an object array of shape {shape}, expected a list of drawings")
    return read_drawings(contents, shape[0])


def clean_stroke3(rows: NDArray[Any]) -> Stroke3 | None:
    """One drawing as float32 stroke-3 rows without a leading (0, 0, 0) row; None where no row is left.

    Quick, Draw! files begin each drawing with (0, 0, 0): the move from the start point to itself.

    Raises:
        ValueError: the array is not (n, 3), not numbers, or not finite.
    """
    if rows.ndim != 2 or rows.shape[1] != 3 or rows.dtype.kind not in "iuf":
        raise ValueError(f"a drawing of shape {rows.shape}, dtype {rows.dtype}; expected (n, 3) numbers")
    out = np.array(rows, np.float32, order="C")  # a copy: the readers give views of the file's bytes
    if rows.dtype.kind == "f" and not np.isfinite(out).all():
        raise ValueError("a drawing with NaN or infinite offsets")
    if len(out) and not out[0].any():
        out = out[1:]
    return out if len(out) else None


def read_sketch_npz(path: str | Path) -> SketchData:
    """Reads one ``.npz`` data set.

    Raises:
        DataError: the file cannot be read, is no npz, holds no drawings, or its pickle asks for anything
            but arrays.
    """
    path = Path(path)
    splits: dict[str, list[Stroke3]] = {}
    skipped = 0
    try:
        with zipfile.ZipFile(path) as archive, np.errstate(over="ignore", invalid="ignore"):
            for split in SPLITS:
                cleaned = [clean_stroke3(rows) for rows in _read_split(archive, split)]
                splits[split] = [rows for rows in cleaned if rows is not None]
                skipped += sum(rows is None for rows in cleaned)
    except _DAMAGE as err:
        raise DataError(
            f"{path.name}: not a Sketch-RNN data set that can be read safely: {err}; expected an .npz "
            "with the object arrays train, valid and test of stroke-3 drawings"
        ) from err
    if not any(splits.values()):
        raise DataError(f"{path.name}: it holds no drawings")
    return SketchData(**splits, skipped=skipped)
