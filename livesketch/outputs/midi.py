"""Events as MIDI; ``docs/midi.md`` has what is sent."""

import atexit
import contextlib
import functools
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, TypeVar

from ..errors import ControlError
from ..events import Event
from ..midi_ports.out_port import OutPort, Port
from ..midi_ports.system import CLIENT
from .base import Stage
from .midi_cable import Cable
from .midi_channels import Channels
from .midi_clock import BeatLine, Beats, make_clock
from .midi_pens import Pens
from .midi_presets import FAST, Sound, make_sound

PresetName = Literal["plain", "mpe", "cc", "token"]
_EXIT_LIMIT: Final = 1.0  # seconds that the end of the interpreter waits for an output that is at work
_open: Final["weakref.WeakSet[MidiOutput]"] = weakref.WeakSet()
_F = TypeVar("_F", bound=Callable[..., Any])


def _alone(method: _F) -> _F:
    """Of the methods of one output only one runs at a time: a panic may come from another thread than the player's."""

    @functools.wraps(method)
    def run(self: "MidiOutput", *values: Any) -> Any:
        with self._lock:
            return method(self, *values)

    return run  # type: ignore[return-value]


class MidiOutput:
    """Plays events on a MIDI port, remembers what sounds, and goes on when the port is away.

    ``sent`` counts messages that went out and ``dropped`` those that could not, since the port was away; ``thinned``
    counts values of controls that a later one overtook (see ``rate``). ``port_lost`` and ``port_back`` count how often
    the port went and came back: about once a second ``tick`` looks whether it is there. When it is back, notes that may
    hang are ended and the first messages are sent again. ``errors`` counts losses and events that could not be played,
    and ``last_error`` says why.

    ``lift`` ends all notes. ``panic`` does too, then turns sustain off, all sound off and all notes off, and centres
    the bend, on each channel in use; so do ``close`` and the end of the interpreter.
    """

    paces = False
    may_drop = True

    def __init__(self, port: Port, sound: Sound, clock: float | Beats | bool | None = None) -> None:
        self._sound = sound
        self._clock = make_clock(clock)
        self._follows = clock is True
        self._lock = threading.RLock()
        self._cable = Cable(port, lambda: self._channels.ledger, self._count)
        self._channels = Channels(self._cable.emit, sound.rate)
        self._pens = Pens(sound.make(self._channels))
        self._voices = 1
        self._opened = False
        self.recipe: Callable[[], MidiOutput] | None = None
        """What makes it again, in another process."""
        self.errors = 0
        self.last_error = ""

    def __reduce__(self) -> tuple[Any, ...]:
        if self.recipe is None or self._opened:
            raise TypeError("a MIDI output that is open does not go to another process")
        return self.recipe, ()

    @property
    def sent(self) -> int:
        """Messages that went out."""
        return self._cable.sent

    @property
    def dropped(self) -> int:
        """Messages that did not go out, since the port was away."""
        return self._cable.dropped

    @property
    def port_lost(self) -> int:
        """How often the port went away."""
        return self._cable.lost

    @property
    def port_back(self) -> int:
        """How often it came back."""
        return self._cable.back

    @property
    def reconnects(self) -> int:
        """How often the port came back."""
        return self.port_back

    def __repr__(self) -> str:
        state = "" if self._cable.connected else ", port lost" if self._opened else ", closed"
        counts = [f"{self.sent} messages sent"]
        counts += [f"{self.dropped} dropped"] if self.dropped else []
        counts += [f"port lost {self.port_lost} times, back {self.port_back}"] if self.port_lost else []
        trouble = f", last error: {self.last_error:.100}" if self.last_error else ""
        said = f"{', '.join(counts)}, {self.errors} errors{trouble}"
        return f"<midi {self._cable.port.name!r:.60} {self._sound.preset}{state}: {said}>"

    @property
    def thinned(self) -> int:
        """Values of controls that were not sent, since a later one came before their turn."""
        return self._channels.thinned

    @property
    def sounding(self) -> list[tuple[int, int]]:
        """The notes that sound, as (channel, note number)."""
        return sorted(self._channels.ledger)

    def follow_tempo(self, tempo: BeatLine) -> None:
        """The beat of its player, which ``clock=True`` goes by; a player says it before it opens an output."""
        if self._clock is not None and self._follows:
            self._clock.line = tempo

    @property
    def next_tick(self) -> float | None:
        """When the next pulse is due, on the player's clock; None: none is."""
        return None if self._clock is None or not self._opened else self._clock.next

    @_alone
    def open(self, name: str, voices: int, stage: Stage) -> None:  # noqa: ARG002 - MIDI has no names
        """A player starts: connects, and tells the receiver what it must know first. OutputError: no such port."""
        if not self._cable.connected and not self._opened:  # a port that was lost is looked for, and is no news
            self._cable.open()
        again, self._opened = self._opened and voices <= self._voices, True
        self._voices = max(1, voices)
        _open.add(self)
        if not again:
            self._introduce()

    @_alone
    def send(self, event: Event) -> None:
        """Plays an event: notes at once, controls as ``rate`` allows."""
        if not self._opened:
            self._count("an event while no player has the MIDI port open; it is left out")
            return
        try:
            self._pens.take(event)
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            self._count(f"{type(event).__name__} not played: {error}")

    @_alone
    def tick(self, now: float) -> None:
        """Sends what is due, the clock's pulses first; about once a second looks whether the port is there."""
        if not self._opened:
            return
        self._cable.now = now
        self._pulse(now)
        self._pens.settle()
        self._channels.advance(now)
        if self._cable.look_again():
            self._greet()

    @_alone
    def lift(self) -> None:
        """Ends all notes, and sends where the controls are."""
        if self._opened:
            self._pens.lift()
            self._channels.silence(self._pens.at)

    @_alone
    def panic(self) -> None:
        """Silence now: note-offs of what sounds, then CC64 0, CC120, CC123 and bend centre on each channel in use."""
        if self._opened:
            self._pens.lift()
            self._channels.panic(self._pens.at)

    @_alone
    def close(self) -> None:
        """Panic, and the port closed. A later ``open`` goes on."""
        if self._opened:
            try:
                if not self._cable.connected and self._cable.look():  # it is back: notes that hang are ended
                    self._greet()
                self.lift()
                for message in self._clock.stop() if self._clock else []:
                    self._cable.emit(self._cable.now, message)
                self.panic()
                self._cable.port.close()
            except OSError as error:
                self._count(f"{self._cable.port.name}: closing failed: {error}")
            finally:
                self._opened = False
                self._cable.forget()
                self._channels.forget()
                _open.discard(self)

    def _greet(self) -> None:
        """The port is back: silence there, and everything that it must know is said again."""
        self._channels.panic(self._cable.now)
        self._channels.forget()
        self._introduce()

    def _introduce(self) -> None:
        for message in self._pens.preset.setup(self._voices):
            self._cable.emit(self._cable.now, message)

    def _pulse(self, now: float) -> None:
        if self._clock is None:
            return
        try:
            messages = self._clock.due(now)
        except Exception as error:  # noqa: BLE001 - the beat's function is the performer's
            self._count(f"clock: {type(error).__name__}: {error}")
            return
        for message in messages:
            self._cable.emit(now, message)

    def _count(self, reason: str) -> None:
        self.errors += 1
        self.last_error = reason


def midi(
    port: str | None = None,
    *,
    preset: PresetName = "plain",
    scale: str | Sequence[int] | None = None,
    root: int | str = "C3",
    octaves: int = 3,
    channel: int | Sequence[int] | None = None,
    controls: Sequence[int] = (16, 17, 18),
    program: int | None = None,
    fast: float = FAST,
    rate: float = 100.0,
    clock: float | Beats | bool | None = None,
    virtual: bool | None = None,
    api: str | None = None,
) -> MidiOutput:
    """An output that plays MIDI: ``ls.play(cat, to=[ls.midi("my synth", preset="mpe")])``.

    Args:
        port: the name of a port, or a part of it; ``ls.ports()`` lists them. Left out, a port of our own named
            ``livesketch`` that other programs connect to (Linux, macOS).
        preset: ``plain``: a stroke is a note; ``mpe``: a stroke is an MPE voice; ``cc``: the pen as 14-bit controllers;
            ``token``: a text's tokens as notes. ``docs/midi.md`` has them as tables.
        scale: such as ``"minor"``, or semitones, ``[0, 3, 7]``. Left out: pentatonic; ``mpe`` then bends each note to
            the exact height.
        root: the note at the bottom of the stage, ``"C3"`` or 48 (C4, 60, is middle C).
        octaves: from the bottom of the stage to its top, 1 to 10.
        channel: of voice 0, 1 to 16, the next voices on the next ones; or a list for the voices in turn.
        controls: of ``cc``: the controllers of x, y (with n + 32 for the low bits) and of the pen.
        program: 1 to 128, chosen when it opens.
        fast: stage units a second at which a pen is at its loudest.
        rate: the most messages a second of each control; notes are never held back.
        clock: sends MIDI clock: True, of the players' beat (``ls.clock``); a number, of so many beats a minute; or a
            function that gives the beat at a moment.
        virtual: True makes ``port`` a port of our own.
        api: ``"alsa"``, ``"jack"``, ``"core"``, ``"windows"``; left out, the machine's own.

    Raises:
        ControlError: one of these out of its range.
        MissingExtraError: python-rtmidi is not installed.
        OutputError: no MIDI here, or no such port; that is found out now, before anything plays.
    """
    sound = make_sound(preset, scale, root, octaves, channel, controls, program, fast, rate)
    make_clock(clock)
    if port is not None and (not isinstance(port, str) or not port.strip()):
        raise ControlError(f"port {port!r:.60}: expected the name of a MIDI port, or nothing for one named {CLIENT!r}")
    own = OutPort(port, virtual=port is None if virtual is None else bool(virtual), api=api)
    own.check()
    made = MidiOutput(own, sound, clock)
    made.recipe = functools.partial(
        midi, port, preset=preset, scale=scale, root=root, octaves=octaves, channel=channel, controls=controls,
        program=program, fast=fast, rate=rate, clock=clock, virtual=virtual, api=api,
    )  # fmt: skip
    return made


def _finish() -> None:
    """At the end of the interpreter: notes off, whatever is still open."""
    for output in list(_open):
        if output._lock.acquire(timeout=_EXIT_LIMIT):  # noqa: SLF001 - a player's thread may be within it, for ever
            with contextlib.suppress(Exception):
                output.close()
            output._lock.release()  # noqa: SLF001 - likewise


def _forget() -> None:
    """In a forked child: the ports are the parent's, and so is their silence."""
    for output in list(_open):
        output._opened = output._cable.connected = False  # noqa: SLF001 - of this module
        output._lock = threading.RLock()  # noqa: SLF001 - its owner is not in this process
    _open.clear()


atexit.register(_finish)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
