"""A pace on its way: when steps are due, from when the last one was and where the pen was then."""

import logging
import math
from collections.abc import Sequence
from typing import Any, Final

from ..errors import ControlError
from ..events import Event, Pen, PenAction
from ..values import real
from .pace import Beats, Pace, Step, Steps
from .tempo import Tempo

_LOG: Final = logging.getLogger("livesketch")


class Walk:
    """A pace on its way: when the next step is due, from when the last one was."""

    def __init__(self, pace: Pace, tempo: Tempo, seed: int, start: float) -> None:
        """``start``: the moment of the first step, seconds; of a pace in beats, the next multiple of it."""
        self.tempo, self._seed = tempo, seed
        self._before: PenAction | None = None
        self.last = start
        """When the last step was due; before the first, the start."""
        self._moves = bool(getattr(pace, "waits", False))
        """Whether the next step is later than ``last``; the very first is not, but for a pace that ``waits``."""
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

    def _next_beat(self, pace: Beats, left: int) -> float:
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
