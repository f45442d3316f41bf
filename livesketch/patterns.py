"""Controls that move by themselves: functions of the beat. There is no pattern language here.

A control takes a number, or anything that is called with the beat, a number that grows, and gives one: a function of
yours, or one of these. The same beat gives the same number, and ``repr`` is what was typed.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args

from .errors import ControlError
from .sampling import checked_seed, uniforms
from .values import real

Pattern: TypeAlias = Callable[[float], float]
"""A number for a beat."""

Shape: TypeAlias = Literal["sine", "triangle", "saw", "square"]

_USE: Final = 4
"""The ``use`` word of the random counter."""


@dataclass(frozen=True, slots=True)
class Lfo:
    """Swings between two numbers, once in ``beats``; begins in the middle going up (square: high)."""

    low: float
    high: float
    beats: float = 4.0
    shape: Shape = "sine"
    phase: float = 0.0
    """0 to 1, how far into the swing beat 0 is."""

    def __post_init__(self) -> None:
        for name in ("low", "high", "phase"):
            _number(name, getattr(self, name))
        _length(self.beats)
        if self.shape not in get_args(Shape):
            raise ControlError(f"shape {self.shape!r:.40}: expected {', '.join(get_args(Shape))}")

    def __call__(self, beat: float) -> float:
        """The number at a beat."""
        turn = (beat / self.beats + self.phase) % 1.0
        if self.shape == "sine":
            part = 0.5 + 0.5 * math.sin(2 * math.pi * turn)
        elif self.shape == "triangle":
            part = 1 - abs(2 * ((turn + 0.25) % 1.0) - 1)
        elif self.shape == "saw":
            part = (turn + 0.5) % 1.0
        else:
            part = 1.0 if turn < 0.5 else 0.0
        return self.low + part * (self.high - self.low)


@dataclass(slots=True)
class Ramp:
    """Goes from one number to another in ``beats``, then stays; begins at the beat at which it is first asked."""

    start: float
    end: float
    beats: float = 16.0
    at: float | None = None
    """The beat at which it begins; None: when it is first asked."""

    def __post_init__(self) -> None:
        _number("start", self.start)
        _number("end", self.end)
        _length(self.beats)

    def __call__(self, beat: float) -> float:
        """The number at a beat."""
        if self.at is None:
            self.at = beat
        part = min(1.0, max(0.0, (beat - self.at) / self.beats))
        return self.start + part * (self.end - self.start)


@dataclass(frozen=True, slots=True)
class Noise:
    """Wanders smoothly between two numbers: a random number every ``beats``, and a cubic between them."""

    low: float
    high: float
    beats: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        _number("low", self.low)
        _number("high", self.high)
        _length(self.beats)
        checked_seed(self.seed)

    def __call__(self, beat: float) -> float:
        """The number at a beat."""
        place = beat / self.beats
        left = math.floor(place)
        part = place - left
        part = part * part * (3 - 2 * part)
        one, other = (float(uniforms(self.seed, k & 0xFFFFFFFF, 0, 0, _USE)[0]) for k in (left, left + 1))
        return self.low + (one + part * (other - one)) * (self.high - self.low)


@dataclass(frozen=True, slots=True)
class Seq:
    """One number after the other, each for ``beats``, again and again."""

    values: Sequence[float]
    beats: float = 1.0
    _kept: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            kept = tuple(_number("a value of seq", value) for value in self.values)
        except TypeError:
            kept = ()
        if not kept:
            raise ControlError(f"seq of {self.values!r:.60}: expected numbers, such as ls.seq([0.2, 0.8])")
        object.__setattr__(self, "_kept", kept)
        _length(self.beats)

    def __call__(self, beat: float) -> float:
        """The number at a beat."""
        return self._kept[math.floor(beat / self.beats) % len(self._kept)]


def lfo(low: float, high: float, beats: float = 4.0, shape: Shape = "sine", phase: float = 0.0) -> Lfo:
    """Swings between ``low`` and ``high`` once in ``beats``: ``sine``, ``triangle``, ``saw`` or ``square``.

    >>> lfo(0.0, 1.0, beats=4)(1.0)
    1.0
    """
    return Lfo(low, high, beats, shape, phase)


def ramp(start: float, end: float, beats: float = 16.0, at: float | None = None) -> Ramp:
    """From ``start`` to ``end`` in ``beats``, and stays; from beat ``at`` on, or from when it is first asked.

    >>> ramp(0.0, 1.0, beats=8, at=0.0)(2.0)
    0.25
    """
    return Ramp(start, end, beats, at)


def noise(low: float, high: float, beats: float = 1.0, seed: int = 0) -> Noise:
    """Wanders smoothly between ``low`` and ``high``, another number every ``beats``; the same seed, the same way.

    >>> noise(0.2, 0.8, seed=3)(5.5) == noise(0.2, 0.8, seed=3)(5.5)
    True
    """
    return Noise(low, high, beats, seed)


def seq(values: Sequence[float], beats: float = 1.0) -> Seq:
    """One of ``values`` after the other, each for ``beats``, again and again.

    >>> [seq([0.2, 0.8])(beat) for beat in (0.0, 1.5, 2.0)]
    [0.2, 0.8, 0.2]
    """
    return Seq(values, beats)


def _number(what: str, value: float) -> float:
    number = real(what, value, "a number")
    if math.isinf(number):
        raise ControlError(f"{what} {value!r}: expected a number that is finite")
    return number


def _length(beats: float) -> None:
    if not _number("beats", beats) > 0:
        raise ControlError(f"beats {beats!r}: expected a length above 0")
