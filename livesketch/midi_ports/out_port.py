"""A MIDI port to send to. JACK's servers may die without a word, which is noticed here."""

import os
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, Protocol

from ..errors import OutputError
from .system import CLIENT, ECHO, client, find, names_of, not_found, rtmidi_module

_UNHEARD: Final = 1200
"""Messages to JACK that were not heard back. Its buffer has 16,384 bytes, 4 and the message's own for each
(RtMidi.cpp, ``MidiOutJack::sendMessage``), and where it is full RtMidi waits for ever, holding the interpreter."""
_PATIENCE: Final = 0.25  # seconds; JACK takes what is sent within some milliseconds
_DEAF: Final = 1.0  # seconds without an echo after which the server is taken for dead
_abandoned: Final[list[Any]] = []  # clients of a dead JACK server: closing one stops the interpreter for a second


class Port(Protocol):
    """A connection to send MIDI over; the one seam between the outputs and the machine."""

    name: str
    """What it is connected to, or what others see."""

    def open(self) -> None:
        """Connects. OutputError: it cannot; it may be tried again."""

    def present(self) -> bool:
        """Whether what it is connected to is still there; cheap, asked about once a second."""

    def send(self, data: bytes) -> None:
        """One message. OSError: it did not go out."""

    def release(self) -> None:
        """Lets go of what is lost; ``open`` may find it again."""

    def close(self) -> None:
        """Done with it. Twice is harmless."""


class OutPort:
    """An output port over python-rtmidi: connected to a port of another program or device, or one of our own."""

    def __init__(self, port: str | None, *, virtual: bool, api: str | None) -> None:
        self._wanted = port or CLIENT
        self._virtual = virtual
        self._api = api
        self.name = self._wanted
        self._client: Any = None
        self._echo: _Echo | None = None
        self._connected = False
        self._process = os.getpid()

    def check(self) -> None:
        """OutputError or MissingExtraError where it could not be opened now; leaves nothing open."""
        asked = client("out", self._api)
        try:
            if not self._virtual:
                self._choose(names_of(asked))
        finally:
            asked.delete()

    def open(self) -> None:
        """Connects, with the client that there is, or a first one. OutputError: it cannot be had."""
        if self._process != os.getpid():  # forked: what is open is the parent's
            self._abandon()
            self._connected, self._process = False, os.getpid()
        if self._connected:
            return
        rtmidi = rtmidi_module()
        try:
            if self._client is None:
                self._client = client("out", self._api)
            is_jack = self._client.get_current_api() == rtmidi.API_UNIX_JACK
            listening = client("in", "jack", ECHO) if is_jack else None
            before = listening.get_ports() if listening is not None else []
            if self._virtual:
                self._client.open_virtual_port(self._wanted)
            else:
                self.name = self._choose(names_of(self._client))
                self._client.open_port(self._client.get_ports().index(self.name), CLIENT)
            if listening is not None:
                self._echo = _Echo(listening, before)
        except (rtmidi.RtMidiError, RuntimeError) as error:
            self.close()
            raise OutputError(f"MIDI port {self._wanted!r:.80} cannot be opened: {error}; see ls.ports()") from error
        self._connected = True

    def present(self) -> bool:
        """Whether the port is still listed, and, on JACK, whether the server still takes what is sent."""
        if not self._connected:
            return False
        if self._echo is not None and not self._echo.well():
            return False
        return self._virtual or self.name in names_of(self._client)

    def send(self, data: bytes) -> None:
        """One message. OSError: it did not go out."""
        if not self._connected:
            raise OutputError(f"MIDI port {self.name!r:.80} is not connected")
        if self._echo is not None:
            self._echo.expect(data)
        self._client.send_message(data)

    def release(self) -> None:
        """Lets go of the port; the client stays, since each new one costs the system a handle."""
        if self._echo is not None and not self._echo.drained():
            self._abandon()
        elif self._client is not None and self._connected:
            self._client.close_port()
        self._close_echo()
        self._connected = False

    def close(self) -> None:
        """Closes port and client; what was sent goes out first."""
        self.release()
        asked, self._client = self._client, None
        if asked is not None:
            asked.delete()

    def _choose(self, names: Sequence[str]) -> str:
        found = find(self.name, names) or find(self._wanted, names)
        if found is None:
            raise not_found(self._wanted, names, "ls.midi")
        return found

    def _abandon(self) -> None:
        if self._client is not None:
            _abandoned.append(self._client)
        if self._echo is not None:
            _abandoned.append(self._echo)
        self._client = self._echo = None

    def _close_echo(self) -> None:
        echo, self._echo = self._echo, None
        if echo is not None:
            echo.close()


class _Echo:
    """Hears what we send to JACK, and so knows how much of it the server has not taken.

    JACK tells nobody that its server died, the ports stay listed, and RtMidi then waits for ever for room in a buffer.
    A message may be lost where the server is late (an xrun); what comes after it shows that.
    """

    def __init__(self, listening: Any, before: Sequence[str]) -> None:
        """``listening`` is a client; ``before``, the ports there were before ours."""
        self._client = listening
        listening.ignore_types(sysex=False, timing=False, active_sense=False)
        new = [name for name in listening.get_ports() if name not in before]
        self._hears = bool(new)
        if new:
            listening.open_port(listening.get_ports().index(new[0]), "echo")
        self._unheard: deque[bytes] = deque()
        self._since = time.monotonic()

    def expect(self, data: bytes) -> None:
        """Before a message goes out. OutputError: so many were not taken that it might hang."""
        if not self._hears:
            return
        if not self._unheard:
            self._since = time.monotonic()
        self._unheard.append(data)
        if len(self._unheard) > _UNHEARD // 4 and not self._wait(_UNHEARD):
            raise OutputError("the JACK server takes no messages; is it still running?")

    def well(self) -> bool:
        """Whether the server takes what is sent."""
        self._hear()
        return not self._unheard or time.monotonic() - self._since < _DEAF or self._answers()

    def drained(self) -> bool:
        """Whether all that was sent is gone, after a moment's wait; if not, the server and its clients are dead."""
        return self._wait(0) or (len(self._unheard) <= _UNHEARD and self._answers())

    def close(self) -> None:
        """No more listening."""
        self._client.close_port()
        self._client.delete()

    def _wait(self, most: int) -> bool:
        """Until no more than ``most`` messages are unheard; False: that was not to be."""
        deadline = time.monotonic() + _PATIENCE
        self._hear()
        while len(self._unheard) > most:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.001)
            self._hear()
        return True

    def _hear(self) -> None:
        while self._unheard and (heard := self._client.get_message()) is not None:
            self._since = time.monotonic()
            data = bytes(heard[0])
            if data in self._unheard:  # mostly the first one; those before it were lost
                while self._unheard.popleft() != data:
                    pass

    def _answers(self) -> bool:
        """Whether the server lives, though the last messages were not heard: it takes a new client."""
        try:
            client("in", "jack", f"{CLIENT} test").delete()
        except OutputError:
            return False
        self._unheard.clear()
        return True
