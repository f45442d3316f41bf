"""MIDI messages as bytes (MIDI 1.0 Detailed Specification 4.2.1; MPE: M1-100-UM v1.0). Channels count from 1 to 16."""

from collections.abc import Iterable
from typing import Final, NamedTuple

CLOCK: Final = b"\xf8"
START: Final = b"\xfa"
CONTINUE: Final = b"\xfb"
STOP: Final = b"\xfc"
BEND_RANGE: Final = 48
"""Semitones up and down that MPE's member channels bend (M1-100-UM, 2.4)."""
MEMBERS: Final = range(2, 17)
"""Channels of the notes of MPE's lower zone; channel 1 is its master."""


class Fader(NamedTuple):
    """One continuous control of one channel."""

    kind: str
    """``cc`` 0 to 127, ``cc14`` 0 to 16383 on controllers n and n + 32, ``bend`` -8192 to 8191, ``pressure`` to 127."""
    channel: int
    number: int = 0


def note_on(channel: int, note: int, velocity: int) -> bytes:
    """Velocity 1 to 127: 0 would be a note-off."""
    return bytes((0x8F + channel, note, velocity))


def note_off(channel: int, note: int) -> bytes:
    """With the release velocity 64, which says nothing."""
    return bytes((0x7F + channel, note, 64))


def control(channel: int, number: int, value: int) -> bytes:
    """A control change."""
    return bytes((0xAF + channel, number, value))


def program(channel: int, number: int) -> bytes:
    """Programs count from 1 to 128, as General MIDI lists them."""
    return bytes((0xBF + channel, number - 1))


def pressure(channel: int, value: int) -> bytes:
    """Channel pressure (aftertouch)."""
    return bytes((0xCF + channel, value))


def bend(channel: int, value: int) -> bytes:
    """Pitch bend, -8192 to 8191, centre 0."""
    raw = value + 8192
    return bytes((0xDF + channel, raw & 127, raw >> 7))


def song_position(sixteenths: int) -> bytes:
    """Where the song goes on: sixteenth notes from its start, modulo 16384, as many as the message can say."""
    place = sixteenths % 16384
    return bytes((0xF2, place & 127, place >> 7))


def moved(fader: Fader, value: int, before: int | None) -> list[bytes]:
    """The messages that bring a fader from ``before`` (None: not known) to ``value``.

    Of a 14-bit control only what changed: the MSB first, the LSB after each MSB, since a receiver takes a new MSB for
    an LSB of 0.
    """
    kind, channel, number = fader
    if kind == "cc":
        return [control(channel, number, value)]
    if kind == "bend":
        return [bend(channel, value)]
    if kind == "pressure":
        return [pressure(channel, value)]
    low = control(channel, number + 32, value & 127)
    if before is not None and before >> 7 == value >> 7:
        return [low]
    return [control(channel, number, value >> 7), low]


def silence(sounding: Iterable[tuple[int, int]], channels: Iterable[int]) -> list[bytes]:
    """Panic: the notes that sound are ended; on each channel sustain off, all sound off, all notes off, bend centre.

    Many synthesizers ignore CC123, so it is the note-offs that count.
    """
    used = sorted(channels)
    out = [note_off(channel, note) for channel, note in sorted(sounding)]
    out += [control(channel, number, 0) for number in (64, 120, 123) for channel in used]
    return out + [bend(channel, 0) for channel in used]


def mpe_setup() -> list[bytes]:
    """The MPE configuration message for a lower zone of 15 notes (RPN 6), and bends of 48 semitones on each of them.

    The specification has one RPN 0 act on all member channels; some receivers need it on each.
    """
    out = _registered(1, 6, len(MEMBERS))
    for channel in MEMBERS:
        out += _registered(channel, 0, BEND_RANGE)
    return out


def _registered(channel: int, number: int, value: int) -> list[bytes]:
    """A registered parameter, closed again by the null parameter so that no later data entry changes it."""
    pairs = ((101, 0), (100, number), (6, value), (38, 0), (101, 127), (100, 127))
    return [control(channel, *pair) for pair in pairs]
