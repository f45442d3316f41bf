"""Pace: when the next step is due. Steps a second, a pen of constant speed, beats, or a hand's own times.

A pace is what a person writes, a frozen value; a player's ``Walk`` follows it and knows where the pen was and when.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, get_args

from ..errors import ControlError
from ..events import Event, Pen, PenAction, Token
from ..sampling import uniforms
from ..values import real
from .tempo import Tempo

MAX_RATE: Final = 10_000.0
_USE: Final = 5
"""The ``use`` word of the random counter."""

_LOG: Final = logging.getLogger("livesketch")

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
    part: Part = "step"
    looks: bool = False

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
    part: Part = "step"
    looks: bool = True

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
    part: Part = "step"
    looks: bool = True

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


class Walk:
    """A pace on its way: when the next step is due, from when the last one was."""

    def __init__(self, pace: Pace, tempo: Tempo, seed: int, start: float) -> None:
        """``start``: the moment of the first step, seconds; of a pace in beats, the next multiple of it."""
        self.tempo, self._seed = tempo, seed
        self._before: PenAction | None = None
        self.last = start
        """When the last step was due; before the first, the start."""
        self._moves = False
        self._beat = self._target = 0.0
        """Of a pace in beats: that of the last step, and that of the end of its part."""
        self._usual = 1 / 60
        self._snaps = False
        """The next step is on the grid, at ``_beat``."""
        self._earliest = -math.inf
        """Of the next step."""
        self._said: Pace | None = None
        """One that failed; said once."""
        self._leaps = tempo.leaps
        self.pace = pace

    @property
    def pace(self) -> Pace:
        """May be changed at any time; it acts on the wait for the next step."""
        return self._pace

    @pace.setter
    def pace(self, pace: Pace) -> None:
        self._snaps = isinstance(pace, Beats)
        if isinstance(pace, Beats):
            self._snap(pace)
        self._pace = pace

    def change(self, pace: Pace, earliest: float) -> None:
        """Another pace, which does not make the next step due before ``earliest``: nothing has to be made up for."""
        self._earliest = earliest
        self.pace = pace

    def _snap(self, pace: Beats) -> None:
        """The next step is on the grid: the first place from the earliest moment on, behind that of the last step."""
        grid = min(pace.length, 1.0)
        last, earliest = (self.tempo.beat(max(moment, self.last)) / grid for moment in (self.last, self._earliest))
        place = math.ceil(earliest - 1e-6)
        if self._moves:
            place = max(place, math.floor(last + 1e-6) + 1)
        self._beat = self._target = place * grid

    def due(self, events: Sequence[Event], left: int) -> float:
        """When the step with these events is due, seconds; asked again while waiting, as pace and tempo may change.

        ``left``: steps to the end of the part that the pace looks at, this one included.
        """
        if isinstance(self._pace, Beats):
            if self._leaps != self.tempo.leaps:  # the beats between are not made up for
                self._leaps = self.tempo.leaps
                self.pace = self._pace
            return max(self._earliest, self.tempo.time(self._next_beat(self._pace, left)))
        return max(self._earliest, self.last + (self._seconds(events) if self._moves else 0.0))

    def guess(self, ahead: int) -> float:
        """When the step behind so many others that are not played yet will be due, about: as long as the last took."""
        pace = self._pace
        if isinstance(pace, Steps):
            self._usual = 1 / pace.rate
        elif isinstance(pace, Beats) and pace.part == "step":
            self._usual = pace.length * 60 / self.tempo.bpm
        return self.last + self._usual * (ahead + self._moves)

    def took(self, events: Sequence[Event], left: int, due: float) -> None:
        """The step was made, due then."""
        if isinstance(self._pace, Beats):
            if not self._snaps and self._beat >= self._target - 1e-9:
                self._target = self._beat + self._pace.length
            self._beat, first = self._next_beat(self._pace, left), self._snaps
            self._snaps = False
            if first and left > 1:
                self._target = self._beat + self._pace.length
            elif left == 1:
                self._target = self._beat
        if self._moves:
            self._usual = max(1e-4, due - self.last)
        self.last, self._moves, self._earliest = due, True, -math.inf
        event = _first(events)
        self._before = event if isinstance(event, PenAction) and event.pen is not Pen.END else None

    def skip(self, seconds: float, *, catch_up: bool = False) -> None:
        """Time that is left out: what follows is so much later, in beats on the next place of its grid.

        ``catch_up``: on the last place of the grid that has passed, where an output sets the pace.
        """
        self.last += seconds
        pace = self._pace
        if not isinstance(pace, Beats):
            return
        length = min(pace.length, 1.0) if self._snaps else pace.length
        late = seconds / 60 * self.tempo.bpm
        beats = length * (math.floor(late / length + 1e-9) if catch_up else math.ceil(late / length - 1e-9))
        if pace.part == "step" or self._snaps or not beats:
            self._beat, self._target = self._beat + beats, self._target + beats
            return
        if self._target <= self._beat + 1e-9:
            self._target = self._beat + length
        self._beat, self._target = self._beat + min(late, beats), self._target + beats

    def go_on(self, moment: float, *, at_once: bool = False) -> None:
        """As if the last step had been due then; ``at_once``: the next one is due at that moment itself."""
        self.last, self._moves, self._earliest = moment, not at_once, -math.inf
        if isinstance(self._pace, Beats):
            self.pace = self._pace

    def _next_beat(self, pace: "Beats", left: int) -> float:
        if self._snaps:
            return self._beat
        if pace.part == "step":
            return self._beat + pace.length
        target = self._target if self._target > self._beat + 1e-9 else self._beat + pace.length
        return self._beat + (target - self._beat) / left

    def _seconds(self, events: Sequence[Event]) -> float:
        """What the pace says; where it fails, as long as the last step took."""
        pace = self._pace
        try:
            seconds = real(
                "seconds", pace.seconds(Step(self._before, _first(events), self._seed)), "seconds, 0 or more"
            )
            if 0 <= seconds < math.inf:
                return seconds
            err: Exception = ControlError(f"seconds {seconds}: expected 0 or more")
        except Exception as wrong:  # noqa: BLE001 - it may be of the performer's
            err = wrong
        if pace is not self._said:
            self._said = pace
            _LOG.warning("pace %r: %s; steps come as the last one did (said once)", pace, err)
        return self._usual


def _first(events: Sequence[Event]) -> Any:
    """The last event of the first voice: in a step with fed strokes these go out at once."""
    if not events:
        return None
    voice = events[0].voice
    return next(event for event in reversed(events) if event.voice == voice)


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
