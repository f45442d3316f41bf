"""Plain text files as documents: decoded, and cut where one document ends and the next begins."""

import re
from pathlib import Path
from typing import Final

from ..errors import DataError
from ..files import check_size

WAYS: Final = ("auto", "line", "blank", "file")
"""What a document is: a line, what stands between blank lines, or a whole file; ``auto`` looks (``way_of``)."""

MAX_BYTES: Final = 1 << 30
"""Most bytes of a file, 1 GiB: text is held in memory."""

MAX_DOCUMENT: Final = 1 << 20
"""Most characters of a document that is no whole file; a book has fewer."""

_BLANK_SHARE: Final = 0.02
"""With more blank lines than this share of all, a file is one text with paragraphs and not a list of documents."""

_BLANK: Final = re.compile(r"\n[^\S\n]*\n")
_HINT: Final = "give plain text in UTF-8"


def text_files(path: Path) -> tuple[list[Path], int]:
    """The files of a source, and how many others were passed over: the file itself, or all ``.txt`` below a folder.

    Raises:
        DataError: it is not there, cannot be looked at, or is a folder without ``.txt``.
    """
    try:
        if not path.is_dir():
            if not path.exists():
                raise DataError(f"{path}: there is no such file or folder; {_HINT}, or a folder of .txt files")
            return [path], 0
        below = [entry for entry in sorted(path.rglob("*")) if entry.is_file() and not _hidden(entry, path)]
    except (OSError, ValueError) as err:
        if isinstance(err, DataError):
            raise
        raise DataError(f"{str(path)!r:.200}: cannot be looked at ({err}); {_HINT}") from err
    files = [entry for entry in below if entry.suffix.lower() == ".txt"]
    if not files:
        raise DataError(f"{path}: a folder without .txt files; {_HINT}, or a folder of .txt files")
    return files, len(below) - len(files)


def _hidden(entry: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in entry.relative_to(folder).parts)


def read_text(path: Path) -> str:
    """The text of a file, its line ends as line feeds, without a byte order mark.

    Raises:
        DataError: it cannot be read, is too large, or is no UTF-8 text; the message says where.
    """
    try:
        check_size(path, MAX_BYTES)
        raw = path.read_bytes()
    except (OSError, ValueError) as err:
        raise DataError(f"{path}: cannot be read ({getattr(err, 'strerror', None) or err}); {_HINT}") from err
    nul = raw.find(b"\0")
    if nul >= 0:
        raise DataError(
            f"{path}: a NUL at byte {nul} (from 0): a binary file, or text in UTF-16; {_HINT}, for text as by "
            "`iconv -f utf-16 -t utf-8`"
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        at = err.start + (3 if raw.startswith(b"\xef\xbb\xbf") else 0)
        line, before = raw.count(b"\n", 0, at) + 1, raw.rfind(b"\n", 0, at) + 1
        raise DataError(
            f"{path}: line {line}, byte {at - before} of the line (byte {at} of the file, both from 0) is "
            f"0x{raw[at]:02x}, which is no UTF-8 here; {_HINT}, as by `iconv -f gb18030 -t utf-8` or "
            "`iconv -f latin1 -t utf-8`"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def way_of(path: Path, texts: list[str]) -> str:
    """What a document most likely is in a source: ``line`` or ``file``.

    A folder holds documents file by file. So does a file of one single line, or of which more than one line in fifty,
    between the others, is blank: a text with paragraphs or scenes. Any other file holds a document a line.
    """
    if path.is_dir():
        return "file"
    lines = texts[0].strip().split("\n")
    blank = sum(not line.strip() for line in lines)
    return "file" if len(lines) == 1 or blank > _BLANK_SHARE * len(lines) else "line"


def documents_of(path: Path, text: str, way: str) -> list[str]:
    """The documents of a file in their order, without white space around them; none of them empty.

    Args:
        path: the file, for messages.
        text: of ``read_text``.
        way: ``line``, ``blank`` or ``file``.

    Raises:
        DataError: a document that is too long to be one line or one part of a file.
    """
    parts: list[str] = [text] if way == "file" else text.split("\n") if way == "line" else _BLANK.split(text)
    found = [part.strip() for part in parts]
    for number, part in enumerate(found, 1):
        if way != "file" and len(part) > MAX_DOCUMENT:
            what = "line" if way == "line" else "part between blank lines, number"
            raise DataError(
                f"{path}: {what} {number} has {len(part):,} characters; expected documents of at most "
                f"{MAX_DOCUMENT:,}; give --documents file where the file is one text"
            )
    return [part for part in found if part]
