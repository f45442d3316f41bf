"""A recording played again: what was played under a name, as a stream, part after part."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from ..errors import ControlError, DataError
from ..events import Change, Cue, Event, Token
from ..outputs.base import Stage
from ..values import real, whole
from . import pace as paces
from .pace import Step
from .recording import Part, check_found, lines

_MOST: Final = 10_000_000
"""Events of a trace that is played again; at 60 a second nearly two days."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """As it was played: each step as long after the one before, ``times`` as fast."""

    times: float = 1.0
    part: paces.Part = field(default="step", repr=False)
    looks: bool = field(default=True, repr=False)
    waits: bool = field(default=True, repr=False)
    """Before the first step too: what began later in the recording does so again."""

    def __post_init__(self) -> None:
        if not 0 < real("times", self.times, "times as fast, above 0") < math.inf:
            raise ControlError(f"times {self.times!r}: expected times as fast, above 0")

    def seconds(self, step: Step) -> float:
        """What the recording says: a replayed event's ``at`` is that."""
        return (step.event.at if step.event is not None else 0.0) / self.times


@dataclass(slots=True)
class _Played:
    """A part, and what was played in it."""

    part: Part
    steps: list[list[Event]] = field(default_factory=list)
    begins: float = 0.0
    """When its first step was due, seconds of the recording; so is ``ends`` of its last."""
    ends: float = 0.0


class Replay:
    """What was played under one name of a trace, step by step; its ``at`` is the seconds since the step before.

    Where the name was swapped or played again, what came then follows: the outputs are told of it as they were.
    """

    def __init__(self, path: Path, steps: list[tuple[Part, list[Event]]]) -> None:
        """``steps``: each with the part it is of; at least one."""
        first = steps[0][0]
        self.path = path
        self.name = first.name
        self.seed = first.stage.seed
        self.temperature = first.stage.temperature
        self.convention = first.stage.convention
        self.stage_units = first.stage.units
        self.stage: Stage = first.stage
        """What outputs are told of it at first."""
        self.pace = Recorded()
        """What a player takes where it is asked for no other."""
        self._steps = steps
        self._next = 0
        self._told = self._turned = first

    def __len__(self) -> int:
        return self._steps[0][0].voices

    def __repr__(self) -> str:
        parts = len(self.parts)
        more = f" of {parts} parts" if parts > 1 else ""
        return f"<Replay of {self.name!r} in {os.fspath(self.path)!r}{more}: step {self._next} of {len(self._steps)}>"

    @property
    def parts(self) -> tuple[int, ...]:
        """The numbers, from 1, of the parts of the file that it plays."""
        return tuple(dict.fromkeys(part.number for part, _ in self._steps))

    @property
    def writes(self) -> bool:
        """Whether a text was recorded, and no drawing."""
        return all(isinstance(event, Token | Cue) for _, step in self._steps for event in step)

    def events(self) -> Sequence[Event]:
        """One step's events; StopIteration behind the last. A cue stands alone: there one player ended."""
        if self._next >= len(self._steps):
            raise StopIteration
        self._next += 1
        self._turned, events = self._steps[self._next - 1]
        return events

    def turned(self) -> tuple[Stage, int] | None:
        """Where another part began with the last step: what outputs are told of it, and its voices; else None."""
        if self._turned is self._told:
            return None
        self._told = self._turned
        return self._told.stage, self._told.voices

    def restart(self) -> "Replay":
        """From the beginning."""
        self._next = 0
        return self


def replay(path: str | os.PathLike[str], name: str | None = None, part: int | None = None) -> Replay:
    """A trace as a stream: ``ls.play(ls.replay("cat.jsonl"), to=...)`` plays it as it was played, on any outputs.

    All that was played under a name comes, swaps included, at the moments of the recording.

    Args:
        path: what ``livesketch.trace`` wrote.
        name: of several names in it, this one; for all of them there is ``replays``.
        part: this part alone, from 1, as ``livesketch replay --check`` numbers them.

    Raises:
        DataError: it is no trace; nothing of that name, or no such part, is in it; nothing was played; or it has
            several names and none was chosen.
        ControlError: a part that is no number.
    """
    where = Path(path)
    found = _replays(where, name, None if part is None else whole("part", part, 1, 2**31))
    if len(found) > 1:
        raise DataError(
            f"{where}: {', '.join(map(repr, list(found)[:8]))} play in it; expected one name: give name=..., or play "
            "all of ls.replays(path), each in a player of its own"
        )
    return next(iter(found.values()))


def replays(path: str | os.PathLike[str]) -> dict[str, Replay]:
    """A trace as streams by name, for one player each: ``ls.replays("a.jsonl")["left"]``.

    What began later in the recording begins with a wait, so that all that start together are together as they were.

    Raises:
        DataError: it is no trace, or nothing was played in it.
    """
    return _replays(Path(path), None, None)


def _replays(path: Path, name: str | None, number: int | None) -> dict[str, Replay]:
    found = _played(path, name, number)
    together: dict[str, list[_Played]] = {}
    for one in found:
        if one.steps:
            together.setdefault(one.part.name, []).append(one)
    if not together:
        which = f" in part {number}" if number else f" by {name!r}" if name else ""
        raise DataError(f"{path}: nothing was played{which}; expected events")
    begins = min(plays[0].begins for plays in together.values())
    return {name: Replay(path, _timed(plays, begins)) for name, plays in together.items()}


def _played(path: Path, name: str | None, number: int | None) -> list[_Played]:
    """Every part that was chosen, with the steps of what was sent in it."""
    names: list[str] = []
    chosen: dict[int, _Played] = {}
    count = 0
    for part, said in lines(path):
        if said is None:
            names.append(part.name)
            if (name is None or name == part.name) and (number is None or number == part.number):
                chosen[part.number] = _Played(part)
        elif part.number in chosen and not isinstance(said, Change):
            _add(chosen[part.number], said)
            count += 1
            if count > _MOST:
                raise DataError(f"{path}: more than {_MOST} events; expected fewer, cut it")
    check_found(path, names, name, number)
    return list(chosen.values())


def _add(played: _Played, event: Event) -> None:
    """One more event, of the last step or another."""
    steps = played.steps
    if isinstance(event, Cue):
        if steps:
            steps.append([event])
        return
    if not steps:
        played.begins = event.at
    if not steps or steps[-1][-1].at != event.at or any(_apart(event, other) for other in steps[-1]):
        steps.append([])
    steps[-1].append(event)
    played.ends = event.at


def _apart(one: Event, other: Event) -> bool:
    """Whether two events are of the same voice, so that the later is another step, if it is not fed; or a farewell."""
    return isinstance(other, Cue) or (one.voice == other.voice and getattr(other, "source", "model") != "human")


def _timed(plays: Sequence[_Played], begins: float) -> list[tuple[Part, list[Event]]]:
    """The steps of a name's parts, one after the other, with their waits; ``begins``: when the recording does.

    Where the clock of a part stands before the end of the one before, it is another clock (``OfflineClock`` begins at
    0): then the part follows at once.
    """
    timed: list[tuple[Part, list[Event]]] = []
    last = begins
    for place, one in enumerate(plays):
        steps = one.steps
        while place == len(plays) - 1 and isinstance(steps[-1][0], Cue):  # a player ends like that by itself
            steps = steps[:-1]
        if place and one.begins < plays[place - 1].ends:
            last = one.begins
        following = plays[place + 1].begins if place + 1 < len(plays) else math.inf
        for events in steps:
            at = events[0].at
            if isinstance(events[0], Cue) and following >= one.ends:
                at = min(at, following)  # a farewell that came late holds up nothing
            wait = max(0.0, at - last)
            timed.append((one.part, [replace(event, at=wait) for event in events]))
            last = max(at, last)
    return timed
