"""MIDI in: knobs, keys and wheels that set things."""

import atexit
import contextlib
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Final, Self, TypeAlias

from ..errors import ControlError
from ..midi_ports.in_port import InPort, Source
from .midi_controls import read_control, read_message
from .midi_mapping import Mapping, Mappings, Setter, make_mapping

ClockHandler: TypeAlias = Callable[[str, float, int], object]

_LOG: Final = logging.getLogger("livesketch")
_LOG.addHandler(logging.NullHandler())  # nothing is printed into a prompt unless the performer asks for it
_WATCH: Final = 1.0  # seconds between two looks at the list of ports
_CLOCK: Final = {0xF8: "pulse", 0xFA: "start", 0xFB: "continue", 0xFC: "stop", 0xF2: "position"}
_inputs: Final["weakref.WeakSet[MidiIn]"] = weakref.WeakSet()
_latest: "weakref.ref[MidiIn] | None" = None


class MidiIn:
    """Hears a MIDI port and sets what its controls are mapped to; ``ls.midi_in`` opens one.

    Setters run in a thread of the input's own or the MIDI system's, one at a time. One that raises is counted in
    ``errors``, logged once, and called again with the next value. ``messages`` counts what came, ``unmapped`` what set
    nothing, ``malformed`` what was no MIDI. Where the port goes away it is looked for once a second, and heard again
    when it is back (``port_lost``, ``port_back``).
    """

    def __init__(self, source: Source, clock: ClockHandler | None = None) -> None:
        self._source = source
        self._clocks: tuple[ClockHandler, ...] = () if clock is None else (clock,)
        self._mappings = Mappings(self._failed)
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._connected = False
        self.messages = self.unmapped = self.malformed = self.errors = self.port_lost = self.port_back = 0
        self.last_error = ""

    def __repr__(self) -> str:
        state = "closed" if self._closed.is_set() else "open" if self._connected else "port lost"
        parts = [f"{self.messages} messages", *[str(one) for one in self._mappings][:6]]
        learning = self._mappings.learning
        parts += [f"{learning} learning: move a control"] if learning else []
        parts += [f"{self.errors} errors, last: {self.last_error:.100}"] if self.errors else []
        return f"<midi in {self._source.name!r:.60} {state}: {', '.join(parts)}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *why: object) -> None:
        self.close()

    def start(self) -> Self:
        """Opens the port and begins to hear; ``ls.midi_in`` does it. OutputError: it cannot be opened."""
        self._source.open(self.receive)
        self._connected = True
        self._thread = threading.Thread(target=self._run, name="livesketch-midi-in", daemon=True)
        self._thread.start()
        _inputs.add(self)
        return self

    def map(
        self, control: int | str, setter: Setter, low: float = 0.0, high: float = 1.0, *,
        channel: int | None = None, bits: int = 7,
    ) -> Self:  # fmt: skip
        """Sets something by a control: ``keys.map("cc74", lambda t: setattr(cat, "temperature", t), 0.1, 1.5)``.

        A control is a controller's number or such as ``"cc74"``, ``"note 60"`` or ``"C4"`` (its velocity, and ``low``
        when it is released), ``"bend"`` or ``"pressure"``. ``low`` and ``high`` are what the setter gets at its ends;
        low may be the larger. ``channel``: 1 to 16, or any. ``bits=14`` joins a controller up to 31 with the one 32
        above it. A control that was mapped before gets the new setter.

        Raises:
            ControlError: no such control, a setter that cannot be called, or a number out of its range.
        """
        found = read_control(control)
        mapping = make_mapping(setter, low, high, channel, bits)
        if mapping.fine is not None and (found.kind != "cc" or found.number > 31):
            raise ControlError(f"control {control!r:.40}: 14 bits come from controllers 0 to 31; leave bits= out")
        with self._lock:
            self._mappings.put(found, mapping)
        return self

    def learn(
        self, setter: Setter, low: float = 0.0, high: float = 1.0, *, channel: int | None = None, bits: int = 7
    ) -> Self:
        """As ``map``, with the controller that is moved next; returns at once. Of several, each takes another one.

        Raises:
            ControlError: as ``map``.
        """
        mapping = make_mapping(setter, low, high, channel, bits)
        with self._lock:
            self._mappings.learn(mapping)
        return self

    def unmap(self, control: int | str | None = None) -> Self:
        """Forgets a control's mappings, or without one all of them, and what was to be learnt. Twice is harmless."""
        found = None if control is None else read_control(control)
        with self._lock:
            self._mappings.forget(found)
        return self

    def hear_clock(self, handler: ClockHandler) -> None:
        """Hands MIDI clock on to this function too, as to the ``clock=`` of ``ls.midi_in``."""
        with self._lock:
            self._clocks = (*self._clocks, handler)

    def unhear_clock(self, handler: ClockHandler) -> None:
        """No more of it. Twice is harmless."""
        with self._lock:
            self._clocks = tuple(one for one in self._clocks if one != handler)

    @property
    def name(self) -> str:
        """What it is connected to."""
        return self._source.name

    def receive(self, data: bytes) -> None:
        """A message, as if it had come from the port. Nothing escapes: what goes wrong is counted."""
        now = time.monotonic()  # before anything else: a pulse is a moment
        with self._lock:
            self.messages += 1
            try:
                if data and data[0] in _CLOCK:
                    self._take_clock(data, now)
                    return
                heard = read_message(data)
            except (ValueError, TypeError, IndexError) as error:
                self.malformed += 1
                self.last_error = str(error)
                return
            if heard is None or not self._mappings.take(heard):
                self.unmapped += 1

    def check(self) -> None:
        """Looks whether the port is there, and for one that was lost; done once a second by itself."""
        with contextlib.suppress(OSError):
            if self._closed.is_set():
                return
            if not self._connected:
                self._source.open(self.receive)
                self._connected = True
                self.port_back += 1
            elif not self._source.present():
                self._connected = False
                self.port_lost += 1
                self._count(f"port_lost: {self._source.name}; it is looked for once a second")
                self._source.release()

    def close(self) -> None:
        """Hears nothing more. Twice is harmless."""
        if self._closed.is_set():
            return
        self._closed.set()
        _inputs.discard(self)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)
        with contextlib.suppress(OSError):
            self._source.close()

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closed.is_set()

    def _run(self) -> None:
        watched = time.monotonic()
        while not self._closed.wait(_WATCH if self._source.period is None else self._source.period):
            try:
                self._source.poll()
                if time.monotonic() - watched >= _WATCH:
                    watched = time.monotonic()
                    self.check()
            except Exception as error:  # noqa: BLE001 - python-rtmidi raises errors of several kinds
                self._count(f"looking for the port: {error}")

    def _failed(self, mapping: Mapping, error: Exception) -> None:
        self._count(f"{mapping.control}: {type(error).__name__}: {error}")
        if mapping.errors == 1:
            _LOG.warning("midi in: %s: %s (said once; counted in errors)", mapping.control, error)

    def _take_clock(self, data: bytes, now: float) -> None:
        self.unmapped += not self._clocks
        place = data[1] | data[2] << 7 if self._clocks and data[0] == 0xF2 else 0
        for handler in self._clocks:
            try:
                handler(_CLOCK[data[0]], now, place)
            except Exception as error:  # noqa: BLE001 - likewise
                self._count(f"clock: {type(error).__name__}: {error}")

    def _count(self, reason: str) -> None:
        self.errors += 1
        self.last_error = reason


def midi_in(
    port: str | None = None, *, virtual: bool | None = None, api: str | None = None, clock: ClockHandler | None = None
) -> MidiIn:
    """Hears a MIDI port: ``keys = ls.midi_in("nanoKONTROL")``, then ``keys.map(...)`` or ``keys.learn(...)``.

    ``port`` is the name of a port or a part of it; ``ls.ports()`` lists them. Left out, it is the one device that there
    is, or where there is none, a port of our own named ``livesketch``, as with ``virtual=True``. ``clock`` gets MIDI
    clock: ``(kind, seconds, sixteenths)``, kind being pulse, start, continue, stop or position.

    Raises:
        MissingExtraError: python-rtmidi is not installed.
        OutputError: no MIDI here, no such port, or several and none was named.
        ControlError: a port or clock of the wrong kind.
    """
    global _latest  # noqa: PLW0603 - midi_learn goes on with what was opened last
    if port is not None and (not isinstance(port, str) or not port.strip()):
        raise ControlError(f"port {port!r:.60}: expected the name of a MIDI input; ls.ports() lists them")
    if clock is not None and not callable(clock):
        raise ControlError(f"clock {clock!r:.60}: expected a function of (kind, seconds, sixteenths)")
    opened = MidiIn(InPort(port, virtual=virtual, api=api), clock).start()
    _latest = weakref.ref(opened)
    return opened


def midi_learn(
    setter: Setter, low: float = 0.0, high: float = 1.0, *, bits: int = 7, port: str | None = None
) -> MidiIn:
    """Sets something by the MIDI controller that is moved next: ``ls.midi_learn(lambda value: ..., 0, 1.5)``.

    It listens on the input that was opened last, or opens ``ls.midi_in(port)`` where there is none, or a port is named.
    The input is returned; it listens until it is closed.

    Raises:
        ControlError, OutputError, MissingExtraError: as ``ls.midi_in`` and ``MidiIn.map``.
    """
    make_mapping(setter, low, high, None, bits)
    opened = _latest() if _latest is not None and port is None else None
    if opened is None or opened.closed:
        opened = midi_in(port)
    return opened.learn(setter, low, high, bits=bits)


def _finish() -> None:
    for opened in list(_inputs):
        with contextlib.suppress(Exception):
            opened.close()


def _forget() -> None:
    """In a forked child: the ports and their threads are the parent's."""
    for opened in list(_inputs):
        opened._closed.set()  # noqa: SLF001 - of this module
    _inputs.clear()


atexit.register(_finish)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
