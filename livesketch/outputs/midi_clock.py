"""MIDI clock: 24 pulses a beat, with start, continue, stop and song position."""

import math
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias

from ..errors import ControlError
from ..values import real
from .midi_messages import CLOCK, CONTINUE, START, STOP, song_position

Beats: TypeAlias = Callable[[float], float]
"""The beat at a moment, seconds on the player's clock."""

PULSES: Final = 24
_SIXTEENTH: Final = PULSES // 4
_ROUNDING: Final = 1e-6  # pulses


class BeatLine(Protocol):
    """Moments to beats, and back."""

    def beat(self, at: float) -> float:
        """The beat at a moment, seconds on the player's clock."""

    def time(self, beat: float) -> float:
        """The moment of a beat, as the tempo is now; infinity: not known."""


class ClockOut:
    """The pulses that are due. It starts on a sixteenth, where song position can point to.

    Pulses that are late are sent together, up to a beat of them; where more are, or the beat went back by more than a
    sixteenth, it stops and goes on from where the beat is.
    """

    def __init__(self, line: BeatLine | None) -> None:
        """``line`` None: it waits until one is given."""
        self.line = line
        self._last: int | None = None

    @property
    def next(self) -> float | None:
        """When the next pulse is due, as the tempo is now; None: it does not run, or that is not known."""
        if self.line is None or self._last is None:
            return None
        moment = self.line.time((self._last + 1) / PULSES)
        return moment if math.isfinite(moment) else None

    def due(self, now: float) -> list[bytes]:
        """What to send at ``now``. Whatever the beat's function raises is the caller's."""
        if self.line is None:
            return []
        beat = float(self.line.beat(now))
        if not math.isfinite(beat):
            raise ValueError(f"beat {beat} at {now} s")
        pulse = math.floor(beat * PULSES + _ROUNDING)
        out: list[bytes] = []
        if self._last is not None and not self._last - _SIXTEENTH <= pulse <= self._last + PULSES:
            out += self.stop()
        if self._last is None:
            place = max(0, -(-pulse // _SIXTEENTH))
            out += [START] if place == 0 else [song_position(place), CONTINUE]
            self._last = place * _SIXTEENTH - 1
        count = max(0, pulse - self._last)
        self._last += count
        return out + [CLOCK] * count

    def stop(self) -> list[bytes]:
        """Stop, where it runs; ``due`` goes on from where the beat is then."""
        if self._last is None:
            return []
        self._last = None
        return [STOP]


def make_clock(clock: Any) -> ClockOut | None:
    """From beats a minute (20 to 999), from a function that gives the beat at a moment, True, or None.

    True waits for the tempo of the players (``line``). None and False are no clock.

    Raises:
        ControlError: none of these.
    """
    if clock is None or clock is False:
        return None
    if clock is True:
        return ClockOut(None)
    if callable(clock):
        return ClockOut(_Asked(clock))
    wanted = "expected True (the players' beat), beats a minute, 20 to 999, a function of the moment, or None"
    bpm = real("clock", clock, wanted)
    if not 20 <= bpm <= 999:
        raise ControlError(f"clock {clock!r:.40}: {wanted}")
    return ClockOut(_Steady(bpm))


class _Steady:
    """Beats of one tempo, from the first moment that is asked about."""

    def __init__(self, bpm: float) -> None:
        self._bpm = bpm
        self._begun: float | None = None

    def beat(self, at: float) -> float:
        if self._begun is None:
            self._begun = at
        return (at - self._begun) * self._bpm / 60

    def time(self, beat: float) -> float:
        return math.inf if self._begun is None else self._begun + beat * 60 / self._bpm


class _Asked:
    """A function of a performer's; when a beat will be is guessed from the two moments that were asked about last."""

    def __init__(self, beats: Beats) -> None:
        self._beats = beats
        self._last: tuple[float, float] | None = None
        self._rate = 0.0

    def beat(self, at: float) -> float:
        last, self._last = self._last, None  # where it fails, nothing is guessed
        beat = float(self._beats(at))
        if last is not None and at > last[0]:
            self._rate = (beat - last[1]) / (at - last[0])
        self._last = at, beat
        return beat

    def time(self, beat: float) -> float:
        if self._last is None or not 0 < self._rate < math.inf:
            return math.inf
        return self._last[0] + max(0.0, beat - self._last[1]) / self._rate
