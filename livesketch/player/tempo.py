"""Beats: a tempo that turns seconds of the clock into beats and back, and changes without a jump."""

import threading
from typing import Final

from ..errors import ControlError
from ..values import real

SLOWEST: Final = 20.0
FASTEST: Final = 999.0
"""Beats a minute, as Ableton Link has them (Ableton/link TEST-PLAN.md)."""
BAR: Final = 4
"""Beats of a bar unless told otherwise."""
LEAP: Final = 0.125
"""Beats: more than that, forward or back, is no correction but another place."""
NEAR: Final = 1e-4
"""Beats: less than that is no error; at 120 beats a minute 0.05 ms."""
REACH: Final = 0.5
"""Beats within which ``lead`` makes up for most of an error (all but a third)."""


class Tempo:
    """A straight line from seconds to beats. A change of tempo bends it where it stands, so no beat is lost or doubled.

    All its methods may be called from any thread. Seconds are those of the players' clock.
    """

    __slots__ = ("_beat", "_lock", "_moment", "_per_bar", "_seconds", "_watching", "changes", "leaps")

    def __init__(self, bpm: float = 120.0, *, at: float = 0.0) -> None:
        """``at``: the moment of beat 0, seconds."""
        self._lock = threading.Lock()
        self._moment, self._beat, self._seconds = at, 0.0, 60.0 / checked_bpm(bpm)
        self._per_bar = BAR
        self.changes = 0
        """How often it changed: whoever keeps a moment of a beat looks here."""
        self.leaps = 0
        """How often the beat went to another place: whoever counts beats begins anew on the grid."""
        self._watching: tuple[threading.Event, ...] = ()

    def __repr__(self) -> str:
        return f"<tempo {self.bpm:g} bpm, {self._per_bar} beats a bar>"

    @property
    def bpm(self) -> float:
        """Beats a minute, 20 to 999."""
        return 60.0 / self._seconds

    @property
    def bar(self) -> int:
        """Beats of a bar, 1 to 64."""
        return self._per_bar

    @bar.setter
    def bar(self, beats: int) -> None:
        if isinstance(beats, bool) or not isinstance(beats, int) or not 1 <= beats <= 64:
            raise ControlError(f"bar {beats!r:.40}: expected a whole number of beats from 1 to 64")
        self._per_bar = beats

    def set(self, bpm: float, now: float) -> None:
        """From ``now`` on so many beats a minute. Raises ControlError and keeps the old value."""
        seconds = 60.0 / checked_bpm(bpm)
        with self._lock:
            self._put(self._beat_at(now), now, seconds)

    def align(self, beat: float, at: float, bpm: float | None = None) -> None:
        """Puts a beat at a moment, as another clock has it; with its tempo."""
        seconds = self._seconds if bpm is None else 60.0 / checked_bpm(bpm)
        with self._lock:
            self._put(beat, at, seconds)

    def lead(self, beat: float, at: float, bpm: float, *, at_once: bool = False) -> None:
        """Goes over to another clock's line, which has this beat at this moment, now; no beat ever comes twice.

        Where that is near, it is a little faster or slower until it is there: at most twice as fast, or half. Where it
        is further ahead than ``REACH``, or asked for ``at_once``, it leaps forward. It never goes back, but waits at
        half the tempo.
        """
        with self._lock:
            mine = self._beat_at(at)
            error = beat - mine
            if error > REACH or (at_once and error > 0):
                self._put(beat, at, 60.0 / within(bpm))
                return
            speed = 1 + max(-0.5, min(1.0, error / REACH)) if abs(error) > NEAR else 1.0
            self._put(mine, at, 60.0 / (within(bpm) * speed))

    def watch(self, changed: threading.Event) -> None:
        """Sets this event with every change, until ``unwatch``."""
        with self._lock:
            self._watching = (*self._watching, changed)

    def unwatch(self, changed: threading.Event) -> None:
        """Twice is harmless."""
        with self._lock:
            self._watching = tuple(event for event in self._watching if event is not changed)

    def renew(self) -> None:
        """In a forked child: whoever held its lock, or watched it, is in the parent."""
        self._lock, self._watching = threading.Lock(), ()

    def line(self) -> tuple[float, float, float]:
        """A beat, its moment (seconds), and the beats a minute, that belong together."""
        with self._lock:
            return self._beat, self._moment, 60.0 / self._seconds

    def adopt(self, beat: float, at: float, bpm: float) -> None:
        """Takes over another tempo's ``line``."""
        with self._lock:
            self._put(beat, at, 60.0 / bpm)

    def beat(self, at: float) -> float:
        """The beat at a moment."""
        with self._lock:
            return self._beat_at(at)

    def time(self, beat: float) -> float:
        """The moment of a beat, as the tempo is now."""
        with self._lock:
            return self._moment + (beat - self._beat) * self._seconds

    def _beat_at(self, at: float) -> float:
        return self._beat + (at - self._moment) / self._seconds

    def _put(self, beat: float, at: float, seconds: float) -> None:
        """Under the lock."""
        self.leaps += abs(beat - self._beat_at(at)) > LEAP
        self._beat, self._moment, self._seconds = beat, at, seconds
        self.changes += 1
        for event in self._watching:
            event.set()


def within(bpm: float) -> float:
    """The nearest tempo that there may be."""
    return max(SLOWEST, min(FASTEST, bpm))


def checked_bpm(bpm: float) -> float:
    """Beats a minute.

    Raises:
        ControlError: not from 20 to 999.
    """
    wanted = f"beats a minute, {SLOWEST:g} to {FASTEST:g}"
    value = real("bpm", bpm, wanted)
    if not SLOWEST <= value <= FASTEST:
        raise ControlError(f"bpm {bpm!r}: expected {wanted}")
    return value
