"""Events as a Standard MIDI File (format 1), without a MIDI port; ``docs/midi.md`` has what is in it."""

import math
import os
import struct
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ..errors import ControlError, OutputError
from ..events import Cue, Event, PenAction, Token
from ..files import permissions, replacing
from ..values import real
from .base import Stage
from .midi import PresetName
from .midi_channels import Channels
from .midi_messages import note_off
from .midi_pens import Pens, moment
from .midi_presets import FAST, Sound, make_sound
from .pacing import due

TICKS: Final = 480
"""Ticks of a beat."""
LONGEST_GAP: Final = 3600.0
"""Seconds; a longer silence is a machine that was away, and is left out."""
_SAVE_EVERY: Final = 2.0  # seconds on the player's clock between two saves, at ends of drawings
_SAVE_SHARE: Final = 0.05  # at most this part of the time is spent saving
_LONGEST_SAVE: Final = 0.1  # seconds; after such a save the file waits for close, so that the clock does not stop


class MidiFileOutput:
    """Writes the messages that ``ls.midi`` would send, each at its event's moment, to a ``.mid`` file.

    The first event is at tick 0. The bytes depend on the events, what was chosen, and each play's name, model and seed;
    on nothing else. Opened again it goes on behind what is there. The file is written, whole or not at all, by
    ``close``, and for safety where drawings and pieces end, at most every 2 seconds and for a twentieth of the time.

    ``errors`` counts events that could not be played, gaps of more than an hour, which are left out, and saves that
    failed; ``last_error`` says why. A save that fails in ``close`` raises OutputError; ``close`` can be tried again.
    """

    paces = False
    may_drop = False

    def __init__(self, path: str | Path, sound: Sound, bpm: float) -> None:
        self.path = Path(path)
        self.errors = 0
        self.last_error = ""
        self._sound = sound
        self._tempo = round(6e7 / bpm)  # microseconds a beat, as the file has it
        self._channels = Channels(self._emit, sound.rate)
        self._pens = Pens(sound.make(self._channels))
        self._track = bytearray()
        self._count_of = 0
        self._seconds = 0.0
        self._tick = 0
        self._last: float | None = None
        self._lifted: float | None = None
        self._introduced = 0
        self._opened = self._changed = self._ended = False
        self._saved: float | None = None
        self._rests_until = 0.0

    def __repr__(self) -> str:
        trouble = f", {self.errors} errors, last: {self.last_error:.100}" if self.errors else ""
        length = f"{self._count_of} messages, {self._seconds:.1f} s"
        return f"<midi file {os.fspath(self.path)!r:.80} {self._sound.preset}: {length}{trouble}>"

    def open(self, name: str, voices: int, stage: Stage) -> None:
        """Notes name, model and seed in the file; a receiver's first messages come where it begins."""
        model = stage.model.replace("\\", "/").rpartition("/")[2]  # no path in the bytes
        self._append(_meta(1, f"{name}: model {model}, seed {stage.seed}"))
        if voices > self._introduced:
            for message in self._pens.preset.setup(max(1, voices)):
                self._append(message)
            self._introduced = voices
        self._opened = True

    def send(self, event: Event) -> None:
        """Adds an event's messages at its moment."""
        if not self._opened:
            self._count("an event while no player has the MIDI file open; it is left out")
            return
        try:
            at = moment(event.at, self._pens.at)
            self._last = at if self._last is None else self._last
            self._pens.take(event)
            self._pass_to(at)
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            self._count(f"{type(event).__name__} not played: {error}")
        if isinstance(event, PenAction | Token | Cue):
            self._ended |= event.kind == "drawing/end" if isinstance(event, Cue) else event.last

    def tick(self, now: float) -> None:
        """Saves after the end of a drawing, if the last save is long enough ago; ``now`` in seconds."""
        if not (self._ended and self._changed and self._opened):
            return
        if due(self._saved, now, _SAVE_EVERY) and time.perf_counter() >= self._rests_until:
            begun = time.perf_counter()
            try:
                self._save()
            except OutputError as error:
                self._count(str(error))
            took = time.perf_counter() - begun  # real time: an offline clock runs ahead of it
            self._rests_until = math.inf if took > _LONGEST_SAVE else begun + took + took / _SAVE_SHARE
            self._saved, self._ended = now, False

    def lift(self) -> None:
        """Ends all notes."""
        if self._opened:
            self._pens.lift()
            self._channels.finish(self._pens.at)
            self._lifted = self._pens.at

    def panic(self) -> None:
        """As ``lift``: a file does not hang."""
        self.lift()

    def close(self) -> None:
        """Ends all notes and writes the file, unless it holds everything. OutputError: it cannot be written."""
        self.lift()
        self._opened = False
        self._last = self._lifted = None
        self._channels.forget()
        if self._changed:
            self._save()
            self._changed = False

    def _emit(self, at: float, message: bytes) -> None:
        self._pass_to(at)
        self._append(message)

    def _pass_to(self, at: float) -> None:
        """The file's time goes on to the moment ``at`` of the player's clock; that one may begin anew, this may not."""
        passed = 0.0 if self._last is None else at - self._last
        if passed < 0 and self._lifted is not None and at >= self._lifted:
            return  # the last notes ended after the last event, and so after this one
        if passed > LONGEST_GAP:
            self._count(f"a gap of {passed:.0f} s is left out; the longest is {LONGEST_GAP:.0f} s")
            passed = 0.0
        self._last = at
        self._seconds += max(0.0, passed)

    def _append(self, message: bytes) -> None:
        tick = max(self._tick, math.floor(self._seconds * 1e6 * TICKS / self._tempo + 0.5))
        self._track += _length(tick - self._tick) + message
        self._tick = tick
        self._count_of += 1
        self._changed = True

    def _save(self) -> None:
        """Writes what is there, the notes that sound still ended, so that each saved file is a sound one."""
        sounding = b"".join(b"\0" + note_off(*note) for note in sorted(self._channels.ledger))
        header = b"MThd" + struct.pack(">IHHH", 6, 1, 2, TICKS)
        first = b"\0" + _meta(0x58, b"\x04\x02\x18\x08") + b"\0" + _meta(0x51, self._tempo.to_bytes(3, "big"))
        with replacing(self.path) as stream:
            stream.write(header + _track(first) + _track(bytes(self._track) + sounding))

    def _count(self, reason: str) -> None:
        self.errors += 1
        self.last_error = reason


def midi_file(
    path: str | Path,
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
    bpm: float = 120.0,
) -> MidiFileOutput:
    """An output that writes a ``.mid`` file: ``ls.draw(ls.sketch("cat"), to=[ls.midi_file("cat.mid", preset="mpe")])``.

    It needs no MIDI port and no python-rtmidi. ``bpm`` is the tempo that the file states, 20 to 999: it sets where bar
    lines are, not how fast it plays. The rest is as in ``ls.midi``.

    Raises:
        ControlError: one of these out of its range.
        OutputError: no file can be written there; that is found out now, before anything is drawn.
    """
    sound = make_sound(preset, scale, root, octaves, channel, controls, program, fast, rate)
    wanted = "expected beats a minute, 20 to 999"
    tempo = real("bpm", bpm, wanted)
    if not 20 <= tempo <= 999:
        raise ControlError(f"bpm {bpm!r:.40}: {wanted}")
    _check_writable(path)
    return MidiFileOutput(path, sound, tempo)


def _track(events: bytes) -> bytes:
    whole = events + b"\0" + _meta(0x2F, b"")
    return b"MTrk" + struct.pack(">I", len(whole)) + whole


def _meta(kind: int, content: bytes | str) -> bytes:
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    return bytes((0xFF, kind)) + _length(len(data)) + data


def _length(number: int) -> bytes:
    """A variable-length quantity: seven bits a byte, the highest first, a set top bit where more follow."""
    out = [number & 127]
    while number := number >> 7:
        out.append(number & 127 | 128)
    return bytes(reversed(out))


def _check_writable(path: str | Path) -> None:
    """OutputError: no file can be written at ``path``; leaves no trace."""
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str) or not os.fspath(path):
        raise OutputError(f"midi path {path!r:.60}: expected the name of a file; try 'take.mid'")
    try:
        mode = permissions(path)
        trouble = "it is a folder or a device, not a file" if mode is None else ""
        if not trouble:
            with tempfile.TemporaryFile(dir=Path(os.path.realpath(path)).parent):
                pass
    except (OSError, ValueError) as error:
        trouble = getattr(error, "strerror", None) or str(error)
    if trouble:
        raise OutputError(
            f"{path}: no file can be written there ({trouble}); give a file in a folder that exists and can be written"
        )
