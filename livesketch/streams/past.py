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

    __slots__ = ("_anchors", "_begin", "_events", "every", "outdated")

    def __init__(self) -> None:
        self._begin = 0
        self._events: deque[tuple[int, EventT, Mark]] = deque(maxlen=STEPS + EVERY)
        """Numbered, so that adding one is a single act, which no signal can break off."""
        self._anchors: deque[Anchor] = deque()
        self.every = EVERY
        """Steps between two anchors; fewer where steps are often taken back."""
        self.outdated = False
        """Something other than a step has changed the voice since the last anchor, or is about to."""

    def clear(self) -> None:
        """Forgets: what comes now does not follow what was."""
        self._anchors.clear()
        self._events.clear()

    def __len__(self) -> int:
        """How many events can be taken back."""
        return min(self._count - self._anchors[0].count, STEPS) if self._anchors else 0

    @property
    def _count(self) -> int:
        """The number of the next event."""
        return self._events[-1][0] + 1 if self._events else self._begin

    @property
    def latest(self) -> EventT | None:
        """The last event."""
        return self._events[-1][1] if self._events else None

    def last(self, n: int) -> list[EventT]:
        """The last n events, or as many as there are."""
        return [self._events[i][1] for i in range(-min(n, len(self._events)), 0)]

    def wants_anchor(self) -> bool:
        """Whether one should be made before the next step."""
        return self.outdated or not self._anchors or self._count - self._anchors[-1].count >= self.every

    def anchor(self, snapshot: Any, standing: object) -> None:
        """Remembers all of it at this moment."""
        anchor = Anchor(self._count, snapshot, standing)
        if self._anchors and self._anchors[-1].count == anchor.count:
            self._anchors[-1] = anchor
        else:
            self._anchors.append(anchor)
        self.outdated = False
        while len(self._anchors) > 1 and self._anchors[1].count <= anchor.count - STEPS:
            self._anchors.popleft()

    def add(self, event: EventT, mark: Mark) -> None:
        """One event happened, after which the voice was at this mark."""
        self._events.append((self._count, event, mark))

    def back(self, n: int) -> tuple[Anchor, list[Mark], list[EventT]]:
        """What takes the voice back by n events, at most ``len``: an anchor, the marks from there, the events left."""
        target = self._count - n
        anchor = next(anchor for anchor in reversed(self._anchors) if anchor.count <= target)
        kept = list(self._events)[: len(self._events) - n]
        marks = [mark for number, _, mark in kept if number >= anchor.count]
        return anchor, marks, [event for _, event, _ in kept]

    def drop(self, n: int) -> None:
        """Forgets the last n events."""
        self._begin = self._count - n
        for _ in range(n):
            self._events.pop()
        while self._anchors and self._anchors[-1].count > self._begin:
            self._anchors.pop()

    def kept(self) -> tuple[Any, ...]:
        """All of it, for ``put_back``."""
        return self._begin, tuple(self._events), tuple(self._anchors), self.outdated

    def put_back(self, kept: tuple[Any, ...]) -> None:
        """As it was."""
        self._begin, events, anchors, self.outdated = kept
        self._events, self._anchors = deque(events, self._events.maxlen), deque(anchors)
