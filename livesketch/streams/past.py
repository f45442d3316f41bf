"""What one voice did lately, kept so that it can be taken back step by step."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from ..backends.protocol import Mark, Voices
from .condition import Condition

EventT = TypeVar("EventT")
SnapshotT = TypeVar("SnapshotT")

STEPS: Final = 4096
"""Steps that are remembered."""
EVERY: Final = 32
"""Steps between two anchors; what lies between is gone through again."""


@dataclass(frozen=True, slots=True)
class Anchor(Generic[SnapshotT]):
    """Everything at one moment."""

    count: int
    """Events before it."""
    snapshot: SnapshotT
    condition: Condition
    """The label and latent that the batch has from here on."""


class Past(Generic[EventT, SnapshotT]):
    """The last events of one voice with what brings it back to each: now and then all of it, between only a mark."""

    __slots__ = ("_anchors", "_count", "_events")

    def __init__(self) -> None:
        self._count = 0
        self._events: deque[tuple[EventT, Mark]] = deque(maxlen=STEPS)
        self._anchors: deque[Anchor[SnapshotT]] = deque()

    def clear(self) -> None:
        """Forgets: what comes now does not follow what was."""
        self._events.clear()
        self._anchors.clear()

    def __len__(self) -> int:
        """How many events can be taken back."""
        return self._count - self._anchors[0].count if self._anchors else 0

    def due(self) -> bool:
        """Whether an anchor should be made before the next step."""
        return not self._anchors or self._count - self._anchors[-1].count >= EVERY

    def anchor(self, snapshot: SnapshotT, condition: Condition) -> None:
        """Remembers all of it at this moment."""
        if self._anchors and self._anchors[-1].count == self._count:
            self._anchors.pop()
        self._anchors.append(Anchor(self._count, snapshot, condition))
        while len(self._anchors) > 1 and self._anchors[0].count <= self._count - STEPS:
            self._anchors.popleft()

    def add(self, event: EventT, mark: Mark) -> None:
        """One event happened."""
        self._events.append((event, mark))
        self._count += 1

    def back(self, n: int) -> tuple[Anchor[SnapshotT], list[Mark], list[EventT]]:
        """What brings the voice back by n events, at most ``len``: an anchor, the marks from there, the events left."""
        target = self._count - n
        anchor = next(anchor for anchor in reversed(self._anchors) if anchor.count <= target)
        kept = list(self._events)[: len(self._events) - n]
        left = target - anchor.count
        return anchor, [mark for _, mark in kept[len(kept) - left :]], [event for event, _ in kept]

    def drop(self, n: int) -> None:
        """Forgets the last n events."""
        for _ in range(n):
            self._events.pop()
        self._count -= n
        while self._anchors and self._anchors[-1].count > self._count:
            self._anchors.pop()


def retrace(voices: Voices[SnapshotT], anchor: Anchor[SnapshotT], marks: list[Mark], condition: Callable[[Condition], None]) -> None:
    """Puts voice 0 to where the marks lead from the anchor; ``condition`` gives the batch a label and latent."""
    voices.restore(anchor.snapshot)
    condition(anchor.condition)
    voices.redo(0, marks)
