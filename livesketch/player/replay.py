"""A recording played again: the events of a trace as a stream, or made anew from its seed and its controls."""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from ..data.json_lines import json_lines
from ..errors import ControlError, DataError
from ..events import Asked, Event, Pen, PenAction, Token
from ..values import real, whole
from .pace import Part, Step

_PENS: Final = {pen.name.lower(): pen for pen in Pen}
_MOST: Final = 10_000_000
"""Events of a trace that is played again; at 60 a second nearly two days."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """As it was played: each step as long after the one before, ``times`` as fast."""

    times: float = 1.0
    part: Part = field(default="step", repr=False)
    looks: bool = field(default=True, repr=False)

    def __post_init__(self) -> None:
        if not 0 < real("times", self.times, "times as fast, above 0") < math.inf:
            raise ControlError(f"times {self.times!r}: expected times as fast, above 0")

    def seconds(self, step: Step) -> float:
        """What the recording says: a replayed event's ``at`` is that."""
        return (step.event.at if step.event is not None else 0.0) / self.times


class Replay:
    """What one player of a trace played, step by step; its ``at`` is the seconds since the step before."""

    def __init__(self, path: Path, header: dict[str, Any], steps: list[list[Event]]) -> None:
        self.path = path
        self.name: str = header["name"]
        self.seed: int = header["seed"]
        self.temperature: float | None = header["temperature"]
        self.convention: str | None = header["convention"]
        self.stage_units: float = header["stage_units"]
        self.pace = Recorded()
        """What a player takes where it is asked for no other."""
        self._voices: int = header["voices"]
        self._steps = steps
        self._next = 0

    def __len__(self) -> int:
        return self._voices

    def __repr__(self) -> str:
        return f"<Replay of {self.name!r} in {os.fspath(self.path)!r}: step {self._next} of {len(self._steps)}>"

    @property
    def writes(self) -> bool:
        """Whether a text was recorded, and no drawing."""
        return all(isinstance(event, Token) for step in self._steps for event in step)

    def events(self) -> Sequence[Event]:
        """One step's events; StopIteration behind the last."""
        if self._next >= len(self._steps):
            raise StopIteration
        self._next += 1
        return self._steps[self._next - 1]

    def restart(self) -> "Replay":
        """From the beginning."""
        self._next = 0
        return self


def replay(path: str | os.PathLike[str], name: str | None = None) -> Replay:
    """A trace as a stream: ``ls.play(ls.replay("cat.jsonl"), to=...)`` plays it as it was played, on any outputs.

    Args:
        path: what ``livesketch.trace`` wrote.
        name: of several that were recorded into it, this one; None: the first.

    Raises:
        DataError: it is no trace, or holds no play of that name, or nothing of it.
    """
    where = Path(path)
    plays = [play for play in _plays(where) if name is None or play[0]["name"] == name]
    if not plays:
        raise DataError(f"{where}: no play{f' of {name!r}' if name else ''} in it; expected a file of livesketch.trace")
    header, events = plays[0]
    steps: list[list[Event]] = []
    for event in events:
        if not steps or steps[-1][-1].at != event.at or any(_same(event, other) for other in steps[-1]):
            steps.append([])
        steps[-1].append(event)
    if not steps:
        raise DataError(f"{where}: nothing was played in it; expected events")
    waits = [0.0, *(max(0.0, after[0].at - before[0].at) for before, after in pairwise(steps))]
    timed = [[_at(event, wait) for event in step] for step, wait in zip(steps, waits, strict=True)]
    return Replay(where, header, timed)


def _same(one: Event, other: Event) -> bool:
    """Whether two events are of the same voice, so that the later is another step, if it is not fed."""
    return one.voice == other.voice and getattr(other, "source", "model") != "human"


def _at(event: Event, at: float) -> Event:
    values = {field.name: getattr(event, field.name) for field in fields(event)}
    made: Event = type(event)(**(values | {"at": at}))
    return made


def _plays(path: Path) -> Iterator[tuple[dict[str, Any], list[Event]]]:
    """Each play's header and its pen actions and tokens."""
    found: list[tuple[dict[str, Any], list[Event]]] = []
    count = 0
    for number, record in json_lines(path):
        if isinstance(record, str):
            continue  # a line that was torn when the disk was full
        try:
            if "trace" in record:
                found.append((_header(record), []))
            elif record.get("event") in {"pen", "token"} and found:
                found[-1][1].append(_event(record))
                count += 1
        except (KeyError, TypeError, ValueError, ControlError) as err:
            raise DataError(f"{path}: line {number}: {err}; expected what livesketch.trace wrote") from err
        if count > _MOST:
            raise DataError(f"{path}: more than {_MOST} events; expected fewer, cut it")
    if not found:
        raise DataError(f"{path}: no header of a trace in it; expected a file of livesketch.trace")
    # a player that stopped and another of its name go on in one file: each is a play of its own
    yield from found


def _header(record: dict[str, Any]) -> dict[str, Any]:
    if record["trace"] != 1:
        raise ValueError(f"a trace of version {record['trace']!r:.20}, this livesketch reads version 1")
    name = record["name"]
    if not isinstance(name, str) or not name:
        raise ValueError(f"name {name!r:.40}")
    units = real("stage_units", record["stage_units"], "a number above 0")
    if not 0 < units < math.inf:
        raise ValueError(f"stage_units {units}")
    return {
        "name": name, "seed": whole("seed", record["seed"], 0, 2**64 - 1), "stage_units": units,
        "voices": whole("voices", record["voices"], 1, 2**20), "model": str(record["model"]),
        "temperature": record.get("temperature"), "convention": record.get("convention"),
    }  # fmt: skip


def _event(record: dict[str, Any]) -> Event:
    """A pen action or token of its record."""
    kind = PenAction if record["event"] == "pen" else Token
    values: dict[str, Any] = {}
    for name in (one.name for one in fields(kind)):
        if name != "asked" and name in record:
            values[name] = _checked(name, record[name])
    if kind is PenAction and "asked" in record:
        values["asked"] = _asked(record["asked"])
    event: Event = kind(**values)
    return event


_WHOLE: Final = {"voice": 2**32 - 1, "drawing": 2**62, "step": 2**62, "piece": 2**62}
_FLAGS: Final = {"ink", "last", "ended", "given", "softened"}


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
    if name in {"name", "text", "source"}:
        if not isinstance(value, str):
            raise ValueError(f"{name} {value!r:.20}: expected a text")
        return value
    return real(name, value, "a number")


def _asked(record: dict[str, Any]) -> Asked:
    label = record.get("label", ())
    pairs = ((label, 1.0),) if isinstance(label, str) else tuple(dict(label).items())
    return Asked(pairs, tuple(float(value) for value in record.get("z", ())))
