"""MIDI controls: what a person calls them, and the value between 0 and 1 that a message gives them."""

import re
from typing import Any, Final, NamedTuple

from ..errors import ControlError
from ..midi_ports.notes import note_number
from ..values import whole

_WORDS: Final = re.compile(r"(cc|note)\s*(\d+)", re.IGNORECASE)
_WANTED: Final = "expected a controller from 0 to 119, or such as 'cc74', 'note 60', 'C4', 'bend', 'pressure'"


class Control(NamedTuple):
    """A knob, key or wheel, on any channel or on one."""

    kind: str
    """``cc``, ``note``, ``bend`` or ``pressure``."""
    number: int = 0

    def __str__(self) -> str:
        return f"{self.kind} {self.number}" if self.kind in {"cc", "note"} else self.kind


class Heard(NamedTuple):
    """A message that moves a control."""

    control: Control
    channel: int
    """1 to 16."""
    raw: int
    """0 to 127; of bend -8192 to 8191."""


def read_control(control: Any) -> Control:
    """A control as a person names it.

    Raises:
        ControlError: no such control.
    """
    if not isinstance(control, str):
        return _checked("cc", whole("control", control, 0, 119), control)
    word = control.strip().casefold()
    if word in {"bend", "pressure"}:
        return Control(word)
    if match := _WORDS.fullmatch(word):
        return _checked(match[1], int(match[2]), control)
    try:
        return Control("note", note_number("control", word.removeprefix("note").strip()))
    except ControlError:
        raise ControlError(f"control {control!r:.40}: {_WANTED}") from None


def read_message(data: bytes) -> Heard | None:
    """What a message moves; None for messages that move nothing here, such as program changes.

    Raises:
        ValueError: it is no MIDI message.
    """
    from mido import Message  # noqa: PLC0415 - loaded when MIDI is first heard

    message = Message.from_bytes(data)
    if message.type == "control_change":
        return (
            Heard(Control("cc", message.control), message.channel + 1, message.value) if message.control < 120 else None
        )
    if message.type in {"note_on", "note_off"}:
        raw = message.velocity if message.type == "note_on" else 0
        return Heard(Control("note", message.note), message.channel + 1, raw)
    if message.type == "pitchwheel":
        return Heard(Control("bend"), message.channel + 1, message.pitch)
    if message.type == "aftertouch":
        return Heard(Control("pressure"), message.channel + 1, message.value)
    return None


def position(heard: Heard) -> float:
    """Where the control stands, 0 to 1; a bend wheel at rest is at 0.5 exactly."""
    if heard.control.kind == "bend":
        return 0.5 + heard.raw / (2 * 8192 if heard.raw < 0 else 2 * 8191)
    return heard.raw / 127


class Fine:
    """A 14-bit controller: MSB on n, LSB on n + 32, which may come alone where only it changed.

    Until an LSB has come the MSB counts alone, as a controller with 7 bits; after that it waits for its LSB.
    """

    def __init__(self) -> None:
        self._high: dict[int, int] = {}
        self._seen: set[int] = set()

    def take(self, channel: int, *, high: bool, raw: int) -> float | None:
        """The position 0 to 1, or None while the other half is due."""
        if high:
            self._high[channel] = raw
            return None if channel in self._seen else raw / 127
        self._seen.add(channel)
        return (self._high.get(channel, 0) << 7 | raw) / 16383


def _checked(kind: str, number: int, said: Any) -> Control:
    if not 0 <= number <= (119 if kind == "cc" else 127):
        raise ControlError(f"control {said!r:.40}: {_WANTED}")
    return Control(kind, number)
