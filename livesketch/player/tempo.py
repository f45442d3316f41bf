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


class Tempo:
    """A straight line from seconds to beats. A change of tempo bends it where it stands, so no beat is lost or doubled.

    All its methods may be called from any thread. Seconds are those of the players' clock.
    """

    __slots__ = ("_beat", "_lock", "_moment", "_per_bar", "_seconds", "changes")

    def __init__(self, bpm: float = 120.0, *, at: float = 0.0) -> None:
        """``at``: the moment of beat 0, seconds."""
        self._lock = threading.Lock()
        self._moment, self._beat, self._seconds = at, 0.0, 60.0 / checked_bpm(bpm)
        self._per_bar = BAR
        self.changes = 0
        """How often it changed: whoever keeps a moment of a beat looks here."""

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
            self._beat, self._moment = self._beat_at(now), now
            self._seconds = seconds
            self.changes += 1

    def align(self, beat: float, at: float, bpm: float | None = None) -> None:
        """Puts a beat at a moment, as another clock has it; with its tempo."""
        seconds = self._seconds if bpm is None else 60.0 / checked_bpm(bpm)
        with self._lock:
            self._beat, self._moment, self._seconds = beat, at, seconds
            self.changes += 1

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
