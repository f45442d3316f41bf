"""What is in a trace, line by line: the parts that were played into it, their events, and the controls that changed."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from ..data.json_lines import json_lines
from ..errors import ControlError, DataError
from ..events import Asked, Change, Cue, Event, Pen, PenAction, Token
from ..outputs.base import Stage
from ..values import real, whole

FAREWELLS: Final = frozenset({"swap", "hush"})
"""Cues with which a player ends."""

_PENS: Final = {pen.name.lower(): pen for pen in Pen}
_KINDS: Final = {"pen": PenAction, "token": Token, "cue": Cue, "control": Change}
_WHOLE: Final = {"voice": 2**32 - 1, "drawing": 2**62, "step": 2**62, "piece": 2**62}
_FLAGS: Final = {"ink", "last", "ended", "given", "softened"}


@dataclass(frozen=True, slots=True)
class Part:
    """What one stream played into a recording without a break: from one header of its name to the next."""

    number: int
    """In the file, from 1."""
    name: str
    """The player's."""
    voices: int
    stage: Stage


Line = Event | Change | None
"""What a line says of a part; None: that it begins."""


def lines(path: Path) -> Iterator[tuple[Part, Line]]:
    """Each part as it begins, and what belongs to it. Of cues only those with which a player ends.

    Lines that were cut (the disk was full, the machine lost power) are passed over.

    Raises:
        DataError: it is no trace, or not one that this livesketch reads.
    """
    parts: dict[str, Part] = {}
    count = 0
    for number, record in json_lines(path):
        if isinstance(record, str):
            continue
        try:
            if "trace" in record:
                count += 1
                part = _part(record, count)
                parts[part.name] = part
                yield part, None
            elif record.get("event") in _KINDS:
                said = _line(record)
                if said is not None:
                    yield _of(said, parts), said
        except (KeyError, TypeError, ValueError, ControlError) as err:
            missing = f"no {err}" if isinstance(err, KeyError) else err
            raise DataError(f"{path}: line {number}: {missing}; expected what livesketch.trace wrote") from err
    if not count:
        raise DataError(f"{path}: no header of a trace in it; expected a file of livesketch.trace")


def check_found(path: Path, names: list[str], name: str | None, part: int | None) -> None:
    """Whether there is what was asked for; ``names``: those of the file's parts, in their order.

    Raises:
        DataError: there is no such part.
    """
    if part is not None and not 1 <= part <= len(names):
        raise DataError(f"{path}: part {part}: expected 1 to {len(names)}, as so many were played into it")
    if name is not None and name not in names:
        known = ", ".join(map(repr, list(dict.fromkeys(names))[:8]))
        raise DataError(f"{path}: nothing of {name!r:.60} in it; expected {known}")
    if part is not None and name is not None and names[part - 1] != name:
        raise DataError(f"{path}: part {part} is of {names[part - 1]!r}, not of {name!r}; give one of the two")


def _of(said: Event | Change, parts: dict[str, Part]) -> Part:
    """The part that is open under this name."""
    if said.name not in parts:
        raise ValueError(f"an event of {said.name!r:.40}, of which no header came before")
    return parts[said.name]


def _part(record: dict[str, Any], number: int) -> Part:
    if record["trace"] != 1:
        raise ValueError(f"a trace of version {record['trace']!r:.20}, this livesketch reads version 1")
    name, convention, heat = record["name"], record.get("convention"), record.get("temperature")
    if not isinstance(name, str) or not name:
        raise ValueError(f"name {name!r:.40}")
    units = real("stage_units", record["stage_units"], "a number above 0")
    if not 0 < units < math.inf:
        raise ValueError(f"stage_units {units}")
    stage = Stage(
        str(record["model"]), whole("seed", record["seed"], 0, 2**64 - 1), units,
        None if heat is None else _finite("temperature", heat), None if convention is None else str(convention),
    )  # fmt: skip
    return Part(number, name, whole("voices", record["voices"], 1, 2**20), stage)


def _line(record: dict[str, Any]) -> Event | Change | None:
    """What a record says; None: nothing that is needed."""
    kind = _KINDS[record["event"]]
    if kind is Cue and record.get("kind") not in FAREWELLS:
        return None
    values: dict[str, Any] = {}
    for name in (one.name for one in fields(kind)):
        if name != "asked" and name in record:
            values[name] = record[name] if name == "value" else _checked(name, record[name])
    if kind is PenAction and "asked" in record:
        values["asked"] = _asked(record["asked"])
    said: Event | Change = kind(**values)
    return said


def _checked(name: str, value: Any) -> Any:
    if name in _WHOLE:
        return whole(name, value, 0, _WHOLE[name])
    if name == "index":
        return whole(name, value, -1, 2**31)
    if name in _FLAGS:
        if not isinstance(value, bool):
            raise ValueError(f"{name} {value!r:.20}: expected true or false")
        return value
    if name == "pen":
        return _PENS[value]
    if name in {"name", "text", "source", "kind", "control"}:
        if not isinstance(value, str):
            raise ValueError(f"{name} {value!r:.20}: expected a text")
        return value
    return _finite(name, value)


def _finite(name: str, value: Any) -> float:
    number = real(name, value, "a number")
    if math.isinf(number):
        raise ValueError(f"{name} {value!r:.20}: expected a number")
    return number


def _asked(record: dict[str, Any]) -> Asked:
    label = record.get("label", ())
    pairs = ((label, 1.0),) if isinstance(label, str) else tuple(dict(label).items())
    return Asked(pairs, tuple(float(value) for value in record.get("z", ())))
