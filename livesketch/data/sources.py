"""Which reader a file or folder of drawings needs: found out from what it holds."""

import re
import zipfile
from pathlib import Path
from typing import Final

from ..errors import DataError
from .found import EMPTY, Found
from .json_lines import kind_of
from .ndjson import read_ndjson
from .sketch_npz import SPLITS, read_sketch_npz
from .stroke_lines import read_saved_lines, read_saved_npz
from .svg_drawings import read_svg_files
from .trace_drawings import read_trace

_FILES: Final = {".npz", ".ndjson", ".jsonl"}
_KINDS: Final = {"trace": "trace", "drawing": "ndjson", "rows": "saved"}
"""Keys of JSON Lines that say what they are."""

_EXPECTED: Final = "expected .npz, .ndjson, .jsonl or .svg, or a folder of them"


def label_of(path: Path) -> str:
    """The class that a file or folder names: ``The_Eiffel_Tower.npz`` is ``The Eiffel Tower``."""
    name = path.resolve().name if path.is_dir() else path.stem
    return name.replace("_", " ").strip() or str(path)


def plain_label(label: str) -> str:
    """A class's name as it is compared; the same as ``models.catalogue.plain_name``, which lies above this layer."""
    return re.sub(r"[\s_-]+", " ", label.casefold()).strip()


def read_sources(path: Path, *, recognized_only: bool = False) -> list[Found]:
    """The sources at a path, each of one class.

    * ``.npz``: an official Sketch-RNN data set with its splits, or what ``livesketch.save_strokes`` wrote;
    * ``.ndjson``, ``.jsonl``: Quick, Draw! raw or simplified, what ``livesketch.save_strokes`` wrote, or a trace;
    * ``.svg``: one drawing; a folder of them: a class, named as the folder is;
    * a folder of the other files: each of them; a folder of folders: each of these.

    Raises:
        DataError: it is not there, cannot be read, or holds something else.
    """
    try:
        if path.is_dir():
            return _folder(path, recognized_only, inside=False)
        if not path.exists():
            raise DataError(f"{path}: there is no such file or folder; {_EXPECTED}")
    except (OSError, ValueError) as err:
        if isinstance(err, DataError):
            raise
        raise DataError(f"{str(path)!r:.200}: cannot be looked at ({err}); {_EXPECTED}") from err
    return [_file(path, recognized_only)]


def _file(path: Path, recognized_only: bool) -> Found:
    label, suffix = label_of(path), path.suffix.lower()
    if suffix == ".svg":
        return read_svg_files([path], path, label)
    if suffix == ".npz":
        return read_saved_npz(path, label) if _is_saved(path) else _official(path, label)
    if suffix not in _FILES:
        raise DataError(f"{path}: not a kind of file that drawings are read from; {_EXPECTED}")
    kind = kind_of(path, _KINDS)
    if kind == "trace":
        return read_trace(path, label)
    if kind == "saved":
        return read_saved_lines(path, label)
    if kind == "ndjson":
        return read_ndjson(path, label, recognized_only=recognized_only)
    raise DataError(
        f'{path}: no line of its first hundred is a drawing; expected Quick, Draw! ndjson (key "drawing"), lines of '
        'save_strokes (key "rows"), or a trace (key "trace")'
    )


def is_data_set(path: Path) -> bool:
    """Whether an .npz has the splits of an official data set; what is no archive is none."""
    return {f"{split}.npy" for split in SPLITS} <= _arrays(path)


def _is_saved(path: Path) -> bool:
    """Whether an .npz is from ``save_strokes``; what is no archive is left to the reader of data sets to say."""
    return {"rows.npy", "lengths.npy"} <= _arrays(path)


def _arrays(path: Path) -> set[str]:
    """The names of the files in an .npz."""
    try:
        with zipfile.ZipFile(path) as archive:
            return set(archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError, LookupError):
        return set()


def _official(path: Path, label: str) -> Found:
    data = read_sketch_npz(path)
    found = Found(str(path), label, splits={"train": data.train, "valid": data.valid, "test": data.test})
    found.skip(EMPTY, data.skipped)
    return found


def _folder(path: Path, recognized_only: bool, *, inside: bool) -> list[Found]:
    """The sources in a folder, by name; those of its folders too, but no deeper."""
    try:
        entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    except OSError as err:
        raise DataError(f"{path}: the folder cannot be read ({err.strerror or err})") from err
    files = [entry for entry in entries if entry.is_file()]
    svgs = [entry for entry in files if entry.suffix.lower() == ".svg"]
    data = [entry for entry in files if entry.suffix.lower() in _FILES]
    folders = [entry for entry in entries if entry.is_dir()]
    out = [read_svg_files(svgs, path, label_of(path))] if svgs else []
    out += [_file(entry, recognized_only) for entry in data]
    if not inside:
        out += [found for entry in folders for found in _folder(entry, recognized_only, inside=True)]
    if not out and not inside:
        raise DataError(f"{path}: a folder without drawings; {_EXPECTED}")
    passed = len(entries) - len(svgs) - len(data) - (0 if inside else len(folders))
    if passed and not out:
        out = [Found(str(path), "")]
    if out:
        out[0].skip(f"other files or folders in {path}: passed over", passed)
    return out
