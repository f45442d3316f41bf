"""How late things were: a histogram that takes no memory of its own, however long it runs."""

import math
from typing import Final

_PER_DECADE: Final = 20
_LEAST: Final = 1e-6
_BINS: Final = 9 * _PER_DECADE
"""From a microsecond to a thousand seconds, 12 % a bin."""


class Lateness:
    """Seconds between when steps were due and when they were sent."""

    __slots__ = ("_bins", "count", "worst")

    def __init__(self) -> None:
        self._bins = [0] * (_BINS + 1)
        self.count = 0
        self.worst = 0.0

    def add(self, seconds: float) -> None:
        """One more; what came early counts as 0."""
        self.count += 1
        self.worst = max(self.worst, seconds)
        self._bins[self._bin(seconds)] += 1

    def quantile(self, share: float) -> float:
        """Seconds that this share (0 to 1) was at most late: the upper edge of the bin, never above ``worst``."""
        left = share * self.count
        for k, number in enumerate(self._bins):
            left -= number
            if left <= 0 and self.count:
                return min(self.worst, _LEAST * 10 ** (k / _PER_DECADE))
        return self.worst

    @staticmethod
    def _bin(seconds: float) -> int:
        if seconds <= _LEAST:
            return 0
        return min(_BINS, math.ceil(_PER_DECADE * math.log10(seconds / _LEAST)))
