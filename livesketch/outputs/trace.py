"""A recording of what a player sends: JSON Lines, one event a line.

The first line is the header ``{"trace": 1, "name": ..., "voices": ..., "stage_units": ..., "model": ..., ...}``; each
further ``open`` writes one more. Then come ``{"event": "pen", ...}``, ``{"event": "token", ...}`` and
``{"event": "cue", ...}`` with all the fields of the event, ``pen`` as ``"down"``, ``"up"`` or ``"end"``; and
``{"event": "control", ...}``, a control that was changed, before the step that was made with it. ``at`` is when the
event was due, ``sent`` when it went out, both in seconds of the player's clock. The first action of a drawing has
``asked`` where its stream was asked for more than its name says: ``label``, a name or shares by name, and ``z``, a
list. Readers pass over keys and events that they do not know.
"""

import contextlib
import json
import os
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any, BinaryIO, Final

from ..errors import OutputError
from ..events import Change, Cue, Event, Pen, PenAction, Token
from ..files import permissions
from .base import Stage
from .places import drawable

VERSION: Final = 1

MAX_WAITING: Final = 1 << 16
"""Bytes of lines that are kept before they are written; about a second of a hundred voices."""

MAX_BYTES: Final = 1 << 32
"""Largest trace, 4 GiB: three days of one voice at 60 actions a second. What comes after is counted as lost."""

MAX_STEP: Final = 4096
"""Events that wait for a tick: of more nobody knows when they went out."""

_KINDS: Final = {PenAction: "pen", Token: "token", Cue: "cue", Change: "control"}
_FIELDS: Final = {kind: tuple(field.name for field in fields(kind)) for kind in _KINDS}


class TraceOutput:
    """Writes events to a file as they come; opened again, by the same output, it goes on behind what is there.

    Lines are written when a drawing ends, when ``MAX_WAITING`` bytes wait, at ``lift`` and at ``close``. A line that
    cannot be written (a full disk) is lost and counted in ``errors``, events that no JSON can hold likewise;
    ``last_error`` says why. The performance goes on.
    """

    paces = False
    may_drop = False
    records = True
    """Wants to know of controls that are changed too."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.errors = 0
        self.last_error = ""
        self._file: BinaryIO | None = None
        self._begun = False
        self._torn = False
        self._written = 0
        self._step: list[dict[str, Any]] = []
        """Records of the present step, until ``tick`` says when they went out."""
        self._waiting: list[bytes] = []
        self._size = 0

    def __repr__(self) -> str:
        trouble = f", {self.errors} errors, last: {self.last_error}" if self.errors else ""
        return f"<trace {os.fspath(self.path)!r}: {self._written} bytes{trouble}>"

    def open(self, name: str, voices: int, stage: Stage) -> None:
        """Begins the file, or goes on with it, with a header. OutputError: it cannot be opened."""
        if self._file is None:
            try:
                if not self._begun:
                    self._make_way()
                self._file = self.path.open("ab", buffering=0)
            except OSError as error:
                raise OutputError(f"{self.path}: cannot be written ({error.strerror or error})") from error
            self._begun = True
        header = {"trace": VERSION, "name": name, "voices": voices, "stage_units": stage.units, "model": stage.model}
        more = {"seed": stage.seed, "temperature": stage.temperature, "convention": stage.convention}
        self._add(header | more)
        self._flush()

    def _make_way(self) -> None:
        """The file begins anew, as another one.

        A script that is run again swaps: what plays until then still writes, through an output of its own, to the one
        that was there.
        """
        if self.path.is_file():
            with contextlib.suppress(OSError):  # where it cannot be removed it is emptied
                self.path.resolve().unlink()
        with self.path.open("wb"):
            pass

    def send(self, event: Event | Change) -> None:
        """One line; written out where a drawing ends."""
        kind = _KINDS.get(type(event))
        if kind is None:
            self._count(f"{type(event).__name__} is no event")
            return
        try:
            taken: Any = drawable(event) if isinstance(event, PenAction) else event
            record = {"event": kind} | {key: getattr(taken, key) for key in _FIELDS[type(event)]}
            if isinstance(event, PenAction):
                record["pen"] = Pen(event.pen).name.lower()
                asked = record.pop("asked")
                record |= {} if asked is None else {"asked": asked.values()}
            elif isinstance(event, Cue):
                record["x"], record["y"] = float(event.x), float(event.y)
        except (TypeError, ValueError, OverflowError) as error:
            self._count(f"{type(event).__name__} left out: {error}")
            return
        self._step.append(record)
        if len(self._step) >= MAX_STEP:
            self._settle()

    def tick(self, now: float) -> None:
        """The step is out: its lines are made, and written where a drawing ended; ``now`` in seconds."""
        for record in self._step:
            record["sent"] = now
        self._settle()

    def _settle(self) -> None:
        records, self._step = self._step, []
        for record in records:
            self._add(record)
        if any(record.get("kind") == "drawing/end" for record in records):
            self._flush()

    def lift(self) -> None:
        """Writes what waits."""
        self._flush()

    def close(self) -> None:
        """Writes what waits, and closes the file."""
        self._flush()
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as error:
                self._count(f"{self.path}: closing failed ({error.strerror or error})")

    def _add(self, record: dict[str, Any]) -> None:
        if self._file is None:
            self._count(f"{self.path}: an event while no player has it open; it is left out")
            return
        try:
            line = json.dumps(record, allow_nan=False, default=_plain, separators=(",", ":")).encode() + b"\n"
        except (TypeError, ValueError, OverflowError) as error:
            self._count(f"{record.get('event', 'header')} left out: {error}")
            return
        if self._written + self._size + len(line) > MAX_BYTES:
            self._count(f"{self.path}: the trace has {MAX_BYTES} bytes, as many as it may have; begin another")
            return
        self._waiting.append(line)
        self._size += len(line)
        if self._size > MAX_WAITING:
            self._flush()

    def _flush(self) -> None:
        if self._step:
            self._settle()
        lines, self._waiting, self._size = self._waiting, [], 0
        if self._file is None or not lines:
            return
        # A line that was cut when the disk was full is ended first, so that only that one is lost.
        data = memoryview(b"\n" * self._torn + b"".join(lines))
        try:
            while data:
                done = self._file.write(data)
                self._written += done
                self._torn = data[done - 1] != ord("\n") if done else self._torn
                data = data[done:]
        except OSError as error:
            self._count(f"{self.path}: cannot be written ({error.strerror or error})", bytes(data).count(b"\n"))

    def _count(self, reason: str, lost: int = 1) -> None:
        self.errors += lost
        self.last_error = reason


def trace(path: str | Path) -> TraceOutput:
    """An output that records what is played: ``ls.play(cat, to=[ls.terminal(), ls.trace("cat.jsonl")])``.

    The file begins anew when a player first opens it. It is for reading back, also as drawings to train on.

    Raises:
        OutputError: no file can be written there; that is found out now, before anything is drawn.
    """
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise OutputError(f"trace path {path!r:.60}: expected the name of a file; try 'cat.jsonl'")
    try:
        trouble = _trouble(Path(path))
    except (OSError, ValueError) as error:
        trouble = getattr(error, "strerror", None) or str(error)
    if trouble:
        hint = "give a file in a folder that exists and can be written"
        raise OutputError(f"{path}: no file can be written there ({trouble}); {hint}")
    return TraceOutput(path)


def _trouble(path: Path) -> str:
    """Why no file can be written there, as far as nothing has to be tried. OSError, ValueError: trying failed."""
    mode = permissions(path)
    if mode is None:
        return "it is a folder or a device, not a file"
    if mode:
        with path.open("r+b"):
            return ""
    with tempfile.TemporaryFile(dir=path.resolve().parent):
        return ""


def _plain(value: Any) -> Any:
    """A NumPy scalar as Python's own number."""
    item = getattr(value, "item", None)
    if item is None:
        raise TypeError(f"a {type(value).__name__} is nothing that JSON can hold")
    return item()
