"""The line through pulses that come late and early: which pulse it is now, and how long one takes."""

import math
from collections import deque
from typing import Final

MEMORY: Final = 60
"""Pulses that the line goes through; of MIDI clock two beats and a half."""
_HELD: Final = 24
"""Pulses after a gap before which the tempo stays what it was, if they fit it."""
_LEAST_SCALE: Final = 0.0002
_FIRST_SCALE: Final = 0.001
"""Seconds: how early and late pulses are taken to be on average, at least, and before any were seen."""
_CLIP: Final = 4.0
_DRIFT: Final = 1.0
_ALARM: Final = 10.0
"""In such averages: the most that one pulse counts, what is forgiven each, and the sum that says: another tempo."""
_SURE: Final = 12
"""Pulses of a line that tells a lost pulse from a slower tempo."""
_ROUND: Final = 0.3
"""Pulses: how far from a whole number one may be that tells so."""


class Pulses:
    """Least squares through the last 60 pulses, (number, moment), fewer where they stop fitting the line.

    With pulses early and late by a deviation of s, the line's end has one of s x sqrt(4 / 60), its slope one of
    s x sqrt(12 / 60^3) a pulse (least squares through equally spaced points). A new tempo shows in pulses that are all
    late, or all early: a two-sided cumulative sum (Page 1954) of how much each is off what the line says, over what is
    usual; above ``_ALARM`` the pulses before that began are forgotten. So a jump in tempo counts after four to seven
    pulses, noise hardly ever. One lost pulse is told from a slower tempo by the pulse after it.

    No clock and no port here; moments are seconds.
    """

    def __init__(self) -> None:
        self.number = -1
        """Of the last pulse; the first one is 0."""
        self.last: float | None = None
        """When that came."""
        self.period: float | None = None
        """Seconds a pulse takes; None: not known yet."""
        self._end = 0.0
        """When the last pulse was, by the line."""
        self._seen: deque[tuple[int, float, float]] = deque(maxlen=MEMORY)
        """Numbers, moments, and what these count as: one that is far off alone counts as less far."""
        self._held: float | None = None
        self._scale = _FIRST_SCALE
        self._late = self._early = 0.0
        self._late_for = self._early_for = 0
        """The two sums, and how many pulses they are of."""
        self._suspect: tuple[float, int] | None = None
        """A pulse that came so late that some may be lost: its moment, and how many."""

    def at(self, moment: float) -> float | None:
        """Which pulse it is at a moment, a number that goes on between them; None: not known."""
        if not self.period:
            return None
        return self.number + (moment - self._end) / self.period

    def pulse(self, moment: float) -> None:
        """One more pulse came."""
        if self.last is None:
            self._take(moment, 0)
            return
        moment = max(moment, self.last)
        if self._suspect is not None:
            late, lost = self._suspect
            self._suspect = None
            was_lost = abs((self.at(moment) or 0.0) - self.number - lost - 2) < _ROUND
            self._take(late, self.number + 1 + (lost if was_lost else 0))
        elif (lost := self._missing(moment)) > 0:
            self._suspect = moment, lost
            self.last = moment
            return
        self._take(moment, self.number + 1)

    def gap(self, moment: float) -> None:
        """A pulse at this moment, the first after a silence in which the others went on: it is the nearest."""
        place = self.at(moment)
        passed = 1 if place is None else max(1, round(place) - self.number)
        self._anew()
        self._take(moment, self.number + passed)

    def restart(self) -> None:
        """The next pulse begins anew: the tempo is what it was, the grid is another."""
        self._anew()

    def _anew(self) -> None:
        self._seen.clear()
        self._suspect = None
        self._held = self.period
        self._late = self._early = 0.0
        self._late_for = self._early_for = 0

    def _missing(self, moment: float) -> int:
        """How many pulses would be missing before this one, if the tempo were the same."""
        place = self.at(moment)
        if place is None or len(self._seen) < _SURE:
            return 0
        passed = place - self.number
        count = round(passed)
        return count - 1 if count > 1 and abs(passed - count) < _ROUND else 0

    def _take(self, moment: float, number: int) -> None:
        self.number, self.last = number, moment
        self._seen.append((number, moment, self._judge(moment)))
        if self._held is not None and len(self._seen) >= _HELD:
            self._held = None
        self._fit()

    def _judge(self, moment: float) -> float:
        """How much it is off what the line says; where they all are, the line is another. What it counts as."""
        count = len(self._seen)
        if self.period is None or count < 2:
            return moment
        foreseen = self._end + (self.number - self._seen[-1][0]) * self.period
        spread = math.sqrt(1 + (1 / count if self._held else 2 * (2 * count + 1) / (count * (count - 1))))
        off = (moment - foreseen) / spread
        size = max(-_CLIP, min(_CLIP, off / self._scale))
        counts = foreseen + size * self._scale * spread
        self._late, self._late_for = _sum(self._late, self._late_for, size)
        self._early, self._early_for = _sum(self._early, self._early_for, -size)
        self._scale = max(_LEAST_SCALE, self._scale + (abs(size) - 1) * self._scale / 32)
        total, since = max((self._late, self._late_for), (self._early, self._early_for))
        if total <= _ALARM:
            return counts
        kept = [(n, at, at) for n, at, _ in self._seen][1 - since :]
        self._anew()
        self._held = None
        self._seen.extend(kept)
        return moment

    def _fit(self) -> None:
        count = len(self._seen)
        number = sum(number for number, _, _ in self._seen) / count
        moment = sum(counts for _, _, counts in self._seen) / count
        if self._held is not None:
            self.period = self._held
        elif count > 1:
            over = sum((n - number) ** 2 for n, _, _ in self._seen)
            self.period = sum((n - number) * (counts - moment) for n, _, counts in self._seen) / over
        self._end = moment + (self.number - number) * (self.period or 0.0)


def _sum(total: float, count: int, size: float) -> tuple[float, int]:
    """The next of a sum that forgives ``_DRIFT`` each time and never falls below 0, and of how many it is."""
    total = max(0.0, total + size - _DRIFT)
    return total, count + 1 if total else 0
