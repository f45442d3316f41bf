"""The files beside a model in training: where they may be, whose they are, and one training at a time to write them."""

import json
import os
import platform
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ..errors import CheckpointError, OutputError
from ..files import replacing
from ..models.checkpoint import read_header
from ..paper import NAMESPACE
from .card import is_card
from .text_samples import is_samples

_LINE: Final = b'{"step": '
"""How a line of the log begins."""
_held: Final[set[Path]] = set()
"""The locks of this process."""


def beside(output: Path, ending: str) -> Path:
    """A file next to a model, as ``cat.log.jsonl`` next to ``cat.safetensors``."""
    return output.with_name(f"{output.stem}.{ending}")


def check_place(output: Path, sources: Sequence[Path], samples: str, *, deep: bool) -> None:
    """Refuses an output that could not be written, or would be read as data, before hours are spent on it.

    Args:
        output: the model's file.
        sources: the data's files and folders.
        samples: the ending of its samples.
        deep: whether folders are read at any depth; else they and the folders in them.

    Raises:
        OutputError: likewise where a file is there that would be written over, and no training wrote it.
    """
    folder = output.resolve().parent
    for source in sources:
        if source.is_dir() and source.resolve() in {folder, *(folder.parents if deep else [folder.parent])}:
            raise OutputError(
                f"{output}: lies in {source}, of which all is read as data, the samples and the log too; give "
                "a file in another folder with -o"
            )
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as err:
        raise OutputError(
            f"{output}: cannot be written ({err.strerror}); give a file in a folder that exists and can be written"
        ) from err
    if output.is_dir():
        raise OutputError(f"{output}: is a folder; give the name of a file")
    _check_ours(output, _is_model)
    for ending in ("md", samples, "log.jsonl"):
        _check_ours(beside(output, ending), _OURS[ending])


def _check_ours(path: Path, ours: Callable[[Path], bool]) -> None:
    try:
        if not path.exists() or ours(path):
            return
    except OSError as err:
        raise OutputError(f"{path}: is there and cannot be written over ({err.strerror}); move it away") from err
    raise OutputError(
        f"{path}: is there and was not written by a training of livesketch, which would write over it; move it away, "
        "or give the model another name with -o"
    )


def _is_model(path: Path) -> bool:
    try:
        read_header(path)
    except CheckpointError:
        return False
    return True


def _is_log(path: Path) -> bool:
    text = path.read_bytes()
    return text.startswith(_LINE[: len(text)])  # shorter where the machine went down in its first line


_OURS: Final[dict[str, Callable[[Path], bool]]] = {
    "md": lambda path: is_card(path.read_bytes()),
    "samples.svg": lambda path: NAMESPACE.encode() in path.read_bytes(),
    "samples.txt": lambda path: is_samples(path.read_bytes()),
    "log.jsonl": _is_log,
}


def forget_after(log: Path, step: int) -> None:
    """Takes lines of later steps out of a log, and those that are cut: a training that goes on writes them again.

    They were written, and then the training was killed before its state was.
    """
    try:
        lines = log.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return
    kept = [line for line in lines if _is_until(line, step)]
    if kept != lines:
        with replacing(log) as stream:
            stream.writelines(kept)


def _is_until(line: bytes, step: int) -> bool:
    try:
        return line.endswith(b"\n") and bool(json.loads(line)["step"] <= step)
    except (ValueError, LookupError, TypeError):
        return False


@contextmanager
def alone(output: Path) -> Iterator[None]:
    """One training of an output at a time: until the end a file beside it has this process's number.

    What a killed process left is taken over.

    Raises:
        OutputError: another training writes there, or may do so.
    """
    lock = output.resolve().with_name(f".{output.stem}.training.lock")
    own = f"{os.getpid()} {platform.node()}"
    while True:
        try:
            with lock.open("x", encoding="utf-8") as stream:
                stream.write(own)
            break
        except FileExistsError:
            if _is_in_use(lock, own):
                raise OutputError(_taken(output, lock)) from None
            lock.unlink(missing_ok=True)
        except OSError as err:
            raise OutputError(f"{lock}: cannot be written ({err.strerror}); see that the disk has room") from err
    _held.add(lock)
    try:
        yield
    finally:
        _held.discard(lock)
        lock.unlink(missing_ok=True)


def _is_in_use(lock: Path, own: str) -> bool:
    """Whether the process lives that made a lock; True where nobody can tell."""
    holder = _holder(lock)
    if holder == own:
        return lock in _held  # else it is older than this process, whose number came again
    process, _, node = holder.partition(" ")
    here = node == platform.node() and process.isdecimal() and int(process) > 0
    return lock.exists() and (not here or _runs(int(process)))  # it may be gone by now


def _holder(lock: Path) -> str:
    """Number and machine of the process that made a lock, as it wrote them."""
    try:
        return lock.read_text(encoding="utf-8", errors="replace")[:80]
    except OSError:
        return ""


def _taken(output: Path, lock: Path) -> str:
    holder = _holder(lock).replace(" ", " on ", 1)
    return (
        f"{output}: another training of it runs (process {holder or 'unknown'}); wait for it, give another name with -o, "
        f"or, where it has ended, delete {lock}"
    )


def _runs(process: int) -> bool:
    """Whether there is such a process on this machine; True where the system has no harmless way to ask."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # another user's
    return True
