"""MIDI clock in: the players' beat follows the pulses of another machine."""

import logging
import math
import threading
from typing import Final

from ..inputs.midi import MidiIn
from .clock import LiveClock
from .pulses import Pulses
from .tempo import FASTEST, LEAP, SLOWEST, Tempo, within

PER_BEAT: Final = 24
"""Pulses."""
_FIRST: Final = 6
"""Pulses before the tempo follows them."""
_SILENCE: Final = 0.3
_SILENT: Final = 6
"""Seconds without pulses, and at least so many pulses' time, after which they are missed."""
_WATCH: Final = 0.1
"""Seconds between two looks whether pulses still come."""
_NEAR: Final = 2e-4
"""Beats: the beat is where it should be."""
_STEADY: Final = 2e-4
"""Of the tempo: it is what it should be."""
_LOG: Final = logging.getLogger("livesketch")


class Follower:
    """Pulses, start, continue, stop and song position of MIDI clock, to a tempo.

    A pulse is the 24th part of a beat. Without a start or a song position only the tempo and the pulses are the
    sender's; with one the sender's place within the bar is, and the beat leaps forward there, never back. Stop ends
    nothing here: the beat goes on, with the pulses where they do.
    """

    def __init__(self, tempo: Tempo, nudge: float = 0.0) -> None:
        """``nudge``: seconds by which beats are later than the pulses came; below 0 earlier."""
        self._tempo, self._nudge = tempo, nudge
        self._lock = threading.Lock()
        self._pulses = Pulses()
        self._shift: float | None = None
        """What is added to a pulse's number, in beats."""
        self._song: float | None = None
        """The sender's beat at the next pulse; None: it has not said."""
        self._starts = False
        self._cue: tuple[int, float] | None = None
        """A pulse's number, and the sender's beat there."""
        self._runs: bool | None = None
        """Whether its song does; None: it has not said."""
        self._lost = self._back = self._refused = False

    @property
    def state(self) -> str:
        """In words."""
        if self._pulses.last is None:
            return "waits for pulses"
        return "no pulses" if self._lost else "stopped" if self._runs is False else "running"

    @property
    def bpm(self) -> float | None:
        """Beats a minute of the pulses; None: not known yet, or no tempo that there may be."""
        period = self._pulses.period
        if not period or self._pulses.number < _FIRST - 1:
            return None
        bpm = 60.0 / (PER_BEAT * period)
        return within(bpm) if SLOWEST * 0.999 <= bpm <= FASTEST * 1.001 else None

    def heard(self, kind: str, at: float, sixteenths: int = 0) -> None:
        """What came: pulse, start, continue, stop or position, as ``MidiIn`` says it; ``at``: when, seconds."""
        with self._lock:
            if kind == "pulse":
                self._pulse(at + self._nudge)
            elif kind == "position":
                self._song = sixteenths / 4
                self._starts = self._runs is True  # it jumps without a stop
            elif kind in {"start", "continue"}:
                self._song = 0.0 if kind == "start" else self._song
                self._starts, self._runs = self._song is not None, True
                self._pulses.restart()
            elif kind == "stop":
                self._runs = False

    def step(self, now: float) -> None:
        """Brings the tempo where the pulses are; called after each, and ten times a second at least."""
        with self._lock:
            if self._lost or self._pulses.last is None:
                return
            said = "MIDI clock: pulses again, %.4g bpm" if self._back else ""
            self._back = False
            if self._silent(now - self._pulses.last + self._nudge):
                self._lost = True
                said = "" if self._runs is False else "MIDI clock: no more pulses; the beat goes on at %.4g bpm"
                self._tempo.set(self.bpm or self._tempo.bpm, now)
            else:
                said = self._lead(now) or said
        if said:
            _LOG.warning(said, self.bpm or self._tempo.bpm)

    def _pulse(self, at: float) -> None:
        last = self._pulses.last
        if last is not None and not self._starts and self._silent(at - last):
            self._pulses.gap(at)
        else:
            self._pulses.pulse(at)
        self._back = self._back or (self._lost and self._runs is not False)
        self._lost = False
        if self._starts and self._song is not None:
            self._starts = False
            self._cue = self._pulses.number, self._song
        if self._song is not None and self._runs:
            self._song += 1 / PER_BEAT

    def _silent(self, passed: float) -> bool:
        return passed > max(_SILENCE, _SILENT * (self._pulses.period or 0.0))

    def _lead(self, now: float) -> str:
        """Under the lock; what is to be said."""
        bpm = self.bpm
        place = self._pulses.at(now)
        if bpm is None and self._pulses.number >= _FIRST - 1:
            said = (
                "" if self._refused else "MIDI clock: pulses of less than 20 or more than 999 bpm; it stays at %.4g bpm"
            )
            self._refused = True
            return said
        self._refused = False
        if bpm is None or place is None:
            if self._cue is None:
                return ""
            bpm = self._tempo.bpm
            place = self._pulses.number + (now - (self._pulses.last or now)) * bpm / 60 * PER_BEAT
        leaps = self._cue is not None
        shift = self._shifted(now, place)
        target = place / PER_BEAT + shift
        away = abs(target - self._tempo.beat(now)) > _NEAR
        if away or abs(bpm / self._tempo.bpm - 1) > _STEADY:
            self._tempo.lead(target, now, bpm, at_once=leaps)
        return ""

    def _shifted(self, now: float, place: float) -> float:
        """What is added to a pulse's number."""
        mine = self._tempo.beat(now) - place / PER_BEAT
        if self._cue is not None:
            (number, beat), self._cue = self._cue, None
            base, bar = beat - number / PER_BEAT, self._tempo.bar
            self._shift = base + bar * math.ceil((mine - base - LEAP) / bar)
        elif self._shift is None:
            self._shift = round(mine * PER_BEAT) / PER_BEAT
        return self._shift


class Following:
    """A follower on a MIDI input: pulses are taken where they come in, and the tempo is led by a thread of its own."""

    def __init__(self, source: MidiIn, follower: Follower, *, own: bool) -> None:
        """``own``: the input is closed with it."""
        self.source, self.follower = source, follower
        self._own = own
        self._now = LiveClock().now
        self._woken, self._done = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="livesketch-clock-in", daemon=True)

    def __repr__(self) -> str:
        return f"MIDI clock of {self.source.name!r:.60}, {self.follower.state}"

    def start(self) -> None:
        """Begins to follow."""
        self._thread.start()
        self.source.hear_clock(self._heard)

    def close(self) -> None:
        """Follows no more. Twice is harmless."""
        self.source.unhear_clock(self._heard)
        self._done.set()
        self._woken.set()
        if self._own:
            self.source.close()
        if self._thread is not threading.current_thread():
            self._thread.join(5)

    def _heard(self, kind: str, at: float, sixteenths: int) -> None:
        self.follower.heard(kind, at, sixteenths)
        self._woken.set()

    def _run(self) -> None:
        while not self._done.is_set():
            self._woken.wait(_WATCH)
            self._woken.clear()
            self.follower.step(self._now())
