"""What all streams have: a batch of voices of one model on a backend, its seed and its lock."""

import logging
import threading
from collections.abc import Callable
from typing import Any, ClassVar, Final, Generic, NoReturn, SupportsIndex, TypeVar

from .. import backends
from ..errors import ControlError
from ..models.checkpoint import Checkpoint, TextCheckpoint

_LOG: Final = logging.getLogger("livesketch")

STEPS_A_BEAT: Final = 30
"""Of a stream that no player runs: 60 steps a second at 120 beats a minute."""

Following = tuple[Callable[[Any, Any], None], Callable[[float], Any]]
"""A control's setter, and the function of the beat that it follows."""

ModelT = TypeVar("ModelT", bound=Checkpoint | TextCheckpoint)


class Base(Generic[ModelT]):
    """Voices of one model on one backend; the class built on this opens ``_batch``."""

    CONTROLS: ClassVar[tuple[str, ...]] = ()
    """What a performer can set, by name, but for what follows from others."""

    stand_at: Callable[[Any], None]
    """Takes up what ``standing`` gave, of this or the same stream in another process; under the lock."""

    __slots__ = (
        "__weakref__", "_ahead", "_backend", "_beat", "_checkpoint", "_failed", "_following", "_lent", "_lock",
        "_notes", "_seed", "_taken", "_voices", "name",
    )  # fmt: skip

    def __init__(self, checkpoint: ModelT, name: str, seed: int, backend: str, voices: range) -> None:
        self._checkpoint, self.name, self._seed, self._voices = checkpoint, name, seed, voices
        self._backend = backends.load(backend, len(voices))
        self._taken = 0
        self._lock = threading.RLock()  # a REPL feeds and steps while a player does

        self._ahead: Callable[[], None] | None = None
        self._beat: float | None = None
        self._following: dict[str, Following] = {}
        self._failed: set[str] = set()
        self._notes: list[tuple[str, Any]] | None = None
        self._lent: Any = None

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        raise TypeError(
            f"a stream of {self.name!r} is neither copied nor pickled, as a copy would move what it is a copy of; make "
            f"another with the same seed ({self._seed}), or keep a .snapshot()"
        )

    @property
    def lock(self) -> threading.RLock:
        """Held by whoever changes the stream or makes a step."""
        return self._lock

    def taken_back(self) -> None:
        """Before something changes, under the lock: what a player made ahead of time and has not played is undone.

        Raises:
            ControlError: it plays in another process.
        """
        if self._lent is not None:
            raise ControlError(
                f"{self.name!r} plays in another process; there its player's .stream can do that, or stop the player"
            )
        if self._ahead is not None:
            self._ahead()

    def lend(self, remote: Any) -> None:
        """It plays in another process, where ``remote`` is it: controls that are set go there."""
        with self._lock:
            self._lent = remote

    @property
    def lent(self) -> Any:
        """What it is in the other process where it plays; None where it plays in none."""
        return self._lent

    def come_back(self, place: Any) -> None:
        """It plays there no longer; ``place``: where it was heard last, None where nobody knows."""
        with self._lock:
            self._lent = None
            if place is not None:
                self.stand_at(place)

    def beat(self) -> float:
        """The beat of the next step: its player's, or one for each 30 steps where none plays it."""
        return self._taken / STEPS_A_BEAT if self._beat is None else self._beat

    def move(self, beat: float | None) -> None:
        """A player says the beat of the next step; None: nobody does any more."""
        self._beat = beat

    def follow(self, name: str, following: Following | None) -> None:
        """A control follows a function of the beat from now on, or none; see ``live``."""
        self._failed.discard(name)
        if following is None:
            self._following.pop(name, None)
        else:
            self._following[name] = following

    def noting(self, *, on: bool) -> None:
        """Whether changes of controls are noted for ``notes``; what they are at first too."""
        self._notes = [] if on else None
        for name in self.CONTROLS:
            self.note(name)

    def notes(self) -> list[tuple[str, Any]]:
        """The controls that changed since this was asked last, with their values, as JSON can hold them."""
        found = self._notes or []
        if found:
            self._notes = []
        return found

    def asked(self, name: str) -> Any:
        """What a control was set to: what would set it again."""
        return getattr(self, name)

    def note(self, name: str) -> None:
        """A control has changed."""
        if self._notes is not None:
            value = self.asked(name)
            self._notes.append((name, value.tolist() if hasattr(value, "tolist") else value))

    def _turn(self) -> None:
        """Sets the controls that follow functions, before a step; where one fails its last good value stays."""
        for name, (setter, pattern) in [*self._following.items()]:
            try:
                setter(self, pattern(self.beat()))
                self.note(name)
            except (Exception, SystemExit) as err:  # noqa: BLE001 - a mistake on stage must not end the performance
                if name not in self._failed:
                    self._failed.add(name)
                    _LOG.warning("%s: %s: %s; its last good value stays (said once)", self.name, name, err)

    @property
    def checkpoint(self) -> ModelT:
        """The model: weights and what is known about them."""
        return self._checkpoint

    @property
    def labels(self) -> tuple[str, ...]:
        """What ``label`` can be; empty where the model makes one thing."""
        return self._checkpoint.labels

    @property
    def backend(self) -> str:
        """The backend in use: what ``auto`` chose."""
        return self._backend.name

    @property
    def seed(self) -> int:
        """The 64-bit seed that makes all this again."""
        return self._seed
