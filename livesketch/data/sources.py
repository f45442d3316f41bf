"""Which reader a file or folder of drawings needs."""

from pathlib import Path

from ..errors import DataError
from .found import Found
from .sketch_npz import read_sketch_npz


def label_of(path: Path) -> str:
    """The class that a file or folder names: ``The_Eiffel_Tower.npz`` is ``The Eiffel Tower``."""
    name = path.resolve().name if path.is_dir() else path.stem
    return name.replace("_", " ").strip()


def read_sources(path: Path) -> list[Found]:
    """The sources at a path.

    Raises:
        DataError: it is not there, cannot be read, or holds something else.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder")
    if path.suffix == ".npz":
        return [_official(path)]
    raise DataError(f"{path}: not a kind of file that drawings are read from")


def _official(path: Path) -> Found:
    data = read_sketch_npz(path)
    found = Found(str(path), label_of(path), splits={"train": data.train, "valid": data.valid, "test": data.test})
    found.skip("empty: left out", data.skipped)
    return found
