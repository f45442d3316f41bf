"""What waits to be done, bounded: a sender that is faster than what it asks for loses the newest, counted."""

import threading
from collections import deque
from typing import Final, Generic, TypeVar

ItemT = TypeVar("ItemT")

MOST: Final = 4096
"""Items that wait."""
MOST_BYTES: Final = 1 << 20
"""And what they took as datagrams, together."""


class Inbox(Generic[ItemT]):
    """A queue between one thread that never waits and one that does."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._waiting: deque[tuple[ItemT, int]] = deque()
        self._bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, item: ItemT, size: int) -> bool:
        """Adds an item that took so many bytes; False where there is no room, or it is closed."""
        with self._changed:
            full = len(self._waiting) >= self._most or self._bytes + size > self._most_bytes
            if full or self._closed:
                return False
            self._waiting.append((item, size))
            self._bytes += size
            self._changed.notify()
            return True

    def get(self) -> ItemT | None:
        """Waits for the next item; None: closed."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            item, size = self._waiting.popleft()
            self._bytes -= size
            return item

    def clear(self) -> int:
        """Forgets what waits; how many items that were."""
        with self._changed:
            count = len(self._waiting)
            self._waiting.clear()
            self._bytes = 0
            return count

    def close(self) -> None:
        """Whoever waits is given None. Twice is harmless."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
