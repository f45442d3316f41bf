"""Pace: when the next step is due. Steps a second, a pen of constant speed, beats, or a hand's own times.

A pace is what a person writes, a frozen value; a player's ``Walk`` (``walk``) follows it.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, get_args

from ..errors import ControlError
from ..events import Event, Pen, PenAction, Token
from ..sampling import uniforms
from ..values import real

MAX_RATE: Final = 10_000.0
_USE: Final = 5
"""The ``use`` word of the random counter."""

Part = Literal["step", "stroke", "drawing"]


class Pace(Protocol):
    """What a person asks for."""

    @property
    def part(self) -> Part:
        """How much has to be known ahead: the next step alone, or the whole stroke or drawing that it is in."""

    @property
    def looks(self) -> bool:
        """Whether it looks at the step itself, so that this has to be made before it is known when it is due."""

    def seconds(self, step: "Step") -> float:
        """How long after the step before it a step is due."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a pace may look at."""

    before: PenAction | None
    """The action before, of the first voice; None at the very first and for texts."""
    event: Event | None
    """The last event of the step, of the first voice; None where the pace does not look."""
    seed: int


@dataclass(frozen=True, slots=True)
class Steps:
    """So many steps a second."""

    rate: float
    part: Part = field(default="step", repr=False)
    looks: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        checked_rate(self.rate)

    def seconds(self, step: Step) -> float:  # noqa: ARG002 - what all are given
        """1 / rate."""
        return 1.0 / self.rate


@dataclass(frozen=True, slots=True)
class Speed:
    """A pen of constant speed, stage widths a second; in the air it is ``air`` times as fast."""

    speed: float
    air: float = 2.0
    part: Part = field(default="step", repr=False)
    looks: bool = field(default=True, repr=False)

    def __post_init__(self) -> None:
        _positive("speed", self.speed, "stage widths a second, above 0; 0.5 is calm")
        _positive("air", self.air, "times as fast, above 0")

    def seconds(self, step: Step) -> float:
        """The way from the point before, over the speed; at least 1 / 10,000 s."""
        event = step.event
        if not isinstance(event, PenAction):
            return 0.1 / self.speed
        x, y = (step.before.x, step.before.y) if step.before and event.step else (0.5, 0.5)
        way = math.hypot(event.x - x, event.y - y)
        speed = self.speed if event.ink else self.speed * self.air
        return max(1 / MAX_RATE, min(way / speed, 60.0)) if math.isfinite(way) else 1 / MAX_RATE


@dataclass(frozen=True, slots=True)
class Beats:
    """So many beats a step; or a stroke, or a drawing, whose steps share them, so that it ends on the grid."""

    length: float
    part: Part = "step"

    @property
    def looks(self) -> bool:
        """Whether steps share the beats."""
        return self.part != "step"

    def __post_init__(self) -> None:
        _positive("beats", self.length, "beats, above 0 and up to 1024")
        if self.length > 1024:
            raise ControlError(f"beats {self.length!r}: expected above 0 and up to 1024")

    def seconds(self, step: Step) -> float:  # noqa: ARG002 - what all are given
        """Nothing: ``Walk`` counts its beats."""
        return 0.0


@dataclass(frozen=True, slots=True)
class Human:
    """As long as a hand takes for each move, ``times`` as fast; a normal number makes it breathe.

    A log-linear model of the milliseconds of 121,835 moves in 2,772 timed Quick, Draw! drawings, simplified as the
    training data were (``python -m benchmarks.quality.hand``, in ``benchmarks/results``): log ms of a move with ink =
    3.0462 + 0.4558 log(1 + length) + 0.8841 turn, length in data units (255 a drawing), turn 0 (straight on) to 1
    (back); of a move in the air 5.0824 + 0.2493 log(1 + length). It explains 15 and 12 % of the variance; the rest is
    spread like a normal number of deviation 0.80 and 0.75.
    """

    times: float = 1.0
    breath: float = 1.0
    """How much of that deviation is played; 0: none."""
    part: Part = field(default="step", repr=False)
    looks: bool = field(default=True, repr=False)

    def __post_init__(self) -> None:
        _positive("times", self.times, "times as fast as a hand, above 0")
        if not 0 <= real("breath", self.breath, "0 (even) to 2") <= 2:
            raise ControlError(f"breath {self.breath!r}: expected 0 (even) to 2")

    def seconds(self, step: Step) -> float:
        """As the class says; a token takes as long as a character written by hand, 0.4 s."""
        event, before = step.event, step.before
        if not isinstance(event, PenAction):
            return 0.4 / self.times
        length = math.log1p(min(math.hypot(event.dx, event.dy), 1e6))
        if event.ink:
            turn = _turn(before, event) if before is not None and before.ink and event.step else 0.0
            log_ms, spread = 3.0462 + 0.4558 * length + 0.8841 * turn, 0.7956
        else:
            log_ms, spread = 5.0824 + 0.2493 * length, 0.7509
        normal = _normal(step.seed, event) if self.breath else 0.0
        return math.exp(log_ms + self.breath * spread * max(-2.0, min(2.0, normal))) / 1000 / self.times


def _turn(before: PenAction, event: PenAction) -> float:
    size = math.hypot(before.dx, before.dy) * math.hypot(event.dx, event.dy)
    return 0.5 - 0.5 * (before.dx * event.dx + before.dy * event.dy) / size if size else 0.0


def _normal(seed: int, event: PenAction) -> float:
    """A normal number (Box-Muller) that belongs to the step, so that it is the same when played again."""
    u = uniforms(seed, event.step, event.voice, event.drawing, _USE)
    return math.sqrt(-2 * math.log(float(u[0]))) * math.cos(2 * math.pi * float(u[1]))


def boundary(event: Event, part: Part) -> bool:
    """Whether a stroke or drawing ends with this event; a token ends a stroke where it ends a line."""
    if isinstance(event, PenAction):
        return event.last or (part != "drawing" and event.pen is not Pen.DOWN) or part == "step"
    if isinstance(event, Token):
        return event.last or (part != "drawing" and "\n" in event.text) or part == "step"
    return False


def steps(rate: float = 60.0) -> Steps:
    """So many steps a second, above 0 up to 10,000."""
    return Steps(rate)


def speed(speed: float = 0.5, air: float = 2.0) -> Speed:
    """A pen of constant speed: ``speed`` stage widths a second, in the air ``air`` times as fast."""
    return Speed(speed, air)


def beats(step: float | None = None, *, stroke: float | None = None, drawing: float | None = None) -> Beats:
    """On the beat: so many beats a ``step``, or a ``stroke``, or a ``drawing``, whose steps share them.

    Raises:
        ControlError: not exactly one of the three, or out of range.
    """
    asked: tuple[tuple[float | None, Part], ...] = ((step, "step"), (stroke, "stroke"), (drawing, "drawing"))
    given = [(value, part) for value, part in asked if value is not None]
    if len(given) != 1:
        raise ControlError("beats: expected one of step=, stroke= and drawing=, such as beats(1/4) or beats(stroke=2)")
    return Beats(*given[0])


def human(times: float = 1.0, breath: float = 1.0) -> Human:
    """As long as a hand takes for each move, ``times`` as fast; ``breath`` 0 makes it even."""
    return Human(times, breath)


def checked_rate(rate: float) -> float:
    """A rate in steps per second.

    Raises:
        ControlError: not a number above 0 and up to 10,000.
    """
    wanted = f"steps per second, above 0 and up to {MAX_RATE:g}; 60 is lively"
    value = real("rate", rate, wanted)
    if not 0 < value <= MAX_RATE:
        raise ControlError(f"rate {rate!r}: expected {wanted}")
    return value


def checked_pace(pace: Any) -> Pace:
    """A pace, of livesketch or of your own.

    Raises:
        ControlError: it is none.
    """
    if not callable(getattr(pace, "seconds", None)) or getattr(pace, "part", None) not in get_args(Part):
        raise ControlError(f"pace {pace!r:.60}: expected one of livesketch.pace, such as ls.pace.speed(0.5)")
    checked: Pace = pace
    return checked


def _positive(what: str, value: float, wanted: str) -> None:
    number = real(what, value, wanted)
    if not 0 < number < math.inf:
        raise ControlError(f"{what} {value!r}: expected {wanted}")
