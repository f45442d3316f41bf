"""An output that only remembers: for tests, and for looking at what a player sends."""

from ..events import Event
from .base import Stage


class Recorder:
    """Keeps every event in ``.events`` and counts the other calls.

    ``.opens`` holds the (name, voices, stage) of each ``open``, ``.ticks`` the clock of each ``tick`` (seconds);
    ``.lifts`` and ``.closes`` are counts. Nothing is ever forgotten, so it is not for hours of playing.
    """

    paces = False
    may_drop = False
    errors = 0
    last_error = ""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.opens: list[tuple[str, int, Stage]] = []
        self.ticks: list[float] = []
        self.lifts = 0
        self.closes = 0

    def __repr__(self) -> str:
        return (
            f"<Recorder: {len(self.events)} events, {len(self.opens)} opens, {len(self.ticks)} ticks, "
            f"{self.lifts} lifts, {self.closes} closes>"
        )

    def open(self, name: str, voices: int, stage: Stage) -> None:
        """Remembers who plays and on which stage."""
        self.opens.append((name, voices, stage))

    def send(self, event: Event) -> None:
        """Remembers the event, the very object that was sent."""
        self.events.append(event)

    def tick(self, now: float) -> None:
        """Remembers the clock."""
        self.ticks.append(now)

    def lift(self) -> None:
        """Counts."""
        self.lifts += 1

    def close(self) -> None:
        """Counts, also the second time; what was recorded stays."""
        self.closes += 1
