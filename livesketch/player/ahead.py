"""Steps that are made before they are due, and taken back where somebody changes what comes next."""

import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast, runtime_checkable

from ..events import Event
from ..outputs.base import Stage
from .pace import Part, boundary

MOST: Final = 1000
"""Steps that may be made ahead: what a stream can take back."""


Note = tuple[str, Any]
"""A control and its value."""


@dataclass(frozen=True, slots=True)
class Made:
    """One step that is made and not played yet."""

    events: tuple[Event, ...]
    given: int
    """How many of the events, the first ones, a human fed: these are not taken back."""
    changes: tuple[Note, ...] = ()
    """Controls that were changed before it."""
    by_hand: int = 0
    """How many of these, the first ones, do not follow a function."""
    turned: tuple[Stage, int] | None = None
    """Where a recording goes on with what another stream played: what outputs are told of it, and its voices."""


@runtime_checkable
class Rewindable(Protocol):
    """A stream that can be looked ahead in: it takes steps back, and says before something changes it."""

    def rewind(self, n: int = 1) -> Any: ...  # noqa: D102 - the last n steps

    def events(self) -> Sequence[Event]: ...  # noqa: D102 - one step's

    def ahead(self, taken_back: Any) -> bool: ...  # noqa: D102 - what is called before a change; False: another is
    def unsend(self, fed: Sequence[Any]) -> None: ...  # noqa: D102 - what is to be sent again

    @property
    def lock(self) -> Any: ...  # noqa: D102 - held while it changes


class Ahead:
    """The steps of a stream, some of them made ahead. A stream that cannot be rewound is never looked ahead in.

    Nor is one in which another player looks ahead already: that takes its steps back whenever this one makes a step.

    Whoever changes the stream (a control, strokes that are fed) calls ``take_back`` first, through the stream itself,
    under its lock: so a change acts on the next step that is played, not on the next that is made.
    """

    def __init__(self, stream: Any, *, whole: bool = False) -> None:
        """``whole``: nothing is made behind the end of a drawing before that was played."""
        self._stream, self._whole = stream, whole
        self._made: deque[Made] = deque()
        self._changed: tuple[Note, ...] = ()
        """Controls that were changed by hand before a step that was taken back."""
        self._over = False
        self._error: Exception | None = None
        """What the stream raised behind what is made; raised when that was played."""
        self._busy = False
        """A step is being made, or some are being taken back: the stream says of this too that it changes."""
        self.taken_back = 0
        """Steps that were made in vain."""
        self.beat = 0.0
        """That of the step that is made next, for controls that move."""
        self.rewindable = isinstance(stream, Rewindable) and stream.ahead(self.take_back)
        self._notes: Callable[[], list[Note]] = list
        if self.rewindable or not isinstance(stream, Rewindable):  # else they are noted for the other player
            self._notes = getattr(stream, "notes", list)
            getattr(stream, "noting", _nothing)(on=True)

    def __len__(self) -> int:
        return len(self._made)

    def close(self) -> None:
        """Takes back what was not played; the stream is where it was heard last."""
        if self.rewindable:
            with self._stream.lock:
                try:
                    self.take_back()
                finally:
                    self._stream.ahead(None)
        elif isinstance(self._stream, Rewindable):
            return
        getattr(self._stream, "noting", _nothing)(on=False)
        getattr(self._stream, "move", _nothing)(None)

    def make(self) -> bool:
        """One more step; False where the stream is over, or fails behind steps that are still to be played.

        Raises:
            Whatever the stream raises, once all that was made before is played.
        """
        if not self.rewindable:  # under the lock where there is one: a change is noted with the step that it is for
            with getattr(self._stream, "lock", contextlib.nullcontext()):
                return not self._over and self._make()
        with self._stream.lock:
            ends = self._whole and self._made and boundary(self._made[-1].events[-1], "drawing")
            if self._over or self._error is not None or ends:
                return False
            self._busy = True
            try:
                return self._make()
            except Exception as err:
                if not self._made:
                    raise
                self._error = err
                return False
            finally:
                self._busy = False

    def _make(self) -> bool:
        self._changed = (*self._changed, *self._notes())
        getattr(self._stream, "move", _nothing)(self.beat)
        try:
            events = tuple(self._stream.events())
        except StopIteration:
            self._over = True
            return False
        by_hand, self._changed = self._changed, ()
        own = 1 if self.rewindable else len(events)
        turned = getattr(self._stream, "turned", _nothing)()
        self._made.append(Made(events, len(events) - own, (*by_hand, *self._notes()), len(by_hand), turned))
        return True

    def first(self) -> Made | None:
        """The next step, made now where none is; None: the stream is over."""
        while True:
            try:
                return self._made[0]
            except IndexError:
                if self._error is not None:
                    raise self._error from None
                if not self.make() and not self._made:
                    return None

    def made(self, count: int) -> list[Made]:
        """The first of those that are made and not played."""
        return list(self._made)[:count]

    def part(self, part: Part, most: int = MOST) -> int:
        """Steps of the stroke or drawing that the next step is in, as far as ``most``; makes what is missing."""
        count = 0
        while count < most:
            if count >= len(self._made) and not self.make():
                break
            try:
                made = self._made[count]
            except IndexError:  # taken back meanwhile
                count = 0
                continue
            count += 1
            if boundary(made.events[-1], part):
                break
        return max(1, count)

    def take(self, made: Made) -> bool:
        """The step is played now; False where it was taken back meanwhile."""
        if not self.rewindable:
            self._made.popleft()
            return True
        with self._stream.lock:
            if not self._made or self._made[0] is not made:
                return False
            self._made.popleft()
            return True

    def take_back(self) -> None:
        """Takes back what was made and not played; the stream calls it, under its lock, before something changes."""
        if not self._made or self._busy:
            return
        fed = self._made[0].events[: self._made[0].given]
        changed = tuple(note for made in self._made for note in made.changes[: made.by_hand])
        self._busy = True
        try:  # first the stream, which does it whole or, where Ctrl-C strikes, not at all
            cast("Rewindable", self._stream).rewind(sum(len(made.events) for made in self._made) - len(fed))
            count = len(self._made)
            self._made.clear()
            cast("Rewindable", self._stream).unsend(fed)
        finally:
            self._busy = False
        self._changed, self._over, self._error = (*self._changed, *changed), False, None
        self.taken_back += count


def _nothing(*_: Any, **__: Any) -> None:
    """For streams that have no such thing."""
