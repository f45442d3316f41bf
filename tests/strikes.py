"""Ctrl-C by real signals, at any moment of a loop, that cannot strike where the test itself is not ready for it."""

import gc
import signal
from types import FrameType, TracebackType
from typing import Self


class Strikes:
    """Raises KeyboardInterrupt once after each ``arm``; again only where the exception was lost and the loop went on.

    The loop counts its ``turn``s: while an exception is on its way, and in the ``except`` block, none is counted, and
    a further signal does nothing. The collector is off, since what is raised in one of its callbacks is lost.
    """

    def __init__(self) -> None:
        self.turn = 0
        self._struck = -1

    def __enter__(self) -> Self:
        gc.disable()
        self._before = signal.signal(signal.SIGALRM, self._strike)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, where: TracebackType | None
    ) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before)
        gc.enable()

    def arm(self, delay: float) -> None:
        """Strikes in so many seconds, within the ``try`` that this stands in."""
        self.turn += 1
        signal.setitimer(signal.ITIMER_REAL, delay, 0.25)

    def _strike(self, number: int, frame: FrameType | None) -> None:
        if self._struck != self.turn:
            self._struck = self.turn
            raise KeyboardInterrupt
