"""The way to a MIDI port that may go away: what is sent, what was lost, which notes may hang."""

import contextlib
from collections.abc import Callable, Iterable
from typing import Final

from ..midi_ports.out_port import Port
from .midi_messages import note_off
from .pacing import due

Key = tuple[int, int]
"""A channel and a note number."""

_WATCH: Final = 1.0  # seconds between two looks at the list of ports


class Cable:
    """Messages to a port. One that does not take them, or is not listed any more, is lost and looked for.

    ``sounding()`` gives the notes that sound, ``count(reason)`` is told of each loss.
    """

    def __init__(self, port: Port, sounding: Callable[[], Iterable[Key]], count: Callable[[str], None]) -> None:
        self.port = port
        self.connected = False
        self.now = 0.0
        """Seconds on the player's clock, as ``look`` was told last."""
        self.sent = self.dropped = self.lost = self.back = 0
        self._sounding, self._count = sounding, count
        self._looked: float | None = None
        self._hanging: set[Key] = set()

    def open(self) -> None:
        """Connects. OutputError: it cannot."""
        self.port.open()
        self.connected = True
        self._looked = None

    def emit(self, at: float, message: bytes) -> None:  # noqa: ARG002 - what is due is sent now
        """Sends a message, or counts it as dropped."""
        if self.connected:
            try:
                self.port.send(message)
            except Exception as error:  # noqa: BLE001 - python-rtmidi raises errors of several kinds
                self._lose(str(error))
            else:
                self.sent += 1
                return
        self.dropped += 1
        if message[0] & 0xF0 == 0x80:
            self._hanging.add(((message[0] & 15) + 1, message[1]))

    def look_again(self) -> bool:
        """Once a second looks whether the port is there; True: it was lost and is back."""
        if not due(self._looked, self.now, _WATCH):
            return False
        self._looked = self.now
        return self.look()

    def look(self) -> bool:
        """Looks now, and where it is lost tries to connect. Back, notes that may hang are ended first."""
        if self.connected:
            self._check()
            return False
        try:
            self.port.open()
        except OSError:
            return False  # not yet
        self.connected = True
        self.back += 1
        hanging, self._hanging = sorted(self._hanging), set()
        for note in hanging:
            self.emit(self.now, note_off(*note))
        return True

    def forget(self) -> None:
        """Nothing is connected, and nothing hangs that is ours to end."""
        self.connected = False
        self._hanging.clear()

    def _check(self) -> None:
        try:
            if self.port.present():
                return
            reason = "the port is gone"
        except Exception as error:  # noqa: BLE001 - likewise
            reason = str(error)
        self._lose(reason)

    def _lose(self, reason: str) -> None:
        self.connected = False
        self._looked = self.now
        self._hanging |= set(self._sounding())
        self.lost += 1
        self._count(f"port_lost: {self.port.name}: {reason}; it is looked for once a second")
        with contextlib.suppress(Exception):
            self.port.release()
