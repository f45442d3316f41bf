"""How far a drawing job has come, as one line that rewrites itself on a terminal."""

import sys
import time
from typing import TextIO

from ..events import Cue, Event
from .base import Stage
from .unblocked import Writer

_PERIOD = 0.1  # seconds between two lines
_PATIENCE = 0.05  # seconds that close() waits for a stalled terminal


class Progress:
    """Counts finished drawings on a terminal; says nothing where ``file`` is none.

    It never waits for the terminal: lines that a stalled one does not take are dropped, and counted in ``dropped``.
    """

    paces = False
    may_drop = True

    def __init__(self, total: int, file: TextIO | None = None) -> None:
        self._total, self._file = total, file or sys.stderr
        self._done = 0
        self._shown = 0.0
        self._talks = self._file.isatty()
        self._writer = Writer()
        self.dropped = 0
        self.errors, self.last_error = 0, ""

    def __repr__(self) -> str:
        return f"<Progress {self._done} of {self._total}>"

    def open(self, name: str, voices: int, stage: Stage) -> None:
        """Nothing to prepare."""

    def send(self, event: Event) -> None:
        """Counts the ends of drawings."""
        if isinstance(event, Cue) and event.kind == "drawing/end":
            self.count(self._done + 1)

    def count(self, done: int) -> None:
        """So many drawings are finished."""
        self._done = done
        if time.monotonic() - self._shown > _PERIOD:
            self._show()

    def tick(self, now: float) -> None:
        """Nothing: an offline clock is no measure for a terminal."""

    def lift(self) -> None:
        """Nothing to lift."""

    def close(self) -> None:
        """Removes the line; waits at most 50 ms for a stalled terminal."""
        if self._shown:
            self._write("\r\x1b[K", _PATIENCE)
            self._shown = 0.0
        self._writer.forget()

    def _show(self) -> None:
        if self._talks:
            self._shown = time.monotonic()
            self._write(f"\r{self._done} of {self._total} drawings")

    def _write(self, text: str, seconds: float = 0.0) -> None:
        try:
            self._writer.push(self._file, seconds)
            if not self._writer.put(self._file, text):
                self.dropped += 1
        except (OSError, ValueError) as err:  # a closed or full terminal is no reason to stop drawing
            self.errors, self.last_error, self._talks = self.errors + 1, str(err), False
