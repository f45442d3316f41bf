"""Files: read only where of sane size, and written so that a reader finds the old one or the whole new one."""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .errors import OutputError


def check_size(path: Path, most: int) -> int:
    """The size in bytes of a regular file, looked up before any of it is read.

    Raises:
        OSError: it is not there, cannot be looked at, or is no regular file.
        ValueError: it is larger than ``most`` bytes.
    """
    size = path.stat().st_size
    if not path.is_file():
        raise OSError("it is a folder or a device, not a file")
    if size > most:
        raise ValueError(f"it has {size} bytes, more than the {most} that are read")
    return size


def permissions(path: str | Path) -> int | None:
    """The permission bits of the file at ``path``, links followed, 0 where there is none yet; None: it is no file.

    A folder, a device, a pipe or a socket is no file. OSError: it cannot be looked at.
    """
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - Path would be made of it, and "" become "."
    except FileNotFoundError:
        return 0
    return stat.S_IMODE(mode) & 0o777 if stat.S_ISREG(mode) else None


@contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """A binary stream whose contents become the file at ``path`` when the block ends without an exception.

    They are written beside it first, flushed to the disk, and put in its place in one move; a link is followed, and
    the permissions of the file that was there are kept.
    What is not a regular file (``/dev/stdout``, a pipe) is written to directly.

    Raises:
        OutputError: the folder or file cannot be written; what was there is untouched.
    """
    if "\0" in str(path):
        raise OutputError(f"{str(path)!r}: a file name cannot hold a NUL character; give another name")
    part: Path | None = None
    try:
        old = permissions(path)
        target = Path(os.path.realpath(path))
        regular = old is not None
        # The path of what is no file is opened as it was given: /dev/stdout leads to a pipe that has no other name.
        place = target.with_name(f".livesketch-{secrets.token_hex(8)}.part") if regular else Path(path)
        with place.open("xb" if regular else "wb") as stream:
            part = place if regular else None
            if old and stat.S_IMODE(place.stat().st_mode) != old:
                place.chmod(old)
            yield stream
            stream.flush()
            if part is not None:
                os.fsync(stream.fileno())
        if part is not None:
            part.replace(target)
            part = None
    except OutputError:
        raise
    except OSError as err:
        reason = err.strerror or str(err)
        hint = "give a file in a folder that exists and can be written"
        raise OutputError(f"{path}: cannot be written ({reason}); {hint}") from err
    finally:
        if part is not None:
            part.unlink(missing_ok=True)
