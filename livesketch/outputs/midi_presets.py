"""Four ways of hearing a pen, and what a person may choose about them; ``docs/midi.md`` has them as tables."""

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..errors import ControlError
from ..events import Token
from ..values import real, whole
from .midi_channels import Channels, Owner
from .midi_messages import BEND_RANGE, MEMBERS, Fader, control, mpe_setup, program
from .midi_pens import Hand, Preset
from .midi_scale import Scale, make_scale, seven_bits, unit

FAST: Final = 6.0
"""Stage units a second at which velocity is 127: the 95th percentile of 60 drawings of the bundled model at 60 steps a
second; their median is 2.1."""
_MOD, _PAN, _EXPRESSION, _BUCKET, _BRIGHT = 1, 10, 11, 20, 74
_QUIETEST: Final = 40  # of CC11: at 0 a dot would be silent
_MOST: Final = 1e6


@dataclass(frozen=True, slots=True)
class Sound:
    """What was chosen, checked."""

    preset: str
    scale: Scale
    exact: bool
    """MPE: each note is bent to the exact height, instead of beginning on a note of the scale."""
    voices: tuple[int, ...]
    """Channels, in turn for the voices."""
    controls: tuple[int, int, int]
    program: int | None
    fast: float
    rate: float

    def make(self, channels: Channels) -> Preset:
        """The preset, speaking on these channels."""
        return _PRESETS[self.preset](self, channels)


def make_sound(
    preset: str, scale: str | Sequence[int] | None, root: int | str, octaves: int, channel: int | Sequence[int] | None,
    controls: Sequence[int], program: int | None, fast: float, rate: float,
) -> Sound:  # fmt: skip
    """Checks what a person chose.

    Raises:
        ControlError: one of these is out of its range; the message has it.
    """
    if preset not in _PRESETS:
        raise ControlError(f"preset {preset!r:.40}: expected {', '.join(map(repr, _PRESETS))}")
    notes: str | Sequence[int] = "pentatonic" if preset in {"plain", "token"} else "chromatic"
    return Sound(
        preset, make_scale(notes if scale is None else scale, root, octaves), scale is None, _channels(preset, channel),
        _controls(controls), None if program is None else whole("program", program, 1, 128),
        _within("fast", fast, "stage units a second, 0.001 to 1e6; 6 is a lively pen", 0.001),
        _within("rate", rate, "messages a second of each control, 0.1 to 1e6; try rate=100", 0.1),
    )  # fmt: skip


class _Base:
    """What the presets share: which channel is a voice's, and what they send at first."""

    def __init__(self, sound: Sound, channels: Channels) -> None:
        self.sound = sound
        self.channels = channels

    def setup(self, voices: int) -> list[bytes]:
        if self.sound.program is None:
            return []
        used = [self._channel(voice) for voice in range(min(voices, len(self.sound.voices)))]
        return [program(channel, self.sound.program) for channel in used]

    def down(self, hand: Hand, at: float) -> None: ...

    def move(self, hand: Hand, ink: bool, at: float) -> None: ...

    def up(self, hand: Hand, at: float) -> None:
        self.channels.note_off(hand.owner, at)

    def token(self, owner: Owner, token: Token, at: float) -> None:
        if token.text:
            channel = self._channel(owner[1])
            self.channels.shout(channel, control(channel, _BUCKET, _number(token) % 128), at)

    def _channel(self, voice: int) -> int:
        return self.sound.voices[voice % len(self.sound.voices)]

    def _loud(self, hand: Hand) -> float:
        """0 to 1, of the pen's speed; its root, so that slow pens are heard too."""
        return math.sqrt(unit(hand.speed / self.sound.fast))

    def _velocity(self, hand: Hand) -> int:
        return 20 + math.floor(107 * self._loud(hand) + 0.5)


class _Plain(_Base):
    """A stroke is a note of the scale; pan, modulation and expression follow the pen."""

    def down(self, hand: Hand, at: float) -> None:
        channel = self._channel(hand.owner[1])
        for fader, value in self._faders(hand, channel):
            self.channels.say(fader, value, at)
        note = self.sound.scale.note(1 - hand.y)
        self.channels.note_on(hand.owner, channel, note, self._velocity(hand), at)

    def move(self, hand: Hand, ink: bool, at: float) -> None:
        if ink:
            for fader, value in self._faders(hand, self._channel(hand.owner[1])):
                self.channels.want(fader, value, at)

    def _faders(self, hand: Hand, channel: int) -> list[tuple[Fader, int]]:
        loud = (_QUIETEST + (127 - _QUIETEST) * self._loud(hand)) / 127
        values = ((_PAN, hand.x), (_MOD, 1 - hand.y), (_EXPRESSION, loud))
        return [(Fader("cc", channel, number), seven_bits(value)) for number, value in values]


class _Mpe(_Base):
    """A stroke is a voice of its own, with bend, brightness and pressure."""

    def __init__(self, sound: Sound, channels: Channels) -> None:
        super().__init__(sound, channels)
        self._centre: dict[Owner, float] = {}

    def setup(self, voices: int) -> list[bytes]:  # noqa: ARG002 - the zone is the same for all
        return mpe_setup() + ([program(1, self.sound.program)] if self.sound.program is not None else [])

    def down(self, hand: Hand, at: float) -> None:
        self.channels.note_off(hand.owner, at)
        channel = self.channels.free(MEMBERS, at)
        pitch = self.sound.scale.pitch(1 - hand.y)
        note = self.sound.scale.note(1 - hand.y)
        if self.sound.exact:
            note = math.floor(min(127.0, max(0.0, pitch)) + 0.5)
        self._centre[hand.owner] = note if self.sound.exact else pitch
        for fader, value in self._faders(hand, channel):
            self.channels.say(fader, value, at)
        self.channels.note_on(hand.owner, channel, note, self._velocity(hand), at)

    def move(self, hand: Hand, ink: bool, at: float) -> None:
        channel = self.channels.channel_of(hand.owner) if ink else None
        if channel is not None:
            for fader, value in self._faders(hand, channel):
                self.channels.want(fader, value, at)

    def token(self, owner: Owner, token: Token, at: float) -> None:
        """Nothing: a token has no place."""

    def _faders(self, hand: Hand, channel: int) -> list[tuple[Fader, int]]:
        semitones = self.sound.scale.pitch(1 - hand.y) - self._centre[hand.owner]
        bent = math.floor(min(1.0, max(-1.0, semitones / BEND_RANGE)) * 8192 + 0.5)
        return [
            (Fader("bend", channel), min(8191, bent)),
            (Fader("cc", channel, _BRIGHT), seven_bits(hand.x)),
            (Fader("pressure", channel), seven_bits(self._loud(hand))),
        ]


class _Cc(_Base):
    """The pen as controllers: x and y with 14 bits, and whether it is down."""

    def down(self, hand: Hand, at: float) -> None:
        channel = self._channel(hand.owner[1])
        for fader, value in self._faders(hand, channel):
            self.channels.say(fader, value, at)
        self.channels.say(Fader("cc", channel, self.sound.controls[2]), 127, at)

    def move(self, hand: Hand, ink: bool, at: float) -> None:  # noqa: ARG002 - a jump moves them too
        for fader, value in self._faders(hand, self._channel(hand.owner[1])):
            self.channels.want(fader, value, at)

    def up(self, hand: Hand, at: float) -> None:
        self.channels.say(Fader("cc", self._channel(hand.owner[1]), self.sound.controls[2]), 0, at)

    def _faders(self, hand: Hand, channel: int) -> list[tuple[Fader, int]]:
        first, second, _ = self.sound.controls
        places = ((first, hand.x), (second, 1 - hand.y))
        return [(Fader("cc14", channel, number), math.floor(16383 * unit(place) + 0.5)) for number, place in places]


class _Token(_Base):
    """A token is a note that sounds until the next one; blanks and ends are rests."""

    def up(self, hand: Hand, at: float) -> None:
        """Nothing: pens are not heard."""

    def token(self, owner: Owner, token: Token, at: float) -> None:
        self.channels.note_off(owner, at)
        if token.text.strip():
            note = self.sound.scale.degree(_number(token))
            likely = math.exp(min(0.0, float(token.log_prob)))
            velocity = 40 + math.floor(87 * (likely if math.isfinite(likely) else 0.0) + 0.5)
            self.channels.note_on(owner, self._channel(owner[1]), note, velocity, at)


_PRESETS: Final[dict[str, Callable[[Sound, Channels], Preset]]] = {
    "plain": _Plain, "mpe": _Mpe, "cc": _Cc, "token": _Token,
}  # fmt: skip


def _number(token: Token) -> int:
    """The token's place in its vocabulary, or a number that its text always has."""
    index = int(token.index)
    return index if index >= 0 else zlib.crc32(token.text.encode("utf-8", "surrogatepass"))


def _channels(preset: str, channel: Any) -> tuple[int, ...]:
    if preset == "mpe":
        if channel is not None:
            raise ControlError(
                f"channel {channel!r:.40}: the mpe preset uses them all, 2 to 16 for notes; leave it out"
            )
        return (1,)
    if channel is None or not isinstance(channel, Sequence):
        first = 1 if channel is None else whole("channel", channel, 1, 16)
        return tuple((first - 1 + voice) % 16 + 1 for voice in range(16))
    chosen = tuple(whole("channel", one, 1, 16) for one in channel) if not isinstance(channel, str) else ()
    if not chosen:
        raise ControlError(f"channel {channel!r:.40}: expected a number from 1 to 16, or a list of them for the voices")
    return chosen


def _controls(controls: Any) -> tuple[int, int, int]:
    wanted = "expected three controllers, of x and y (0 to 31) and of the pen (0 to 119), such as (16, 17, 18)"
    if not isinstance(controls, Sequence) or isinstance(controls, str) or len(controls) != 3:
        raise ControlError(f"controls {controls!r:.60}: {wanted}")
    x, y = (whole("controls", number, 0, 31) for number in controls[:2])
    pen = whole("controls", controls[2], 0, 119)
    if len({x, y, x + 32, y + 32, pen}) != 5:
        raise ControlError(f"controls {controls!r:.60}: x and y use n and n + 32, and all must differ; {wanted}")
    return x, y, pen


def _within(what: str, value: Any, wanted: str, least: float) -> float:
    number = real(what, value, wanted)
    if not least <= number <= _MOST:
        raise ControlError(f"{what} {value!r:.60}: expected {wanted}")
    return number
