"""What has been said on the channels: the notes that sound, and the controls that move."""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final, TypeAlias

from .midi_messages import Fader, moved, note_off, note_on, silence

Owner: TypeAlias = tuple[str, int]
"""A voice: the performance's name, and its number."""

SHORTEST: Final = 0.03
"""Seconds that a note sounds at least: a dot's stroke ends in the step in which it begins, which nobody would hear."""
_ROUNDING: Final = 1e-9  # seconds


@dataclass(slots=True)
class Note:
    """A note that sounds."""

    owner: Owner | None
    """Whose it is; None where its stroke is over and only its shortest time is not."""
    began: float
    serial: int
    release: float | None = None


class Channels:
    """A ledger of sounding notes and a rate cap for controls; makes the messages, each with its moment.

    ``emit(at, message)`` gets them in the order of time. Notes go at once and are never left out. Each control
    goes at most ``rate`` times a second: of the values in between the last one goes when it may, and ``thinned`` counts
    the others. Values that the receiver has already are not sent again. A fader of two controllers counts as one.

    Moments are seconds on one clock that may begin anew.
    """

    def __init__(self, emit: Callable[[float, bytes], None], rate: float) -> None:
        self._emit = emit
        self.rate = rate
        self.ledger: dict[tuple[int, int], Note] = {}
        """By channel and note number."""
        self.used: set[int] = set()
        """Channels on which anything was said."""
        self.freed: dict[int, int] = {}
        """By channel, when its last note ended, in the order of such ends."""
        self.thinned = 0
        self._of: dict[Owner, tuple[int, int]] = {}
        self._sent: dict[Fader, int] = {}
        self._when: dict[Fader, float] = {}
        self._wanted: dict[Fader, tuple[float, int]] = {}
        self._serial = 0

    def note_on(self, owner: Owner, channel: int, note: int, velocity: int, at: float) -> None:
        """Begins a note; the owner's last one, and the same note on that channel, are ended before."""
        self._end(self._of.get(owner), at)
        self._end((channel, note), at)
        self._serial += 1
        self.ledger[channel, note] = Note(owner, at, self._serial)
        self._of[owner] = (channel, note)
        self.used.add(channel)
        self._emit(at, note_on(channel, note, velocity))

    def note_off(self, owner: Owner, at: float) -> None:
        """Ends the owner's note, if it still has one, not before ``SHORTEST``."""
        key = self._of.pop(owner, None)
        if key is None:
            return
        note = self.ledger[key]
        release = note.began + SHORTEST
        if note.began <= at < release:
            note.owner, note.release = None, release
        else:  # also where the clock went back
            self._end(key, at)

    def channel_of(self, owner: Owner) -> int | None:
        """The channel of the owner's note; None where it has none, or it was stolen."""
        key = self._of.get(owner)
        return None if key is None else key[0]

    def free(self, members: Collection[int], at: float) -> int:
        """The channel of ``members`` that has been silent for longest; else the oldest note on them is ended."""
        busy = {channel for channel, _ in self.ledger}
        silent = [channel for channel in members if channel not in busy]
        if silent:
            return min(silent, key=lambda channel: (self.freed.get(channel, 0), channel))
        oldest = min(
            (key for key in self.ledger if key[0] in members),
            key=lambda key: (self.ledger[key].release is None, self.ledger[key].serial),
        )
        self._end(oldest, at)
        return oldest[0]

    def want(self, fader: Fader, value: int, at: float) -> None:
        """Moves a control as soon as its rate allows."""
        if fader in self._wanted:
            self.thinned += 1
        if value == self._sent.get(fader):
            self._wanted.pop(fader, None)
        else:
            self._wanted[fader] = (at, value)

    def say(self, fader: Fader, value: int, at: float) -> None:
        """Moves a control now, such as before a note that begins with it."""
        self._wanted.pop(fader, None)
        before = self._sent.get(fader)
        if value != before:
            self._move(fader, value, at)

    def shout(self, channel: int, message: bytes, at: float) -> None:
        """Sends a message as it is, equal to the last one or not."""
        self.used.add(channel)
        self._emit(at, message)

    def advance(self, now: float) -> None:
        """Sends what is due up to ``now``, in the order of time."""
        due: list[tuple[float, int, tuple[int, int] | Fader]] = []
        for key, note in self.ledger.items():
            if note.release is not None and not note.began <= now < note.release - _ROUNDING:
                due.append((min(note.release, now), 0, key))
        for fader, (at, _) in self._wanted.items():
            moment = self._moment(fader, at)
            if not moment > now + _ROUNDING:
                due.append((min(moment, now), 1, fader))
        due.sort(key=lambda item: item[:2])
        for moment, _, what in due:
            if isinstance(what, Fader):
                self._move(what, self._wanted.pop(what)[1], moment)
            else:
                self._end(what, moment)

    def finish(self, at: float) -> float:
        """All notes to their end and all controls where they were to be, also after ``at``; the moment of the last.

        For files, whose time does not pass by itself; a receiver that listens gets ``silence``.
        """
        ends = [note.release for note in self.ledger.values() if note.release is not None]
        ends += [self._moment(fader, wanted) for fader, (wanted, _) in self._wanted.items()]
        last = max([at, *ends])
        self.advance(last)
        self.silence(last)
        return last

    def silence(self, at: float) -> None:
        """Ends every note now, and sends the controls that wait."""
        for key in list(self.ledger):
            self._end(key, at)
        for fader, (_, value) in list(self._wanted.items()):
            self.say(fader, value, at)

    def panic(self, at: float) -> None:
        """Note-offs, sustain off, all sound off, all notes off, bend centre, on the channels in use."""
        messages = silence(self.ledger, self.used)
        self.ledger.clear()
        self._of.clear()
        self._wanted.clear()
        for fader in [*self._sent]:
            if fader.kind == "bend":
                self._sent[fader] = 0
        for message in messages:
            self._emit(at, message)

    def forget(self) -> None:
        """The receiver is another one, or has been off: all controls must be said again."""
        self._sent.clear()
        self._wanted.clear()
        self._when.clear()

    def _moment(self, fader: Fader, at: float) -> float:
        """When a control that was wanted at ``at`` may go."""
        last = self._when.get(fader, -math.inf)
        period = 1.0 / self.rate
        return at if last > at + period + _ROUNDING else max(at, last + period)  # later than that: another clock's

    def _move(self, fader: Fader, value: int, at: float) -> None:
        before = self._sent.get(fader)
        self._sent[fader], self._when[fader] = value, at
        self.used.add(fader.channel)
        for message in moved(fader, value, before):
            self._emit(at, message)

    def _end(self, key: tuple[int, int] | None, at: float) -> None:
        note = self.ledger.pop(key, None) if key is not None else None
        if key is None or note is None:
            return
        if note.owner is not None:
            self._of.pop(note.owner, None)
        self._serial += 1
        self.freed[key[0]] = self._serial
        self._emit(at, note_off(*key))
