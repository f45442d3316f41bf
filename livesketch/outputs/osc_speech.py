"""Events as OSC messages; the addresses and types are documented in ``docs/osc.md``."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..errors import OutputError
from ..events import Cue, Event, Pen, PenAction, Token
from .osc_wire import INT_MAX, float32, osc_message, osc_name, osc_packets
from .pacing import due

if TYPE_CHECKING:
    from pythonosc.osc_message import OscMessage

PERIOD = 1.0
"""Seconds between two /livesketch/alive and between two /state of a voice."""
WRONG = (OutputError, AttributeError, TypeError, ValueError, OverflowError)
"""What events raise that OSC cannot carry."""


class _Voice:
    """What ``/state`` tells of one voice, and whether its stroke is open at the receiver."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.drawing = 0
        self.step = 0
        self.down = False
        self.x = 0.5
        self.y = 0.5
        self.open_stroke = False
        self.lifted = False  # by lift(), within a stroke: the next ink begins the stroke anew
        self.told: float | None = None  # when /state was last sent, on the player's clock


class Speech:
    """What is said of events: messages in ``queue``."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        """``complain``: told of what cannot be said as it is."""
        self.queue: list[OscMessage] = []
        self._complain = complain
        self._voices_of: dict[str, int] = {}
        self._voices: dict[tuple[str, int], _Voice] = {}
        self._made = 0
        self._alive = 0
        self._told_alive: float | None = None

    def open(self, name: str, voices: int) -> None:
        """With several voices each has its own address, ``<name>/<k>``. OutputError: a bad name."""
        osc_name(name)
        if self._voices_of.get(name) != voices:  # the addresses change
            self._voices = {key: voice for key, voice in self._voices.items() if key[0] != name}
        self._voices_of[name] = voices

    def close(self) -> None:
        """``/alive`` begins anew with the next ``open``."""
        self._told_alive = None

    def packets(self, moment: float | None = None) -> Iterable[tuple[int, bytes]]:
        """What is in the queue, which is empty then; as ``osc_packets``."""
        queue, self.queue = self.queue, []
        return osc_packets(queue, moment)

    def lift(self) -> None:
        """Ends the strokes that are open, and tells every voice's ``/state``."""
        for voice in self._voices.values():
            if voice.open_stroke:
                voice.open_stroke, voice.lifted = False, True
                self._say(f"{voice.address}/stroke/end", "iff", voice.step, voice.x, voice.y)
            voice.down = False
            self._say_state(voice)

    def regular(self, now: float) -> None:
        """What is due every second; ``now`` in seconds."""
        if due(self._told_alive, now, PERIOD):
            self._told_alive = now
            self._say("/livesketch/alive", "i", self._alive)
            self._alive = (self._alive + 1) & INT_MAX
        for voice in self._voices.values():
            if due(voice.told, now, PERIOD):
                voice.told = now
                self._say_state(voice)

    def take(self, event: Event) -> None:
        """Says what an event is. Raises one of ``WRONG`` for what OSC cannot carry."""
        voice = self._voice(event.name, int(event.voice))
        if isinstance(event, PenAction):
            self._take_action(voice, event)
        elif isinstance(event, Cue):
            self._take_cue(voice, event)
        elif isinstance(event, Token):
            self._take_token(voice, event)
        else:
            raise TypeError(f"expected PenAction, Cue or Token, got {event!r:.80}")

    def _take_action(self, voice: _Voice, action: PenAction) -> None:
        if action.pen == Pen.END:
            voice.down = False
            return
        step, x, y, ink = int(action.step), float32(action.x), float32(action.y), bool(action.ink)
        if voice.lifted and ink:
            voice.open_stroke = True
            self._say(f"{voice.address}/stroke/begin", "iff", step, voice.x, voice.y)
        voice.lifted = False
        voice.drawing, voice.step, voice.x, voice.y = int(action.drawing), step, x, y
        voice.down = action.pen == Pen.DOWN
        self._say(f"{voice.address}/pen", "iffi", step, x, y, int(ink))

    def _take_token(self, voice: _Voice, token: Token) -> None:
        voice.drawing, voice.step = int(token.piece), int(token.step)
        try:
            self._say(f"{voice.address}/token", "is", voice.step, token.text)
        finally:  # an end is never lost: its token may be what OSC cannot carry
            if token.last:
                self._say(f"{voice.address}/end", "i", voice.drawing)

    def _take_cue(self, voice: _Voice, cue: Cue) -> None:
        voice.drawing, voice.step = int(cue.drawing), int(cue.step)
        if cue.kind in {"stroke/begin", "stroke/end"}:
            begins = cue.kind == "stroke/begin"
            try:
                voice.x, voice.y = float32(cue.x), float32(cue.y)
            except (
                TypeError,
                ValueError,
                OverflowError,
            ) as error:  # a lift is never lost: it goes with the last good place
                self._complain(f"{cue.kind} sent without its place: {error}")
            voice.down = voice.open_stroke = begins
            voice.lifted = False
            self._say(f"{voice.address}/{cue.kind}", "iff", voice.step, voice.x, voice.y)
        elif cue.kind == "drawing/end":
            voice.down = voice.open_stroke = voice.lifted = False
            self._say(f"{voice.address}/end", "i", voice.drawing)
        elif cue.kind == "drawing/begin":
            voice.lifted = False

    def _voice(self, name: str, number: int) -> _Voice:
        key = (name, number)
        if key not in self._voices:
            several = self._voices_of.get(name, number + 1) > 1
            address = f"/livesketch/{osc_name(name)}" + (f"/{number}" if several else "")
            self._voices[key] = _Voice(address)
        return self._voices[key]

    def _say_state(self, voice: _Voice) -> None:
        values = (voice.drawing, voice.step, int(voice.down), voice.x, voice.y, self._made)
        self._say(f"{voice.address}/state", "iiiffi", *values)

    def _say(self, address: str, types: str, *values: object) -> None:
        message = osc_message(address, types, *values)
        self._made = (self._made + 1) & INT_MAX
        self.queue.append(message)
