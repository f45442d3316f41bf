"""A MIDI port to hear from."""

import os
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ..errors import OutputError
from .system import CLIENT, client, find, names_of, not_found, rtmidi_module

_OWN = "Midi Through"  # ALSA's loop: nobody plays it
_JACK_PERIOD = 0.004  # seconds


class Source(Protocol):
    """Where messages come from; the one seam between the inputs and the machine."""

    name: str
    """What it is connected to, or what others see."""
    period: float | None
    """Seconds after which ``poll`` wants to be called; None where messages come by themselves."""

    def open(self, hear: Callable[[bytes], None]) -> None:
        """Connects; ``hear`` gets each message, from ``poll`` or in a thread of the system. OutputError: it cannot."""

    def poll(self) -> None:
        """Calls ``hear`` with what has come."""

    def present(self) -> bool:
        """Whether what it is connected to is still there; cheap."""

    def release(self) -> None:
        """Lets go of what is lost; ``open`` may find it again."""

    def close(self) -> None:
        """Done with it. Twice is harmless."""


class InPort:
    """An input port over python-rtmidi: connected to a device or program, or one of our own.

    On JACK messages are polled: RtMidi would call Python in JACK's real-time thread, where the whole audio graph waits
    for the interpreter, which may be waiting for JACK.
    """

    def __init__(self, port: str | None, *, virtual: bool | None, api: str | None) -> None:
        """``port`` None is the one device that there is, or else a port of our own; ``virtual`` True is that too."""
        self._wanted = port
        self._virtual = virtual
        self._api = api
        self._client: Any = None
        self._connected = False
        self._own = False
        self._process = os.getpid()
        self._hear: Callable[[bytes], None] | None = None
        self.period: float | None = None
        self.name = port or CLIENT

    def open(self, hear: Callable[[bytes], None]) -> None:
        """Connects. OutputError: it cannot be had."""
        if self._process != os.getpid():  # forked: what is open is the parent's
            self._client, self._connected, self._process = None, False, os.getpid()
        if self._connected:
            return
        rtmidi = rtmidi_module()
        try:
            if self._client is None:
                self._client = client("in", self._api)
                self._client.ignore_types(sysex=True, timing=False, active_sense=True)
            chosen = None if self._virtual else self._choose(names_of(self._client))
            self._own = chosen is None
            if chosen is None:
                self._client.open_virtual_port(self.name)
            else:
                self.name = chosen
                self._client.open_port(self._client.get_ports().index(chosen), CLIENT)
            if self._client.get_current_api() == rtmidi.API_UNIX_JACK:
                self._hear, self.period = hear, _JACK_PERIOD
            else:
                self._client.set_callback(lambda heard, _: hear(bytes(heard[0])))
        except OutputError:
            self.close()
            raise
        except (rtmidi.RtMidiError, RuntimeError) as error:
            self.close()
            raise OutputError(f"MIDI port {self.name!r:.80} cannot be opened: {error}; see ls.ports()") from error
        self._connected = True

    def poll(self) -> None:
        """Hands on what JACK has brought."""
        while self._connected and self._hear is not None and (heard := self._client.get_message()) is not None:
            self._hear(bytes(heard[0]))

    def present(self) -> bool:
        """Whether the port is still listed."""
        return self._connected and (self._own or self.name in names_of(self._client))

    def release(self) -> None:
        """Lets go of the port; the client stays, since each new one costs the system a handle."""
        if self._client is not None and self._connected:
            self._client.cancel_callback()
            self._client.close_port()
        self._connected = False

    def close(self) -> None:
        """Closes port and client."""
        self.release()
        asked, self._client = self._client, None
        if asked is not None:
            asked.delete()

    def _choose(self, names: Sequence[str]) -> str | None:
        """The port that is meant; None: one of our own."""
        if self._wanted is not None:
            found = find(self.name, names) or find(self._wanted, names)
            if found is None:
                raise not_found(self._wanted, names, "ls.midi_in")
            return found
        devices = [name for name in names if _OWN not in name and not name.startswith(CLIENT)]
        if len(devices) > 1:
            there = ", ".join(map(repr, devices[:12]))
            raise OutputError(
                f"several MIDI inputs: {there}; name one, or a part of its name: ls.midi_in({devices[0]!r})"
            )
        return devices[0] if devices else None
