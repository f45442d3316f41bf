"""Events to what a pen does: touches down at a place with a speed, draws, lifts. Presets make MIDI of it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ..events import Cue, Event, Pen, PenAction, Token
from .midi_channels import Channels, Owner
from .places import drawable

_STEP: Final = 1 / 60  # seconds; between a voice's first action and one before it that nobody saw


@dataclass(slots=True)
class Hand:
    """One voice's pen."""

    owner: Owner
    x: float = 0.5
    y: float = 0.5
    speed: float = 0.0
    """Of its last move, stage units a second."""
    moved: float | None = None
    """When it last moved."""
    step: float = _STEP
    """Seconds between its last two moves."""
    down: bool = False
    landed: float | None = None
    """When it touched down, as long as it is not known how fast it goes on from there."""


class Preset(Protocol):
    """What a pen's doings are as MIDI."""

    channels: Channels

    def setup(self, voices: int) -> list[bytes]:
        """What a receiver is told first."""

    def down(self, hand: Hand, at: float) -> None:
        """The pen touched the paper at its place, and goes on with its speed."""

    def move(self, hand: Hand, ink: bool, at: float) -> None:
        """The pen has moved to its place, with or without ink."""

    def up(self, hand: Hand, at: float) -> None:
        """The pen lifted; also said where it was up already."""

    def token(self, owner: Owner, token: Token, at: float) -> None:
        """One step of a text model."""


class Pens:
    """Follows the pens of all voices through the events of a performance.

    How fast a stroke begins shows with its first move, which belongs to the same step or to the next one: a pen that
    landed is taken as down when that move comes, or when the step is over, then with the speed of the jump to it.
    """

    def __init__(self, preset: Preset) -> None:
        self.preset = preset
        self._channels = preset.channels
        self._hands: dict[Owner, Hand] = {}
        self.at = 0.0
        """The moment of the last event."""

    def take(self, event: Event) -> None:
        """The next event. TypeError, ValueError, OverflowError: it is none, or at no place; pens lift all the same."""
        self.at = at = moment(event.at, self.at)
        self._settle(lambda landed: landed != at)
        self._channels.advance(at)
        owner = (str(event.name), int(event.voice))
        if isinstance(event, Token):
            self.preset.token(owner, event, at)
            return
        hand = self._hands.get(owner)
        if hand is None:
            hand = self._hands[owner] = Hand(owner)
        if isinstance(event, PenAction):
            self._take_action(hand, event, at)
        elif isinstance(event, Cue):
            self._take_cue(hand, event, at)
        else:
            raise TypeError(f"expected PenAction, Cue or Token, got {event!r:.80}")

    def settle(self) -> None:
        """The step is over: pens that landed are down."""
        self._settle(lambda _: True)

    def lift(self) -> None:
        """Pens up; one that goes on drawing touches down again where it is."""
        for hand in self._hands.values():
            if hand.down or hand.landed is not None:
                self._lift(hand, self.at)

    def _settle(self, ready: Callable[[float], bool]) -> None:
        for hand in self._hands.values():
            if hand.landed is not None and ready(hand.landed):
                self._touch(hand, hand.landed)

    def _touch(self, hand: Hand, at: float) -> None:
        hand.landed, hand.down = None, True
        self.preset.down(hand, at)

    def _take_action(self, hand: Hand, action: PenAction, at: float) -> None:
        try:
            if action.pen != Pen.END:
                self._take_move(hand, drawable(action), at)
        finally:  # a lift is never lost
            if action.pen != Pen.DOWN:
                self._lift(hand, at)

    def _take_move(self, hand: Hand, action: PenAction, at: float) -> None:
        if hand.moved is not None and 0 < at - hand.moved < 1:
            hand.step = at - hand.moved
        hand.moved = at
        way = math.hypot(action.x - hand.x, action.y - hand.y)
        ink = bool(action.ink)
        hand.speed = way / hand.step
        if ink and not hand.down:
            self._touch(hand, at)
        hand.x, hand.y = action.x, action.y
        self.preset.move(hand, ink, at)

    def _take_cue(self, hand: Hand, cue: Cue, at: float) -> None:
        if cue.kind == "stroke/begin":
            hand.landed, hand.down = at, False
            hand.x, hand.y = _place(cue)
        elif cue.kind == "drawing/begin":
            self._lift(hand, at)
            hand.x, hand.y = _place(cue)
        else:
            try:
                if cue.kind == "stroke/end":
                    hand.x, hand.y = _place(cue)
            finally:
                self._lift(hand, at)

    def _lift(self, hand: Hand, at: float) -> None:
        if hand.landed is not None:
            self._touch(hand, hand.landed)
        hand.down = False
        self.preset.up(hand, at)


def moment(at: Any, last: float) -> float:
    """An event's moment; of one that has none, the moment of the last."""
    try:
        moment = float(at)
    except (TypeError, ValueError, OverflowError):
        return last
    return moment if math.isfinite(moment) else last


def _place(cue: Cue) -> tuple[float, float]:
    x, y = float(cue.x), float(cue.y)
    if not (abs(x) < 1e9 and abs(y) < 1e9):
        raise ValueError(f"({x}, {y}) at the {cue.kind} of step {cue.step} is no place")
    return x, y
