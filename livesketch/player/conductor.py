"""The beat that all players share, as a performer sets it: ``livesketch.clock``."""

import atexit
import logging
import os
import threading
from typing import TYPE_CHECKING, Any, Final

from ..errors import ControlError
from ..values import real
from .clock import LiveClock
from .log import ring
from .tempo import Tempo, checked_bpm

if TYPE_CHECKING:
    from ..inputs.midi import MidiIn
    from .follow import Following
    from .link import Linking
    from .pulse_sender import PulseSender
    from .remote_clock import RemoteClock

logging.getLogger("livesketch").addHandler(ring)  # what follows another clock says there where that is gone
_forgotten: Final[list[Any]] = []
"""In a forked child, what belongs to the parent: ended here, it would wait for threads that are not here."""


class Conductor:
    """``ls.clock.bpm = 96``: the tempo of all players, at once; ``ls.clock.beat`` is where it is now.

    ``follow`` takes it from MIDI clock, ``link`` shares it over Ableton Link, ``send`` gives it out as MIDI clock.
    """

    def __init__(self) -> None:
        self._now = LiveClock().now
        self._changing = threading.RLock()
        self._following: Following | None = None
        self._sending: PulseSender | RemoteClock | None = None
        self._linking: Linking | None = None
        self.tempo = Tempo(at=self._now())
        """What players go by."""

    def __repr__(self) -> str:
        ways = [self._following, self._linking, self._sending]
        more = "".join(f"; {way!r}" for way in ways if way is not None)
        return f"<clock {self.bpm:.5g} bpm, beat {self.beat:.2f}, {self.bar} beats a bar{more}>"

    @property
    def bpm(self) -> float:
        """Beats a minute, 20 to 999; a change acts at once, with ``link`` for all, and no beat is lost or doubled.

        Raises ControlError and keeps the old value: out of range, or MIDI clock is followed, which has its own.
        """
        following, linking = self._following, self._linking
        heard = following.follower.bpm if following is not None else linking.bpm if linking is not None else None
        return self.tempo.bpm if heard is None else heard

    @bpm.setter
    def bpm(self, value: float) -> None:
        following, linking = self._following, self._linking
        checked_bpm(value)
        if following is not None:
            raise ControlError(f"bpm {value!r}: the tempo follows the {following!r}; expected ls.clock.free() before")
        self.tempo.set(value, self._now())
        if linking is not None:
            linking.set(float(value))

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

    def follow(self, port: "str | MidiIn | None" = None, *, nudge: float = 0.0) -> None:
        """Goes by the MIDI clock that comes in: ``ls.clock.follow("drum machine")``, until ``free``.

        The tempo is the pulses', smoothed; start, continue and song position bring the beat to the same place in the
        bar, forward. Where the pulses cease it goes on at the last tempo, and ``ls.log()`` says so. Not with ``link``,
        which is left.

        Args:
            port: the name of a MIDI input or a part of it, or an input that is open, as ``ls.midi_in`` gives; left out,
                as there.
            nudge: seconds by which the beat is later than the pulses come; below 0 earlier, for cables that are slow.

        Raises:
            MissingExtraError, OutputError, ControlError: as ``ls.midi_in``, or a nudge beyond 1 s; all stays as it was.
        """
        from ..inputs.midi import MidiIn, midi_in  # noqa: PLC0415 - not before MIDI is used
        from .follow import Follower, Following  # noqa: PLC0415 - likewise

        wanted = "seconds, -1 to 1"
        if not -1 <= real("nudge", nudge, wanted) <= 1:
            raise ControlError(f"nudge {nudge!r}: expected {wanted}")
        if isinstance(port, MidiIn) and port.closed:
            raise ControlError(f"{port!r:.60}: expected an input that is open")
        source = port if isinstance(port, MidiIn) else midi_in(port)
        coming = Following(source, Follower(self.tempo, nudge), own=source is not port)
        self.unlink()
        with self._changing:
            before, self._following = self._following, coming
        if before is not None:
            before.close()
        coming.start()

    def free(self) -> None:
        """Follows no MIDI clock any more; the tempo stays. Twice is harmless."""
        with self._changing:
            following, self._following = self._following, None
        if following is not None:
            following.close()
            self.tempo.set(following.follower.bpm or self.tempo.bpm, self._now())

    def send(self, port: str | None, *, virtual: bool = False, api: str | None = None, engine: str = "thread") -> None:
        """Sends the beat as MIDI clock: ``ls.clock.send("my synth")``; ``ls.clock.send(None)`` ends that.

        24 pulses a beat, from a thread that does nothing else; they begin with song position and continue, and end with
        stop.

        Args:
            port: the name of a MIDI output or a part of it; another one than before takes its place.
            virtual: ``port`` is a port of our own, which others connect to.
            api: as of ``ls.midi``.
            engine: ``process`` sends from the playing process, where a busy prompt makes no pulse late.

        Raises:
            MissingExtraError, OutputError, ControlError: as ``ls.midi``; with ``thread`` all stays as it was.
        """
        from ..outputs.midi import midi  # noqa: PLC0415 - not before MIDI is used
        from .pulse_sender import PulseSender  # noqa: PLC0415 - not before MIDI is used
        from .remote_clock import RemoteClock  # noqa: PLC0415 - it is built on this module

        if engine not in {"thread", "process"}:
            raise ControlError(f"engine {engine!r:.40}: expected 'thread' or 'process'")
        coming: PulseSender | RemoteClock | None = None
        if port is not None and engine == "process":
            coming = RemoteClock(port, virtual=virtual, api=api)
        elif port is not None:
            coming = PulseSender(midi(port, clock=True, virtual=virtual, api=api), self.tempo)
        with self._changing:
            before, self._sending = self._sending, coming
        if before is not None:
            before.close()
        if coming is not None:
            try:
                coming.start()
            except BaseException:
                self._sending = None
                raise

    def link(self) -> None:
        """Joins the Ableton Link session of the local network, or begins one; until ``unlink``. Twice is harmless.

        Tempo and place in the bar are the session's; ``ls.clock.bpm = 96`` sets it for all. No MIDI clock is followed
        any more. Others are found within a second or two: ``ls.clock.peers``.

        Raises:
            MissingExtraError: aalink is not installed, or does not load here.
            OutputError: Link cannot be had here.
        """
        from .link import Linking  # noqa: PLC0415 - asyncio takes a moment

        with self._changing:
            if self._linking is not None:
                return
            linking = Linking(self.tempo)
            linking.start()
            self._linking = linking
        self.free()

    def unlink(self) -> None:
        """Leaves the session; tempo and beat stay. Twice is harmless."""
        with self._changing:
            linking, self._linking = self._linking, None
        if linking is not None:
            bpm = linking.bpm
            linking.close()
            self.tempo.set(bpm or self.tempo.bpm, self._now())

    @property
    def peers(self) -> int:
        """How many others share the beat over Ableton Link."""
        return 0 if self._linking is None else self._linking.peers

    def release(self) -> None:
        """Follows, sends and shares nothing any more. Twice is harmless."""
        self.free()
        self.unlink()
        self.send(None)

    def forget(self) -> None:
        """In a forked child: ports, threads and sessions are the parent's."""
        _forgotten.extend((self._following, self._sending, self._linking))
        self._following = self._sending = self._linking = None
        self._changing = threading.RLock()
        self.tempo.renew()


clock = Conductor()
"""``livesketch.clock``."""

atexit.register(clock.release)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=clock.forget)
