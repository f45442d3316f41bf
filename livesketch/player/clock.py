"""Time as an argument: the one place that reads a clock.

A clock tells seconds and waits; a player never asks the machine itself. The live clock is monotonic, so the wall
clock may jump; the offline clock moves only when it is waited on, so that an hour is played in a moment.
"""

import threading
import time
from typing import Final, Protocol

SPIN: Final = 0.0004
"""Seconds before a moment in which a live clock no longer sleeps: sleeps end a tenth of a millisecond late, or more."""


class Clock(Protocol):
    """Seconds that only go forward."""

    def now(self) -> float:
        """Seconds since some fixed moment."""

    def wait_until(self, due: float, woken: threading.Event) -> None:
        """Returns at ``due``, or earlier where ``woken`` gets set."""


class LiveClock:
    """The machine's monotonic clock."""

    _spinning = threading.Lock()
    """Only one thread of a process spins at a time: a hundred would leave no time to play."""

    def now(self) -> float:
        """``time.monotonic()``."""
        return time.monotonic()

    def rest_until(self, due: float, woken: threading.Event) -> None:
        """As ``wait_until``, where nothing is due then: sleeps, and may come a little late."""
        woken.wait(max(0.0, due - time.monotonic()))

    def wait_until(self, due: float, woken: threading.Event) -> None:
        """Sleeps until shortly before it is due, then looks again and again; where another does, sleeps all the way."""
        left = due - time.monotonic()
        if left > SPIN and woken.wait(left - SPIN):
            return
        if not LiveClock._spinning.acquire(blocking=False):
            woken.wait(max(0.0, due - time.monotonic()))
            return
        try:
            while time.monotonic() < due and not woken.is_set():
                time.sleep(0)  # lets go of the interpreter
        finally:
            LiveClock._spinning.release()


class OfflineClock:
    """A clock that jumps to where it is waited for."""

    def __init__(self) -> None:
        self._now = 0.0

    def __repr__(self) -> str:
        return f"<OfflineClock at {self._now:g} s>"

    def now(self) -> float:
        """Seconds of waiting asked for so far."""
        return self._now

    def wait_until(self, due: float, woken: threading.Event) -> None:  # noqa: ARG002 - nobody can wake who never sleeps
        """Jumps there."""
        self._now = max(self._now, due)
