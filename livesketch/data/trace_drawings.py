"""Reads the drawings of a trace: JSON Lines of events that ``livesketch.trace`` wrote.

The first line is the header ``{"trace": 1, ...}``; where another play was recorded into the same file, so is a later
one. Lines ``{"event": "pen", ...}`` hold the fields of a pen action. Other events and other keys are passed over, so
that later versions may add some.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..errors import DataError
from ..rows import MAX_UNITS
from .found import EMPTY, Drawings, Found, stroke3
from .json_lines import json_lines

VERSION: Final = 1

_PENS: Final = {"down": 0.0, "up": 1.0, "end": None}


@dataclass(slots=True)
class _Voice:
    """One voice of one play, and the drawing it is at."""

    drawings: Drawings = field(default_factory=list)
    rows: list[list[float]] = field(default_factory=list)
    drawing: int = -1
    step: int = -1
    open: bool = False
    whole: bool = True


class _Reader:
    """Takes the lines of a trace one by one."""

    def __init__(self, found: Found) -> None:
        self.found = found
        self.voices: dict[tuple[int, str, int], _Voice] = {}
        self.play = 0

    def header(self, record: dict[str, Any]) -> None:
        """The next play begins: what was not finished before never is."""
        if record["trace"] != VERSION:
            raise ValueError(f"a trace of version {record['trace']!r:.20}, this livesketch reads version {VERSION}")
        self.finish()
        self.play += 1

    def pen(self, record: dict[str, Any]) -> None:
        """One pen action. ValueError: a field is missing or of another kind."""
        voice, drawing, step = (_number(record, key, int) for key in ("voice", "drawing", "step"))
        dx, dy = (_number(record, key, float) for key in ("dx", "dy"))
        pen, last, name = record.get("pen"), record.get("last"), record.get("name")
        if not isinstance(pen, str) or pen not in _PENS or not isinstance(last, bool) or not isinstance(name, str):
            raise ValueError('"pen", "last" or "name" is missing, or of another kind')
        state = self.voices.setdefault((self.play, name, int(voice)), _Voice())
        if step == 0 or drawing != state.drawing:
            self._drop(state)
            state.rows, state.open, state.whole = [], True, step == 0
        elif not state.open:  # after its last action: nothing that belongs to a drawing
            return
        state.whole &= step in {0, state.step + 1}
        state.drawing, state.step = int(drawing), int(step)
        lift = _PENS[pen]
        if lift is not None:
            state.rows.append([dx, dy, lift])
        if last:
            self._take(state)

    def finish(self) -> None:
        """The end of a play."""
        for state in self.voices.values():
            self._drop(state)

    def drawings(self) -> Drawings:
        """Play by play, voice by voice, in the order in which they were drawn."""
        ordered = sorted(self.voices)
        return [rows for key in ordered for rows in self.voices[key].drawings]

    def _take(self, state: _Voice) -> None:
        state.open = False
        if not state.whole:
            self.found.skip("drawings of which steps are missing: left out")
        elif not state.rows or not any(dx or dy or lift for dx, dy, lift in state.rows):
            self.found.skip(EMPTY)
        else:
            state.rows[-1][2] = 1.0
            state.drawings.append(stroke3(state.rows))

    def _drop(self, state: _Voice) -> None:
        if state.open:
            self.found.skip("drawings that were not finished: left out")
        state.open = False


def _number(record: dict[str, Any], key: str, kind: type) -> float:
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        raise ValueError(f'"{key}" is {value!r:.20}, expected a number')  # noqa: TRY004
    if not abs(value) <= MAX_UNITS:  # NaN fails too
        raise ValueError(f'"{key}" is {value!r:.20}, too large a number')
    return value


def read_trace(path: Path, label: str) -> Found:
    """The finished drawings of a trace, as stroke-3 in data units; END gives no row.

    A last line that was cut off (the machine lost power, the disk was full) is passed over and counted, as are lines
    that are no JSON; drawings they tear apart are left out.

    Raises:
        DataError: it is no trace, one of another version, or a line holds a pen action that is none.
    """
    found = Found(str(path), label)
    reader = _Reader(found)
    for number, record in json_lines(path):
        if isinstance(record, str):
            found.skip("lines of the trace that are cut or no JSON: passed over")
            continue
        try:
            if "trace" in record:
                reader.header(record)
            elif record.get("event") == "pen":
                reader.pen(record)
        except ValueError as err:  # StrokesError included
            raise DataError(f"{path}: line {number}: {err}") from err
    if not reader.play:
        raise DataError(f'{path}: no line {{"trace": {VERSION}, ...}}; expected a file that livesketch.trace wrote')
    reader.finish()
    found.drawings = reader.drawings()
    return found
