"""What a sketch stream and a text stream share: one voice that can be taken back, branched off and put back."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Self

from numpy.typing import NDArray

from ..errors import ControlError
from ..sampling import checked_seed
from ..values import whole
from .past import EVERY, Past
from .trail import EventT, Trail, number_of

OFTEN: Final = 8
"""Steps between two anchors of a stream that is looked ahead in: taking back then costs a millisecond at most."""


@dataclass(frozen=True, slots=True, repr=False)
class StreamSnapshot:
    """Everything that decides what a stream makes next, but for what is live: temperature and the like."""

    origin: tuple[object, ...]
    """Model, name, seed, voice and backend of the stream it was taken of: only there it can be put back."""
    batch: Any
    """The backend's snapshot."""
    standing: object
    """What was asked for: label and latent; a text stream's plan too."""
    trail: tuple[Any, ...]
    """The present drawing's events, and those that no player has sent yet."""
    due: NDArray[Any] | None
    """The record, (1,), of an event that is made, but that Ctrl-C kept from being handed out."""

    def __repr__(self) -> str:
        _, name, seed, voice, backend = self.origin
        return f"<StreamSnapshot of {name!r} seed={seed} voice={voice} on {backend}, after {len(self.trail[0])} events>"


class OneVoice(Generic[EventT]):
    """One voice: each ``next()`` is one step of the model and gives one event.

    The class beside it brings the batch; it says what is asked for as one immutable value, ``_standing``, and takes it
    up again with ``_stand``.
    """

    if not TYPE_CHECKING:
        __slots__ = ()  # the class that is made of this and another has them

    _batch: Any
    """A ``Batch`` or ``TextBatch``; what both have is used here."""
    _lock: threading.RLock
    _past: Past[EventT]
    _seed: int
    _taken: int
    _trail: Trail[EventT]
    _voice: int
    name: str
    checkpoint: Any
    backend: Any

    _ahead: Callable[[], None] | None
    _lent: Any
    taken_back: Callable[[], None]
    _turn: Callable[[], None]

    def _event(self, record: Any, *, given: bool) -> EventT:
        """The event of a backend's record."""
        raise NotImplementedError

    def _prepare(self) -> None:
        """Gives the batch the controls of now, under the lock; before the condition changes ``_past`` is outdated."""
        raise NotImplementedError

    def _place(self) -> tuple[int, int]:
        """The number of the present drawing, and how many events it has."""
        raise NotImplementedError

    def _standing(self) -> object:
        raise NotImplementedError

    def _stand(self, standing: Any) -> None:
        raise NotImplementedError

    def _origin(self) -> tuple[object, ...]:
        return id(self.checkpoint), self.name, self._seed, self._voice, self.backend

    def _twin(self, seed: int, voice: int) -> Self:
        """Another stream made as this one was, with the controls of now."""
        raise NotImplementedError

    def _step(self) -> EventT:
        """Makes one step, or takes up the one that is due; under the lock."""
        due = self._batch.steps != self._taken  # Ctrl-C came between a step and its delivery
        if not due:
            self._turn()
        self._ready()
        if not due:
            self._advance()
        return self._event(self._batch.actions[0], given=False)

    def _ready(self) -> None:
        """All that the next step needs, and a place to come back to, under the lock."""
        self._prepare()
        if self._past.wants_anchor() and self._batch.steps == self._taken:
            self._past.anchor(self._batch.snapshot(), self._standing())

    def _advance(self) -> None:
        """One step of the batch."""
        self._batch.step()

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """All of a block that makes no step, or, where Ctrl-C or an error breaks it off, nothing; under the lock."""
        batch, record, taken = self._batch.snapshot(), self._batch.actions.copy(), self._taken
        standing, trail, past = self._standing(), self._trail.kept(), self._past.kept()
        try:
            yield
        except GeneratorExit:  # Ctrl-C came behind the block, which was done; nobody goes on here
            raise
        except BaseException:
            self._batch.restore(batch)
            self._batch.actions[:], self._taken = record, taken
            self._trail.put_back(trail)
            self._past.put_back(past)
            self._stand(standing)
            raise

    def _heard(self) -> AbstractContextManager[None]:
        """Undoes what was made ahead; for ``with``, behind the lock."""
        self.taken_back()
        return nullcontext()

    def __iter__(self) -> Iterator[EventT]:
        return self

    def __next__(self) -> EventT:
        """One step of the model."""
        with self._lock:
            self.taken_back()
            event = self._step()
            self._keep(event)
            self._trail.unsent.clear()
            self._taken = self._batch.steps  # the last: what breaks this off before leaves the event due
            return event

    def _keep(self, event: EventT) -> None:
        """Remembers an event; again, it is not remembered twice: Ctrl-C may come before it is handed out."""
        latest = self._past.latest
        if latest is None or (number_of(latest), latest.step) != (number_of(event), event.step):
            self._past.add(event, self._batch.mark(0))
        self._trail.add(event)

    def _feed(self, given: NDArray[Any]) -> list[EventT]:
        """The voice takes these rows or tokens (n, ...) as its own: all, or, broken off, none; under the lock."""
        self._ready()
        events: list[EventT] = []
        with self._whole():
            for i in range(len(given)):
                if self._past.wants_anchor():
                    self._past.anchor(self._batch.snapshot(), self._standing())
                event = self._event(self._batch.force(0, given[i : i + 1])[0], given=True)
                self._past.add(event, self._batch.mark(0))
                events.append(event)
            self._trail.feed(events)
        return events

    def events(self) -> list[EventT]:
        """What a player sends for one step: what was fed since the last step of this drawing, then one new event."""
        with self._lock:
            self.taken_back()
            unsent = self._trail.unsent.copy()
            return [*unsent, next(self)]

    def take(self, n: int) -> list[EventT]:
        """The next n events."""
        return [next(self) for _ in range(whole("take", n, 0, 10**9))]

    @property
    def voice(self) -> int:
        """The voice's number in the random counter."""
        return self._voice

    @property
    def actions(self) -> list[EventT]:
        """The present drawing's (piece's) events so far, one that Ctrl-C kept from being handed out included.

        While a player looks ahead in the stream, those that were played: the others are taken back and made anew.
        """
        if self._lent is not None:
            return [*self._lent.actions]
        with self._lock:
            self.taken_back()
            present = self._trail.having(self._due())
            return present if self._ahead is None else [*present]

    def restart(self) -> Self:
        """Back to step 0 of the same drawing or piece: the same seed makes it again."""
        with self._lock, self._heard(), self._whole():
            self._batch.restart(0)
            self._move()
            self._stand(self._standing())
        return self

    def begin(self, number: int) -> Self:
        """To step 0 of the drawing or piece of this number, from 0: what the seed makes as that one comes next.

        Raises:
            ControlError: no such number.
        """
        number = whole("number", number, 0, 2**62)
        with self._lock, self._heard(), self._whole():
            self._batch.seat(0, self._seed, self._voice, number)
            self._move()
            self._stand(self._standing())
        return self

    def snapshot(self) -> StreamSnapshot:
        """Takes everything that decides what comes next, label and latent too, but for live controls as temperature."""
        with self._lock:
            self.taken_back()
            self._prepare()  # so that it holds the first state of the label and latent that it names
            due = self._batch.actions.copy() if self._due() else None
            return StreamSnapshot(self._origin(), self._batch.snapshot(), self._standing(), self._trail.copied(), due)

    def restore(self, snapshot: StreamSnapshot) -> Self:
        """Puts a snapshot back, with the label and latent of then: what followed it then follows it again.

        Raises:
            ControlError: it was taken of a stream of another model, name, seed, voice or backend.
        """
        if not isinstance(snapshot, StreamSnapshot) or snapshot.origin != self._origin():
            taken = (
                f"{snapshot!r:.60}"
                if not isinstance(snapshot, StreamSnapshot)
                else f"a stream with {snapshot.origin[1:]}"
            )
            raise ControlError(f"a snapshot of {taken}; expected one of this stream, {self._origin()[1:]}")
        with self._lock, self._heard(), self._whole():
            self._put(snapshot)
        return self

    def _put(self, snapshot: StreamSnapshot) -> None:
        self._batch.restore(snapshot.batch)
        self._move(snapshot.trail)
        if snapshot.due is not None:
            self._batch.actions[:] = snapshot.due
            self._taken -= 1
        self._stand(snapshot.standing)

    def standing(self) -> StreamSnapshot:
        """``snapshot``, for ``stand_at``, also in another process."""
        return self.snapshot()

    def stand_at(self, place: StreamSnapshot) -> None:
        """Takes up what ``standing`` gave."""
        self._put(place)

    def fork(self, *, seed: int | None = None, voice: int | None = None) -> Self:
        """A second stream that goes on from here by itself, with the controls of now.

        It makes what this one would, until something about it is changed: a control, or here ``seed`` or ``voice``,
        which give it other chance from the next step on.

        Raises:
            ControlError: a seed or voice out of range.
        """
        key = self._seed if seed is None else checked_seed(seed)
        number = self._voice if voice is None else whole("voice", voice, 0, 2**32 - 1)
        with self._lock:
            snapshot = self.snapshot()
            twin = self._twin(key, number)
        twin._put(snapshot)  # noqa: SLF001 - a stream of this very class
        twin._batch.rekey(0, key, number)  # noqa: SLF001 - likewise
        return twin

    def rewind(self, n: int = 1) -> Self:
        """Takes the last n steps back, fed ones too, over the ends of drawings; what comes next is drawn anew.

        With everything as it was it comes out the same, bit for bit; change a control, or ``feed`` something else,
        first. Label and latent become what they were then; temperature and the like stay as they are. The events of
        ``actions`` go, and whoever iterates over the drawing goes on from there. Up to 1024 steps are remembered, since
        the last ``restart`` or ``restore``.

        Raises:
            ControlError: more steps than are remembered.
        """
        n = whole("rewind", n, 1, 10**9)
        with self._lock, self._heard(), self._whole():
            self._keep_due()
            if n > len(self._past):
                raise ControlError(f"rewind {n}: {len(self._past)} steps can be taken back; expected at most as many")
            anchor, marks, left = self._past.back(n)
            self._batch.restore(anchor.snapshot)
            self._stand(anchor.standing)
            self._prepare()
            self._batch.redo(0, marks)
            self._stand(anchor.standing)  # the drawing that begins next may have another latent by chance
            self._past.drop(n)
            self._trail.cut(*self._place(), left)
        return self

    def ahead(self, taken_back: Callable[[], None] | None) -> bool:
        """What is called, under the lock, before anything but ``events`` changes the stream; None: nothing any more.

        A player that makes steps before they are due undoes them there with ``rewind``. False: another one does so
        already, and this one may not: two could not tell whose steps they take back.
        """
        with self._lock:
            if taken_back is not None and self._ahead is not None:
                return False
            self._ahead = taken_back
            self._past.every = EVERY if taken_back is None else OFTEN
            return True

    def unsend(self, fed: Sequence[EventT]) -> None:
        """What was fed, and handed out by ``events`` with a step that was taken back, is to be handed out again."""
        with self._lock:
            self._trail.unsent = [*fed, *self._trail.unsent]

    def _move(self, trail: tuple[Any, ...] = ()) -> None:
        """Another place, which does not follow what was."""
        self._trail.begin(*trail)
        self._past.clear()
        self._taken = self._batch.steps

    def _due(self) -> EventT | None:
        """An event that is made, but that Ctrl-C kept from being handed out; under the lock."""
        return None if self._batch.steps == self._taken else self._event(self._batch.actions[0], given=False)

    def _keep_due(self) -> None:
        """Puts an event that is made, but that Ctrl-C kept from being delivered, before what a player sends next."""
        due = self._due()
        if due is not None:
            self._keep(due)
            self._trail.keep(due)
            self._taken = self._batch.steps
