"""Texts to train on, from any mixture of files: classes, splits, and a report of what was left out.

Which split a document belongs to follows from its own text, so that it stays there whatever is added or taken away: the
first 8 hexadecimal digits of its SHA-256 (UTF-8), modulo 100; 0 to 2 is ``test``, 3 to 5 ``valid``, the rest ``train``.

Few whole files are *running text*: each is cut, at line ends, into a block to train on, one to validate with and one to
test with, in this order.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..errors import ControlError, DataError
from .found import Skipped
from .sketch_npz import SPLITS
from .sources import label_of, plain_label
from .text_files import WAYS, documents_of, read_text, text_files, way_of

__all__ = ["Corpus", "Skipped", "Texts", "load_corpus", "part_of"]

HELD_OUT: Final = 3
"""Of 100 documents those that are tested with, and those that are validated with; of a running text such a share."""

RUNNING_BELOW: Final = 100
"""Fewer whole files than this are running text, as too few of them would be held out."""


@dataclass(frozen=True, slots=True)
class Texts:
    """The documents of one split, all classes one after the other."""

    documents: tuple[str, ...]
    """None empty; of running text a block of each file."""
    label: NDArray[np.int64]
    """(documents,): the class of each, an index into ``Corpus.labels``."""
    ended: NDArray[np.bool_]
    """(documents,): whether the document ends with its text; a block of running text goes on elsewhere."""

    def __len__(self) -> int:
        return len(self.documents)

    @property
    def characters(self) -> int:
        """Of all documents together."""
        return sum(map(len, self.documents))


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents of one or several classes in three splits."""

    labels: tuple[str, ...]
    """Names of the classes, in the order in which they were first met."""
    way: str
    """What a document is: ``line``, ``blank`` or ``file``."""
    running: bool
    """Whether the documents are blocks of running text, in which a piece may begin at any line."""
    train: Texts
    valid: Texts
    test: Texts
    skipped: tuple[Skipped, ...]
    """Everything that was left out; nothing else was."""

    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with any document, its class, split or place."""
        seen = hashlib.sha256()
        for name in SPLITS:
            part: Texts = getattr(self, name)
            for document, label in zip(part.documents, part.label.tolist(), strict=True):
                seen.update(f"{name} {label} {len(document)} {document}\n".encode())
        return seen.hexdigest()[:16]


def part_of(document: str) -> str:
    """The split that a document belongs to by its own text: ``train``, ``valid`` or ``test``."""
    number = int(hashlib.sha256(document.encode()).hexdigest()[:8], 16) % 100
    return "test" if number < HELD_OUT else "valid" if number < 2 * HELD_OUT else "train"


def load_corpus(paths: Sequence[Path], *, way: str = "auto", whole: bool = False, gaps: bool = False) -> Corpus:
    """Reads documents from text files and folders of ``.txt`` files.

    A source names a class: its file or folder name, underscores as spaces. Sources of one name are one class. The same
    document comes once in a class; those that come again are counted in ``skipped``.

    Args:
        paths: files and folders, at least one.
        way: what a document is, one of ``WAYS``; ``auto`` takes whole files where any source looks like one text.
        whole: no splits: all documents are in ``test``, for measuring.
        gaps: whether a split, or a class in ``train``, may be without documents: for measuring too.

    Raises:
        DataError: a source cannot be read or is no text; it holds no document, or the same symbol all through; no
            document falls into one of the splits.
        ControlError: an unknown ``way``.
    """
    if isinstance(paths, str | Path) or not paths:
        raise DataError(f"the corpus is {paths!r:.60}; give a list of at least one text file or folder of them")
    if way not in WAYS:
        raise ControlError(f"--documents {way!r}: expected {', '.join(WAYS)}")
    read = [(path, *text_files(path)) for path in map(Path, paths)]
    texts = [[read_text(file) for file in files] for _, files, _ in read]
    skipped = [Skipped(str(path), "other files: passed over", passed) for path, _, passed in read if passed]
    chosen = way if way != "auto" else _seen([path for path, _, _ in read], texts)
    classes: dict[str, dict[str, None]] = {}  # a dict keeps the order and drops what comes again
    spelled: dict[str, str] = {}
    for (path, files, _), own in zip(read, texts, strict=True):
        label = spelled.setdefault(plain_label(label_of(path)), label_of(path))
        found = [part for file, text in zip(files, own, strict=True) for part in documents_of(file, text, chosen)]
        taken = classes.setdefault(label, {})
        before = len(taken)
        taken |= dict.fromkeys(found)
        if len(found) > len(taken) - before:
            count = len(found) - (len(taken) - before)
            skipped.append(Skipped(str(path), "the same document again: left out", count))
    _check_any(classes, paths)
    running = not whole and chosen == "file" and sum(map(len, classes.values())) < RUNNING_BELOW
    splits = _everything(classes) if whole else _blocks(classes) if running else _by_hash(classes)
    corpus = Corpus(tuple(classes), chosen, running, **splits, skipped=tuple(skipped))
    if not whole and not gaps:
        _check_splits(corpus)
    return corpus


def _seen(paths: Sequence[Path], texts: Sequence[list[str]]) -> str:
    """What a document is, in all sources, by the look of them."""
    ways = {way_of(path, own) for path, own in zip(paths, texts, strict=True)}
    return "file" if "file" in ways else "line"


def _check_any(classes: dict[str, dict[str, None]], paths: Sequence[Path]) -> None:
    """DataError: a class without documents, or a corpus of one symbol, of which nothing can be learnt."""
    for label, taken in classes.items():
        if not taken:
            raise DataError(f"{label!r}: no text in {', '.join(map(str, paths))[:200]}; give a file with documents")
    symbols: set[str] = set()
    for taken in classes.values():
        for document in taken:
            symbols |= set(document)
            if len(symbols) > 1:
                return
    raise DataError(
        f"the corpus has one distinct symbol, {symbols.pop()!r}, so there is nothing to learn; give text of several"
    )


def _texts(parts: Sequence[tuple[str, int, bool]]) -> Texts:
    documents = tuple(document for document, _, _ in parts)
    label = np.array([label for _, label, _ in parts], np.int64)
    return Texts(documents, label, np.array([ended for _, _, ended in parts], np.bool_))


def _numbered(classes: dict[str, dict[str, None]]) -> Iterator[tuple[str, int]]:
    for label, taken in enumerate(classes.values()):
        yield from ((document, label) for document in taken)


def _everything(classes: dict[str, dict[str, None]]) -> dict[str, Texts]:
    parts = [(document, label, True) for document, label in _numbered(classes)]
    return {"train": _texts([]), "valid": _texts([]), "test": _texts(parts)}


def _by_hash(classes: dict[str, dict[str, None]]) -> dict[str, Texts]:
    parts: dict[str, list[tuple[str, int, bool]]] = {name: [] for name in SPLITS}
    for document, label in _numbered(classes):
        parts[part_of(document)].append((document, label, True))
    return {name: _texts(part) for name, part in parts.items()}


def _blocks(classes: dict[str, dict[str, None]]) -> dict[str, Texts]:
    """Each document as three blocks one after the other, cut behind a line where there is one near."""
    parts: dict[str, list[tuple[str, int, bool]]] = {name: [] for name in SPLITS}
    for document, label in _numbered(classes):
        edges = [0, *(_line_end(document, len(document) * (100 - k * HELD_OUT) // 100) for k in (2, 1)), len(document)]
        for name, first, last in zip(SPLITS, edges[:-1], edges[1:], strict=True):
            block = document[first:last]
            if block.strip():
                parts[name].append((block, label, name == "test"))
    return {name: _texts(part) for name, part in parts.items()}


def _line_end(document: str, at: int) -> int:
    """The place behind the line end that is nearest before ``at``; ``at`` itself where that is far."""
    found = document.rfind("\n", 0, at) + 1
    return found if found and at - found <= len(document) * HELD_OUT // 200 else at


def _check_splits(corpus: Corpus) -> None:
    """DataError: nothing to train a class on, or nothing at all to validate or test with."""
    count = sum(len(getattr(corpus, name)) for name in SPLITS)
    for name in ("valid", "test"):
        if not len(getattr(corpus, name)):
            what = "texts too short to be cut in blocks" if corpus.running else f"{count} documents, of which"
            raise DataError(
                f"{what}: none {'is left' if corpus.running else 'falls'} to {name} ({HELD_OUT} of 100 do); "
                "expected a hundred documents or more; give more, or --documents file, which cuts each text in blocks"
            )
    for number, label in enumerate(corpus.labels):
        if not (corpus.train.label == number).any():
            raise DataError(f"class {label!r} has no document to train on; give more documents of it")
