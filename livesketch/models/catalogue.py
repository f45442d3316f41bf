"""Models by name: the bundled checkpoints, and files."""

import difflib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeVar

from ..errors import CheckpointError, ModelNotFoundError
from .checkpoint import load_checkpoint, load_text, other_kind, read_header
from .fetch import fetch
from .fetched import credited
from .magenta import import_magenta
from .model import Checkpoint, CheckpointInfo
from .official import is_fetchable, wanted
from .text_model import TextCheckpoint, TextInfo

BUNDLED: Final = Path(__file__).resolve().parent.parent / "bundled"
"""The folder of the checkpoints that ship."""

SHOWN: Final = 12
"""Most names that a message lists; of more it gives half as many."""

_SUFFIXES: Final = (".safetensors", ".json")


@dataclass(frozen=True, slots=True)
class Entry:
    """A bundled model that can be asked for by name."""

    name: str
    path: Path
    """The checkpoint file; several names may share one."""
    label: str | None
    """The class to ask the file for; None where it draws one thing."""
    licence: str
    attribution: str
    kind: str = "sketch"
    """``sketch``, which draws (``sketch()``), or ``text``, which writes (``text()``)."""


def catalogue() -> dict[str, Entry]:
    """The bundled models by name, in alphabetical order, read from the headers of their files only.

    A class-conditional file gives one name per label; where two files have the same name, the first by file name wins.

    Raises:
        CheckpointError: a bundled file is damaged.
    """
    found: dict[str, Entry] = {}
    for path in sorted(BUNDLED.glob("*.safetensors")):
        info = _header(path, *_stamp(path))
        for label in info.labels or (None,):
            name = label or info.name
            kind = "text" if isinstance(info, TextInfo) else "sketch"
            found.setdefault(plain_name(name), Entry(name, path, label, info.licence, info.attribution, kind))
    return {entry.name: entry for _, entry in sorted(found.items())}


def open_model(name_or_path: str | os.PathLike[str]) -> tuple[Checkpoint, str | None]:
    """A model, and the label to ask it for (None where it has none).

    Args:
        name_or_path: a bundled name; or a ``.safetensors``, ``.gen.json`` or ``.vae.json`` file, with ``#label`` after
            it for one class of a class-conditional model. Capitals are ignored in names and labels, and spaces,
            underscores and hyphens count alike. A bare name is looked up among the bundled ones first; a ``Path``, and
            what looks like one, is always a file. A file that has not changed is read once. ``magenta:owl`` and
            ``magenta:owl.vae`` are Google's models, fetched when they are first asked for (see ``fetch``).

    Raises:
        ModelNotFoundError: neither; the message has the nearest names. Also a label that the model does not have.
        CheckpointError: the file is damaged or of another kind.
        DownloadError, OutputError: a model of Google's that is not in the cache cannot be fetched, or kept.
    """
    checkpoint, label, named = _found(name_or_path)
    return checkpoint, label if named else _label(checkpoint, label, os.fsdecode(name_or_path))


def open_text(name_or_path: str | os.PathLike[str]) -> tuple[TextCheckpoint, str | None]:
    """A text model, and the label to ask it for (None where it has none), by such names as ``open_model`` takes.

    Raises:
        ModelNotFoundError: as ``open_model``.
        CheckpointError: as ``open_model``; UnsupportedModelError where it is a model that draws.
    """
    text = _text_of(name_or_path)
    if isinstance(name_or_path, str) and is_fetchable(text):
        raise other_kind(text, "sketch")
    path, label, named = _place(name_or_path, "text")
    if path.suffix.lower() == ".json" and path.is_file():
        raise other_kind(text, "sketch")
    checkpoint = _open(path, _writer)
    return checkpoint, label if named else _label(checkpoint, label, text)


def open_whole(name_or_path: str | os.PathLike[str]) -> Checkpoint:
    """A model with all its labels, by the names that ``open_model`` takes; a label in them does not count.

    Raises:
        As ``open_model``, but for labels.
    """
    return _found(name_or_path)[0]


def open_any(name_or_path: str | os.PathLike[str]) -> Checkpoint | TextCheckpoint:
    """A model that draws or one that writes, with all its labels; a label in the name does not count.

    Raises:
        As ``open_whole``.
    """
    text = _text_of(name_or_path)
    if isinstance(name_or_path, str) and is_fetchable(text):
        return _fetched(text)
    path, _, _ = _place(name_or_path, None)
    if path.suffix.lower() == ".safetensors" and isinstance(_open(path, _header), TextInfo):
        return _open(path, _writer)
    return _open(path, _checkpoint)


def _found(name_or_path: str | os.PathLike[str]) -> tuple[Checkpoint, str | None, bool]:
    """A model, the label asked for, and whether that is the model's own spelling, found by a name."""
    text = _text_of(name_or_path)
    if isinstance(name_or_path, str) and is_fetchable(text):
        return _fetched(text), None, True
    path, label, named = _place(name_or_path, "sketch")
    return _open(path, _checkpoint), label, named


def _text_of(name_or_path: str | os.PathLike[str]) -> str:
    if not isinstance(name_or_path, str | os.PathLike):
        raise ModelNotFoundError(
            f"a model cannot be a {type(name_or_path).__name__}; expected a name such as 'cat', or the path of a file"
        )
    return os.fsdecode(name_or_path)


def _place(name_or_path: str | os.PathLike[str], kind: str | None) -> tuple[Path, str | None, bool]:
    """The file of a model, the label asked for, and whether that is the model's own spelling, found by a name.

    ``kind`` is what is wanted, ``sketch`` or ``text``; None: either.
    """
    text = _text_of(name_or_path)
    if isinstance(name_or_path, str) and not _looks_like_path(text):
        entries = {plain_name(name): entry for name, entry in catalogue().items()}
        entry = entries.get(plain_name(text))
        if entry is not None and kind not in {None, entry.kind}:
            raise other_kind(entry.name, entry.kind)
        if entry is not None:
            return entry.path, entry.label, True
    path, label = _split(text)
    if not text.strip() or not _exists(path):
        raise _not_found(text)
    return path, label, False


def plain_name(name: str) -> str:
    """A name as it is compared."""
    return re.sub(r"[\s_-]+", " ", name.casefold()).strip()


def _looks_like_path(text: str) -> bool:
    file = text.partition("#")[0]
    return "/" in text or os.sep in text or file.lower().endswith(_SUFFIXES)


def _exists(path: Path) -> bool:
    """Whether there is something of that name; a name that no file can have is not there."""
    try:
        return path.exists()
    except OSError:
        return False


def _split(text: str) -> tuple[Path, str | None]:
    """Path and label of ``path#label``; a file whose name has a # in it is found first."""
    whole = _path(text)
    before, mark, label = text.rpartition("#")
    if _exists(whole) or not mark:
        return whole, None
    return _path(before), label


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)  # ~somebody who is not known here


def _stamp(path: Path) -> tuple[int, int, int]:
    """What changes when a file is written again."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


@lru_cache(maxsize=64)
def _header(path: Path, *_stamped: int) -> CheckpointInfo | TextInfo:
    return read_header(path)


@lru_cache(maxsize=8)
def _checkpoint(path: Path, *_stamped: int) -> Checkpoint:
    return import_magenta(path) if path.suffix.lower() == ".json" else load_checkpoint(path)


@lru_cache(maxsize=8)
def _writer(path: Path, *_stamped: int) -> TextCheckpoint:
    return load_text(path)


_Model = TypeVar("_Model")


def _open(path: Path, load: Callable[..., _Model]) -> _Model:
    """What ``load`` makes of a file, which it keeps as long as the file does not change."""
    if path.suffix.lower() not in _SUFFIXES:
        raise CheckpointError(f"{path}: not a model file; expected .safetensors, .gen.json or .vae.json")
    try:
        return load(path.resolve(), *_stamp(path))
    except OSError as err:
        raise CheckpointError(f"{path}: cannot be read: {err.strerror}; see that it is there and may be read") from err


def _fetched(name: str) -> Checkpoint:
    """A model of Google's."""
    if wanted(name).source != "magenta":
        raise ModelNotFoundError(
            f"{name}: drawings to train on, not a model; `livesketch fetch` gives their path, magenta:owl is a model"
        )
    path = fetch(name)
    return _credited(path.resolve(), *_stamp(path))


@lru_cache(maxsize=8)
def _credited(path: Path, *stamped: int) -> Checkpoint:
    return credited(_checkpoint(path, *stamped), path)


def _label(checkpoint: Checkpoint | TextCheckpoint, asked: str | None, text: str) -> str | None:
    """The label as the model spells it."""
    labels = {plain_name(label): label for label in checkpoint.labels}
    does = "writes" if isinstance(checkpoint, TextCheckpoint) else "draws"
    if not asked:
        if len(labels) > 1:
            example = f"{text.rstrip('#')}#{checkpoint.labels[0]}"
            raise ModelNotFoundError(f"{text} {does} {_some(checkpoint)}: say which, as in {example}")
        return next(iter(labels.values()), None)
    found = spelled(asked, checkpoint.labels)
    if found is not None:
        return found
    has = f"its labels are {_some(checkpoint)}" if labels else f"it {does} one thing and has no labels"
    raise ModelNotFoundError(f"{text}: no label {asked!r}; {has}{nearest(asked, checkpoint.labels)}")


def _some(checkpoint: Checkpoint | TextCheckpoint) -> str:
    more = len(checkpoint.labels) > SHOWN
    return listed(checkpoint.labels) + (" (`livesketch models FILE` lists them)" if more else "")


def listed(names: Sequence[str]) -> str:
    """Names for a message: all of them, or, where there are many, the first ones and how many there are."""
    if len(names) <= SHOWN:
        return ", ".join(names)
    return f"{', '.join(names[: SHOWN // 2])}, ... {len(names)} in all"


def spelled(asked: str, names: Iterable[str]) -> str | None:
    """The one of the names that was meant, capitals and kinds of space between words forgiven; None where none is."""
    names = tuple(names)
    return asked if asked in names else {plain_name(name): name for name in names}.get(plain_name(asked))


def nearest(asked: str, names: Iterable[str]) -> str:
    """The end of a message about a name that does not exist: those most like it; empty where none is."""
    plain = {plain_name(name): name for name in names}
    near = [plain[name] for name in difflib.get_close_matches(plain_name(asked), plain, n=3, cutoff=0.5)]
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def _not_found(text: str) -> ModelNotFoundError:
    names = list(catalogue())
    if _looks_like_path(text):
        here = _path(text.partition("#")[0])
        beside = [path.name for path in _siblings(here) if path.suffix.lower() in _SUFFIXES]
        near = nearest(here.name, beside)
        return ModelNotFoundError(f"no model file {text!r}{near}; `livesketch models` lists the bundled names")
    return ModelNotFoundError(
        f"no model {text[:80]!r}: neither a bundled name nor a file{nearest(text[:80], names)}; "
        "`livesketch models` lists the names"
    )


def _siblings(path: Path) -> list[Path]:
    try:
        return sorted(path.parent.iterdir())
    except (OSError, ValueError):
        return []
