"""What one voice did lately, kept so that it can be taken back step by step."""

from collections import deque
from dataclasses import dataclass
from typing import Any, Final, Generic

from ..backends.protocol import Mark
from .trail import EventT

STEPS: Final = 1024
"""Steps that can be taken back; up to ``EVERY`` more are remembered."""
EVERY: Final = 64
"""Steps between two anchors; what lies between is gone through again."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """Everything at one moment."""

    count: int
    """Events before it."""
    snapshot: Any
    """The batch's."""
    standing: object
    """What was asked for: see ``OneVoice``."""


class Past(Generic[EventT]):
    """The last events of one voice with what brings it back to each: now and then all of it, between only a mark."""

    __slots__ = ("_anchors", "_count", "_events")

    def __init__(self) -> None:
        self._count = 0
        self._events: deque[tuple[EventT, Mark]] = deque(maxlen=STEPS + EVERY)
        self._anchors: deque[Anchor] = deque()

    def clear(self) -> None:
        """Forgets: what comes now does not follow what was."""
        self._events.clear()
        self._anchors.clear()

    def __len__(self) -> int:
        """How many events can be taken back."""
        return min(self._count - self._anchors[0].count, STEPS) if self._anchors else 0

    @property
    def latest(self) -> EventT | None:
        """The last event."""
        return self._events[-1][0] if self._events else None

    def wants_anchor(self) -> bool:
        """Whether one should be made before the next step."""
        return not self._anchors or self._count - self._anchors[-1].count >= EVERY

    def anchor(self, snapshot: Any, standing: object) -> None:
        """Remembers all of it at this moment."""
        if self._anchors and self._anchors[-1].count == self._count:
            self._anchors.pop()
        self._anchors.append(Anchor(self._count, snapshot, standing))
        while len(self._anchors) > 1 and self._anchors[1].count <= self._count - STEPS:
            self._anchors.popleft()

    def add(self, event: EventT, mark: Mark) -> None:
        """One event happened, after which the voice was at this mark."""
        self._events.append((event, mark))
        self._count += 1

    def back(self, n: int) -> tuple[Anchor, list[Mark], list[EventT]]:
        """What takes the voice back by n events, at most ``len``: an anchor, the marks from there, the events left."""
        target = self._count - n
        anchor = next(anchor for anchor in reversed(self._anchors) if anchor.count <= target)
        kept = list(self._events)[: len(self._events) - n]
        marks = [mark for _, mark in kept[len(kept) - (target - anchor.count) :]]
        return anchor, marks, [event for event, _ in kept]

    def drop(self, n: int) -> None:
        """Forgets the last n events."""
        for _ in range(n):
            self._events.pop()
        self._count -= n
        while self._anchors and self._anchors[-1].count > self._count:
            self._anchors.pop()
