"""MIDI clock: 24 pulses a beat, with start, continue, stop and song position."""

import math
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from ..errors import ControlError
from ..values import real
from .midi_messages import CLOCK, CONTINUE, START, STOP, song_position

Beats: TypeAlias = Callable[[float], float]
"""The beat at a moment, seconds on the player's clock."""

PULSES: Final = 24
_SIXTEENTH: Final = PULSES // 4
_ROUNDING: Final = 1e-6  # pulses


class ClockOut:
    """The pulses that are due. It starts on a sixteenth, where song position can point to.

    Pulses that are late are sent together, up to a beat of them; where more are, or the beat went back, it stops and
    goes on from where the beat is.
    """

    def __init__(self, beats: Beats) -> None:
        self._beats = beats
        self._last: int | None = None

    def due(self, now: float) -> list[bytes]:
        """What to send at ``now``. Whatever the beat's function raises is the caller's."""
        beat = float(self._beats(now))
        if not math.isfinite(beat):
            raise ValueError(f"beat {beat} at {now} s")
        pulse = math.floor(beat * PULSES + _ROUNDING)
        out: list[bytes] = []
        if self._last is not None and not self._last - 1 <= pulse <= self._last + PULSES:
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
    """From beats a minute (20 to 999), from a function that gives the beat at a moment, or None.

    Raises:
        ControlError: none of these.
    """
    if clock is None:
        return None
    if callable(clock):
        return ClockOut(clock)
    wanted = "expected beats a minute, 20 to 999, a function that gives the beat at a moment, or None"
    bpm = real("clock", clock, wanted)
    if not 20 <= bpm <= 999:
        raise ControlError(f"clock {clock!r:.40}: {wanted}")
    return ClockOut(_Steady(bpm))


class _Steady:
    """Beats of one tempo, from the first moment that is asked about."""

    def __init__(self, bpm: float) -> None:
        self._bpm = bpm
        self._begun: float | None = None

    def __call__(self, now: float) -> float:
        if self._begun is None:
            self._begun = now
        return (now - self._begun) * self._bpm / 60
