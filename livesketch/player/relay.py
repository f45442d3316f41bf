"""The players of one name, one after the other: when one gives way, and where in time the next goes on."""

import math
from typing import Final, Literal, TypeAlias

from ..events import Event
from .pace import boundary
from .tempo import Tempo

Quant: TypeAlias = Literal["now", "step", "stroke", "drawing", "beat", "bar"]
Handover: TypeAlias = tuple[float, bool]
"""A moment, seconds; and whether a step is due at that moment itself, or the last one was due then."""

_SAME: Final = 1e-9
"""Seconds: less than that apart is one moment."""


class Relay:
    """One player's part in it. Asked to give way from any thread; all else is of the player's own."""

    __slots__ = ("_asked", "_tempo", "begun", "handed")

    def __init__(self, tempo: Tempo) -> None:
        self._tempo = tempo
        self._asked: tuple[Quant | None, float] = None, math.inf
        """When to give way, and the beat of that, where it is one; together, as another thread sets it."""
        self.begun: Handover | None = None
        """What the player before it left to it."""
        self.handed: Handover | None = None
        """What it leaves to the next; None: it began nothing, or failed."""

    @property
    def asked(self) -> bool:
        """Whether it shall give way to the next."""
        return self._asked[0] is not None

    @property
    def until(self) -> float:
        """The moment from which the next plays, where that is one of the grid; else infinity."""
        return self._tempo.time(self._asked[1])

    def give_way(self, quant: Quant, now: float) -> None:
        """It shall, when ``quant`` says; the last word counts."""
        until = math.inf
        if quant in {"beat", "bar"}:
            grid = 1 if quant == "beat" else self._tempo.bar
            until = math.floor(self._tempo.beat(now) / grid + 1) * grid
        self._asked = quant, until

    def ready(self, now: float, last: Event | None, *, paused: bool) -> bool:
        """Whether it gives way now; ``last``: the last event of the last step."""
        quant, until = self._asked
        if quant is None:
            return False
        if quant in {"beat", "bar"}:
            return now >= self._tempo.time(until)
        ends = last is None or boundary(last, "drawing" if quant == "drawing" else "stroke")
        return ends or paused or quant in {"now", "step"}

    def hand_over(self, now: float, last: float | None, *, paused: bool) -> None:
        """Says where in time the next goes on; ``last``: when the last step was due, None: there was none."""
        quant, until = self._asked
        if quant in {"beat", "bar"}:
            moment = self._tempo.time(until)
            self.handed = moment, last is None or last < moment - _SAME
        elif paused:
            self.handed = now, True
        else:
            self.handed = self.begun if last is None else (last, False)

    def taken(self, due: float) -> bool:
        """Whether a step that is due then is the next player's, which begins with it."""
        return due >= self.until - _SAME
