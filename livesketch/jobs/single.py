"""One file of many drawings; until it is whole its parts stand beside it."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from ..errors import OutputError
from ..files import permissions, replacing
from ..paper import Page
from . import sheets
from .notes import agree
from .parts import Kind, Part, read_part, stretches, write_part

NOTES: Final = "run.json"
_PART: Final = re.compile(r"[0-9]{10}-[0-9]{10}\.npz|\.livesketch-[0-9a-f]+\.part|\.run\.json\.[0-9a-f]+\.part")
_LOCK: Final = "lock"


class SingleFile:
    """``run.Store``: ``cats.npz.parts/`` holds what is done; when all is, ``cats.npz`` is written and the folder goes.

    Endings: ``.jsonl`` and ``.npz`` are strokes, any other a page.
    """

    def __init__(
        self, path: Path, numbers: range, facts: dict[str, Any], page: Page, color: str, about: dict[str, str]
    ) -> None:
        self.path, self._numbers = path, numbers
        self.kind: Kind = "strokes" if path.suffix in STROKES else "places"
        self._page, self._color, self._about = page, color, about | {"drawing": str(numbers.start)}
        self._rows = 0
        self._folder = folder_of(path)
        self._open(facts | {"kept": self.kind})

    def _open(self, facts: dict[str, Any]) -> None:
        try:
            if permissions(self.path) is None:
                raise OutputError(
                    f"{self.path}: a folder, pipe or device; expected the name of a file, as a run keeps its parts "
                    "beside it; a folder's name ends with /"
                )
            self._folder.mkdir(exist_ok=True)
            names = {entry.name for entry in self._folder.iterdir()}
        except (OSError, ValueError) as err:
            if isinstance(err, OutputError):
                raise
            reason = getattr(err, "strerror", None) or err
            raise OutputError(
                f"{self._folder}: cannot be made ({reason}), and a run keeps its parts there; give a file in a folder "
                "that exists and can be written"
            ) from err
        if names and not names & {NOTES, _LOCK}:
            raise OutputError(f"{self._folder}: a folder of something else; a run keeps its parts there; move it away")
        self._lock = _locked(self._folder / _LOCK, self.path)
        try:
            agree(self._folder / NOTES, facts)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Others may go on with the run."""
        self._lock.close()

    def missing(self, numbers: range) -> list[range]:
        """The stretches that no part holds. OutputError: a part is damaged."""
        left = []
        for stretch in stretches(numbers):
            if self._part(stretch).exists():
                self._count(read_part(self._part(stretch)))
            else:
                left.append(stretch)
        return left

    def keep(self, part: Part) -> None:
        """Writes a part. OutputError: it cannot be written, or an ``.npz`` would become too large to be read."""
        with replacing(self._part(part.stretch)) as stream:
            write_part(part, stream)
        self._count(part)

    def finish(self) -> None:
        """Writes the file and takes the parts away. OutputError: it cannot be written; the parts stay."""
        with replacing(self.path) as stream:
            if self.path.suffix == ".npz":
                sheets.write_archive(stream, self.parts)
            elif self.path.suffix == ".jsonl":
                sheets.write_lines(stream, self.parts)
            else:
                sheets.write_sheet(stream, self.parts, self._page, self._color, self._about)
        for entry in [*self._folder.iterdir()]:
            if _PART.fullmatch(entry.name):
                entry.unlink()
        (self._folder / NOTES).unlink()
        (self._folder / _LOCK).unlink()
        with contextlib.suppress(OSError):  # somebody put a file of their own there
            self._folder.rmdir()

    def parts(self) -> Iterator[Part]:
        """All parts in their order."""
        return (read_part(self._part(stretch)) for stretch in stretches(self._numbers))

    def _count(self, part: Part) -> None:
        self._rows += int(part.lengths.sum())
        if self.path.suffix == ".npz":
            sheets.check_archive(self._rows)

    def _part(self, numbers: range) -> Path:
        return self._folder / f"{numbers.start:010d}-{numbers.stop:010d}.npz"


STROKES: Final = {".jsonl", ".npz"}
"""Endings of files of strokes."""


def folder_of(path: Path) -> Path:
    """Where the parts of a file are."""
    return path.with_name(path.name + ".parts")


def _locked(path: Path, output: Path) -> BinaryIO:
    """The run's lock, which the system gives back even where the process is killed."""
    try:
        lock = path.open("ab")
        _lock(lock)
    except BlockingIOError:
        lock.close()
        raise OutputError(
            f"{output}: another run writes it; wait for its end, or give another name; several at once can fill one "
            "folder"
        ) from None
    except OSError as err:
        raise OutputError(f"{path}: cannot be written ({err.strerror or err}); see that the disk has room") from err
    return lock


def _lock(lock: BinaryIO) -> None:
    """BlockingIOError: another process has it."""
    try:
        import fcntl  # noqa: PLC0415 - not on Windows, where nothing keeps two runs apart
    except ImportError:
        return
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
