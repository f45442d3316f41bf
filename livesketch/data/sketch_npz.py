"""Reads the official Sketch-RNN ``.npz`` data sets without running any code from them.

A data set holds three object arrays, ``train``, ``valid`` and ``test``; each element is one drawing as a
stroke-3 array (magenta/magenta ``sketch_rnn/README.md``, "Creating Your Own Dataset"). NumPy stores object
arrays as pickles and reads them only with ``allow_pickle=True``, which runs whatever the file says. Here
an unpickler admits the three names that an array of arrays needs and nothing else.
"""

import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from ..errors import DataError

Stroke3: TypeAlias = NDArray[np.float32]
"""One drawing: rows (dx, dy, lift), data units; lift is 1 where the pen lifts *after* the point."""

MAX_BYTES: Final = 1 << 30
"""Most bytes one array of a data set may unpack to: the largest official file unpacks to about 70 MB."""

SPLITS: Final = ("train", "valid", "test")


@dataclass(frozen=True, slots=True)
class SketchData:
    """The three splits of one data set, and what had to be left out of them."""

    train: list[Stroke3]
    valid: list[Stroke3]
    test: list[Stroke3]
    skipped: int
    """Drawings without a single usable row, left out of the splits."""


class _NdarrayName:
    """Stands for the class ``numpy.ndarray`` in a pickle; it cannot be called."""


def _reconstruct(kind: object, shape: tuple[int, ...], _code: object) -> NDArray[Any]:
    """What NumPy's own ``_reconstruct`` does in every array pickle: an empty array, filled afterwards."""
    if kind is not _NdarrayName or shape != (0,):
        raise pickle.UnpicklingError(f"array of {kind!r} with shape {shape!r}")
    return np.ndarray((0,), np.int8)


def _latin1(text: str, encoding: str) -> bytes:
    """``_codecs.encode`` as Python 2 pickles use it for bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"encoding {encoding!r}")
    return text.encode("latin1")


def _dtype(spec: str, align: bool = False, copy: bool = False) -> np.dtype[Any]:
    return np.dtype(spec, align=align, copy=copy)


_ADMITTED: Final[dict[tuple[str, str], object]] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _NdarrayName,
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _latin1,
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None

    def persistent_load(self, pid: object) -> Any:
        raise pickle.UnpicklingError(f"it asks for the persistent object {pid!r}")


def _read_array(stream: IO[bytes], size: int) -> NDArray[Any]:
    version = npy_format.read_magic(stream)
    reader = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
    shape, _, dtype = reader(stream)
    if dtype.hasobject:
        array = _ArraysOnly(stream, encoding="latin1").load()
        if not isinstance(array, np.ndarray):
            raise ValueError(f"holds a {type(array).__name__}, expected an array")
        return array
    count = int(np.prod(shape, dtype=np.int64))
    if count < 0 or count * dtype.itemsize > size:
        raise ValueError(f"claims shape {shape}, more than the {size} bytes it holds")
    return np.frombuffer(stream.read(count * dtype.itemsize), dtype).reshape(shape)


def _read_split(archive: zipfile.ZipFile, split: str) -> NDArray[Any]:
    info = archive.getinfo(f"{split}.npy")
    if info.file_size > MAX_BYTES:
        raise ValueError(f"{split} unpacks to {info.file_size} bytes, more than {MAX_BYTES}")
    with archive.open(info) as stream:
        return _read_array(stream, info.file_size)


def clean_stroke3(rows: NDArray[Any]) -> Stroke3 | None:
    """One drawing as float32 stroke-3 rows without a leading (0, 0, 0) row; None where no row is left.

    Quick, Draw! files begin each drawing with (0, 0, 0): the move from the start point to itself.

    Raises:
        ValueError: the array is not (n, 3), not numbers, or not finite.
    """
    if rows.ndim != 2 or rows.shape[1] != 3 or rows.dtype.kind not in "iuf":
        raise ValueError(f"a drawing of shape {rows.shape}, dtype {rows.dtype}; expected (n, 3) numbers")
    out = np.ascontiguousarray(rows, np.float32)
    if not np.isfinite(out).all():
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
        with zipfile.ZipFile(path) as archive:
            for split in SPLITS:
                array = _read_split(archive, split)
                cleaned = [clean_stroke3(np.asarray(rows)) for rows in array]
                splits[split] = [rows for rows in cleaned if rows is not None]
                skipped += sum(rows is None for rows in cleaned)
    except (
        OSError,
        zipfile.BadZipFile,
        KeyError,
        ValueError,
        TypeError,
        EOFError,
        IndexError,
        AttributeError,
        pickle.UnpicklingError,
        MemoryError,
        RecursionError,
        OverflowError,
    ) as err:
        raise DataError(
            f"{path.name}: not a Sketch-RNN data set that can be read safely: {err}; expected an .npz "
            "with the object arrays train, valid and test of stroke-3 drawings"
        ) from err
    if not any(splits.values()):
        raise DataError(f"{path.name}: it holds no drawings")
    return SketchData(**splits, skipped=skipped)
