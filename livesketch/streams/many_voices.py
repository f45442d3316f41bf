"""What many voices of a sketch model and of a text model share: one backend call makes one event of each."""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from .trail import EventT


class Row(Sequence[EventT]):
    """One step of n voices as arrays; indexing gives a voice's event."""

    def __init__(self, records: NDArray[Any], name: str) -> None:
        self._records, self._name = records, name

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> EventT: ...
    @overload
    def __getitem__(self, index: slice) -> list[EventT]: ...
    def __getitem__(self, index: int | slice) -> EventT | list[EventT]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self._of(range(len(self))[index])

    def _of(self, voice: int) -> EventT:
        """The event of a voice."""
        raise NotImplementedError

    @property
    def last(self) -> NDArray[np.bool_]:
        """Whether it is the last event of its drawing or piece, shape (n,)."""
        return np.asarray(self._records["last"])

    @property
    def ended(self) -> NDArray[np.bool_]:
        """Whether the model ended the drawing or piece by itself, shape (n,)."""
        return np.asarray(self._records["ended"])

    @property
    def step(self) -> NDArray[np.int64]:
        """Step in the drawing or piece, shape (n,)."""
        return np.asarray(self._records["step"])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} voices of {self._name!r}>"


RowT = TypeVar("RowT", bound=Row[Any])


class ManyVoices(Generic[RowT]):
    """n voices; the class beside it brings the batch."""

    if not TYPE_CHECKING:
        __slots__ = ()  # the class that is made of this and another has them

    _batch: Any
    _lock: threading.RLock
    _taken: int
    _turn: Callable[[], None]

    def _row(self) -> RowT:
        """The next step's events, made or, after Ctrl-C, due; under the lock."""
        raise NotImplementedError

    def __len__(self) -> int:
        return int(self._batch.size)

    def step(self) -> RowT:
        """One backend call: one event of every voice."""
        with self._lock:
            if self._batch.steps == self._taken:
                self._turn()
            row = self._row()
            self._taken = self._batch.steps  # the last: what breaks this off before leaves the row due
            return row

    def events(self) -> RowT:
        """What a player sends for one step."""
        return self.step()

    def __iter__(self) -> Iterator[RowT]:
        return self

    def __next__(self) -> RowT:
        return self.step()
