"""Pictures on a terminal: in place where the program has it for itself, above the prompt where someone types."""

import atexit
import os
import shutil
import sys
from collections.abc import Callable
from typing import Final, TextIO

from .unblocked import Writer

_HIDE, _SHOW, _CLEAR_LINE = "\x1b[?25l", "\x1b[?25h", "\x1b[K"
_SAVE, _RESTORE, _WHOLE_SCREEN = "\x1b7", "\x1b8", "\x1b[r"  # the cursor; the region that scrolls
_DOWN = "\x1bD"  # keeps the column, and scrolls at the bottom
_PATIENCE: Final = 0.05  # seconds that close() waits for a reader
_QUEUE: Final = 1 << 20  # bytes of plain lines that wait for a reader
_REFRESH: Final = 30  # pictures; one of so many is written whole, as Ctrl-L may have cleared the screen
_PROMPT: Final = 2  # rows that the prompt keeps at least: a terminal refuses to scroll fewer


class Screen:
    """A text stream that may be a terminal. Nothing here waits for its reader: what it does not take is dropped.

    ``dropped`` counts the texts that were; ``report`` is told once as it begins, and why a write failed, after which
    nothing is written until ``again``.
    """

    def __init__(self, file: TextIO | None, report: Callable[[str], None]) -> None:
        self._file, self._report = file, report
        self._writer = Writer()
        self.dropped = 0
        self._stalled = False
        self._gone = False
        self._at_prompt: bool | None = None
        self._registered = False
        self._shown: list[str] = []
        self._pictures = 0
        self._reserved = (0, 0, 0)  # rows of the picture; columns and rows of the terminal

    def again(self) -> None:
        """A stream that failed may be tried again."""
        self._gone = False

    @property
    def live(self) -> bool:
        """Whether it is a terminal that can move its cursor."""
        try:
            return self._stream().isatty() and os.environ.get("TERM") != "dumb"
        except (AttributeError, ValueError):  # none, or closed
            return False

    @property
    def encoding(self) -> str:
        """How its characters are written."""
        return getattr(self._stream(), "encoding", None) or "utf-8"

    @property
    def at_prompt(self) -> bool:
        """Whether somebody types Python on this terminal; settled by the first picture until ``close``."""
        return _has_prompt(self._stream()) if self._at_prompt is None else self._at_prompt

    def size(self) -> os.terminal_size:
        """Columns and rows of the terminal."""
        try:
            size = os.get_terminal_size(self._stream().fileno())
        except (AttributeError, OSError, ValueError):
            size = os.terminal_size((0, 0))
        return size if size.columns > 0 and size.lines > 0 else shutil.get_terminal_size()  # it may not know its size

    def room(self) -> tuple[int, int]:
        """The largest columns and rows of a picture; the last column and row stay free, where terminals wrap."""
        columns, lines = self.size()
        return max(columns - 1, 1), max(lines - 1 - (_PROMPT if self.at_prompt else 0), 1)

    def show(self, lines: list[str]) -> bool:
        """Puts the picture on the terminal, over the one before. False: it was dropped, and can be tried again."""
        if self._at_prompt is None:
            self._at_prompt = _has_prompt(self._stream())
        shown = self._above_prompt(lines) if self._at_prompt else self._in_place(lines)
        if shown and not self._registered:
            self._registered = True
            atexit.register(self.close)
        return shown

    def say(self, text: str) -> bool:
        """Writes plain lines; up to 1 MiB of them waits for a slow reader. False: they were dropped."""
        return self._write(text, queue=_QUEUE)

    def push(self) -> None:
        """Goes on with what the reader has not taken yet."""
        try:
            self._writer.push(self._stream())
        except (AttributeError, OSError, ValueError) as error:
            self._fail(error)

    def close(self) -> None:
        """Gives the terminal back: the cursor shown, every row scrolls, the prompt where it was. Waits 50 ms at most.

        Where the terminal does not take it in that time, it is tried once more when Python ends.
        """
        if self._registered:
            self._write(_SAVE + _WHOLE_SCREEN + _RESTORE if self._at_prompt else _SHOW, queue=_QUEUE)
        if self._drain() and self._registered:
            self._registered = False
            atexit.unregister(self.close)
        self._shown, self._reserved, self._pictures = [], (0, 0, 0), 0  # what comes later does not draw over this
        if not self._registered:
            self._at_prompt = None

    def _in_place(self, lines: list[str]) -> bool:
        """The cursor rests, hidden, in the row below the picture."""
        out = [] if self._registered else [_HIDE]
        before = [""] * len(lines)
        if len(self._shown) == len(lines) and self._reserved[1:] == self.size():
            out.append(f"\x1b[{len(lines)}A")
            before = self._shown
        out += ["\n" if line == old else f"\r{line}{_CLEAR_LINE}\n" for line, old in zip(lines, before, strict=True)]
        shown = self._write("".join(out))
        if shown:
            self._shown, self._reserved = lines, (0, *self.size())
        return shown

    def _above_prompt(self, lines: list[str]) -> bool:
        """The picture has the top rows; the rows below it scroll, and the cursor is put back into them."""
        columns, rows = self.size()
        lines = lines[: max(rows - _PROMPT, 1)]
        reserved = (len(lines), columns, rows)
        out = "" if reserved == self._reserved else _reserve(self._reserved[0], len(lines), rows)
        whole = bool(out) or self._pictures % _REFRESH == 0
        before: list[str] | list[None] = [None] * len(lines) if whole else self._shown
        changed = [
            f"\x1b[{row}H{line}{_CLEAR_LINE}"
            for row, (line, old) in enumerate(zip(lines, before, strict=True), 1)
            if line != old
        ]
        shown = self._write("".join([out, _SAVE, "\x1b[m", *changed, _RESTORE]))
        if shown:
            self._shown, self._reserved, self._pictures = lines, reserved, self._pictures + 1
        return shown

    def _write(self, text: str, queue: int = 0) -> bool:
        if self._gone:
            return False
        try:
            written = self._writer.put(self._stream(), text, queue=queue)
        except (AttributeError, OSError, ValueError) as error:  # AttributeError: there is no standard output
            self._fail(error)
            return False
        if not written:
            self._drop()
        self._stalled = not written
        return written

    def _drain(self) -> bool:
        """Whether all has been written; what has not is dropped. True, too, where nothing can be written any more."""
        if self._gone:
            return True
        try:
            self._writer.push(self._stream(), _PATIENCE)
        except (AttributeError, OSError, ValueError) as error:
            self._fail(error)
        if self._writer.forget():
            self._drop()
            return False
        return True

    def _drop(self) -> None:
        self.dropped += 1
        if not self._stalled:
            self._stalled = True
            self._report("not written: nobody reads, or too slowly; what is shown is dropped until somebody does")

    def _fail(self, error: Exception) -> None:
        self._gone = True
        self._writer.forget()
        self._report(f"not written: {error}")

    def _stream(self) -> TextIO:
        return self._file if self._file is not None else sys.stdout


def _reserve(had: int, wanted: int, rows: int) -> str:
    """Moves what is on the screen down, with the cursor, until ``wanted`` rows are free above it; no text is lost.

    Which row the cursor is in need not be known: going down ``more`` rows scrolls the screen by as much as is missing
    below it, and coming back up finds the same text.
    """
    more = max(0, wanted - had)
    out = _SAVE + _WHOLE_SCREEN + _RESTORE if had else ""
    if more:
        out += f"{_DOWN * more}\x1b[{more}A{_SAVE}\x1b[H\x1b[{more}L{_RESTORE}\x1b[{more}B"
    return f"{out}{_SAVE}\x1b[{wanted + 1};{rows}r{_RESTORE}"


def _has_prompt(stream: TextIO) -> bool:
    """Whether Python reads its commands from the terminal that ``stream`` writes to."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    if not (hasattr(sys, "ps1") or sys.flags.interactive or (shell is not None and shell() is not None)):
        return False
    try:
        return os.fstat(stream.fileno()).st_rdev == os.fstat(sys.__stdin__.fileno()).st_rdev  # type: ignore[union-attr]
    except (AttributeError, OSError, ValueError):
        return True
