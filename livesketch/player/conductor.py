"""The beat that all players share, as a performer sets it: ``livesketch.clock``."""

from .clock import LiveClock
from .tempo import Tempo


class Conductor:
    """``ls.clock.bpm = 96``: the tempo of all players, at once; ``ls.clock.beat`` is where it is now."""

    __slots__ = ("_now", "tempo")

    def __init__(self) -> None:
        self._now = LiveClock().now
        self.tempo = Tempo(at=self._now())
        """What players go by."""

    def __repr__(self) -> str:
        return f"<clock {self.bpm:g} bpm, beat {self.beat:.2f}, {self.bar} beats a bar>"

    @property
    def bpm(self) -> float:
        """Beats a minute, 20 to 999; a change acts at once and no beat is lost or doubled.

        Raises ControlError and keeps the old value.
        """
        return self.tempo.bpm

    @bpm.setter
    def bpm(self, value: float) -> None:
        self.tempo.set(value, self._now())

    @property
    def bar(self) -> int:
        """Beats of a bar, 1 to 64."""
        return self.tempo.bar

    @bar.setter
    def bar(self, beats: int) -> None:
        self.tempo.bar = beats

    @property
    def beat(self) -> float:
        """The beat now, a number that grows."""
        return self.tempo.beat(self._now())

    def beat_at(self, at: float) -> float:
        """The beat at a moment of the players' clock, seconds, as events have in ``at``."""
        return self.tempo.beat(at)


clock = Conductor()
"""``livesketch.clock``."""
