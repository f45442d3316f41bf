"""What all streams have: a batch of voices of one model on a backend, its seed and its lock."""

import threading
from typing import Generic, NoReturn, SupportsIndex, TypeVar

from .. import backends
from ..models.checkpoint import Checkpoint, TextCheckpoint

ModelT = TypeVar("ModelT", bound=Checkpoint | TextCheckpoint)


class Base(Generic[ModelT]):
    """Voices of one model on one backend; the class built on this opens ``_batch``."""

    __slots__ = (
        "__weakref__", "_backend", "_checkpoint", "_lock", "_seed", "_taken", "_voices", "name",
    )  # fmt: skip

    def __init__(self, checkpoint: ModelT, name: str, seed: int, backend: str, voices: range) -> None:
        self._checkpoint, self.name, self._seed, self._voices = checkpoint, name, seed, voices
        self._backend = backends.load(backend)
        self._taken = 0
        self._lock = threading.RLock()  # a REPL feeds and steps while a player does

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        raise TypeError(
            f"a stream of {self.name!r} is neither copied nor pickled, as a copy would move what it is a copy of; make "
            f"another with the same seed ({self._seed}), or keep a .snapshot()"
        )

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
