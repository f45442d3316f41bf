"""MIDI clock out: pulses of the players' beat, from a thread that does nothing else."""

import threading
from typing import Final

from ..outputs.base import Stage
from ..outputs.midi import MidiOutput
from .clock import LiveClock
from .tempo import Tempo

SLICE: Final = 0.02
"""Longest wait between two ticks, seconds."""
_STAGE: Final = Stage("clock", 0, 1.0)


class PulseSender:
    """Ticks a MIDI output whose clock follows the tempo, at each pulse; a change of tempo wakes it.

    When a pulse is due is reckoned from its number each time, so nothing adds up.
    """

    def __init__(self, output: MidiOutput, tempo: Tempo) -> None:
        """``output``: one of ``clock=True`` that no player has."""
        self.output, self._tempo = output, tempo
        self._clock = LiveClock()
        self._woken, self._done = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="livesketch-clock-out", daemon=True)

    def __repr__(self) -> str:
        return f"MIDI clock to {self.output!r}"

    def start(self) -> None:
        """Opens the port and begins to send. OutputError: it cannot be opened."""
        self.output.follow_tempo(self._tempo)
        self.output.open("clock", 1, _STAGE)
        self._tempo.watch(self._woken)
        self._thread.start()

    def close(self) -> None:
        """Stop is sent, and the port closed. Twice is harmless."""
        self._done.set()
        self._woken.set()
        self._tempo.unwatch(self._woken)
        if self._thread is not threading.current_thread():
            self._thread.join(5)
        self.output.close()

    def _run(self) -> None:
        while not self._done.is_set():
            self._woken.clear()
            now = self._clock.now()
            self.output.tick(now)
            due, limit = self.output.next_tick, now + SLICE
            self._clock.wait_until(limit if due is None else min(due, limit), self._woken)
