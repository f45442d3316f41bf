"""What one voice and many share: a model on a backend, with live controls."""

import threading
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import backends
from ..backends.protocol import Batch
from ..controls import Controls
from ..models.checkpoint import Checkpoint
from ..sampling import Convention


def condition_of(checkpoint: Checkpoint, label: str | None) -> NDArray[np.float64]:
    """The decoder's condition vector, shape (label_size,); empty for a model without labels."""
    if label is None:
        return np.zeros(0)
    return np.asarray(checkpoint.tensors["label.w"].dense()[checkpoint.labels.index(label)], np.float64)


class ModelStream:
    """A batch of voices of one model, and the controls that all of them follow."""

    __slots__ = (
        "__weakref__", "_applied", "_backend", "_batch", "_checkpoint", "_controls", "_label", "_lock", "_seed",
        "_taken", "name",
    )  # fmt: skip

    def __init__(
        self, checkpoint: Checkpoint, label: str | None, controls: Controls, seed: int, backend: str, voices: range
    ) -> None:
        self._checkpoint, self._label, self._seed = checkpoint, label, seed
        self.name = label or checkpoint.name
        self._backend = backends.load(backend)
        self._batch = self._open(checkpoint, voices)
        self._controls = controls
        self._apply(controls)
        self._taken = self._batch.steps
        self._lock = threading.RLock()  # a REPL feeds and steps while a player does

    def _open(self, checkpoint: Checkpoint, voices: range) -> Batch:
        batch = self._backend.open(checkpoint, len(voices))
        condition = condition_of(checkpoint, self._label)
        for k, voice in enumerate(voices):
            batch.condition(k, condition)
            batch.seat(k, self._seed, voice)
        return batch

    @property
    def checkpoint(self) -> Checkpoint:
        """The model: weights and what is known about them."""
        return self._checkpoint

    @property
    def backend(self) -> str:
        """The backend in use: what ``auto`` chose."""
        return self._backend.name

    @property
    def seed(self) -> int:
        """The 64-bit seed that draws all this again."""
        return self._seed

    @property
    def temperature(self) -> float:
        """0 (greedy) and up; a change acts on the very next step. Raises ControlError and keeps the old value."""
        return self._controls.temperature

    @temperature.setter
    def temperature(self, value: float) -> None:
        self._controls = replace(self._controls, temperature=value)

    @property
    def convention(self) -> Convention:
        """How temperature acts: ``paper``, ``magenta`` or ``js`` (see ``livesketch.sampling.heat``)."""
        return self._controls.convention

    @convention.setter
    def convention(self, value: Convention) -> None:
        self._controls = replace(self._controls, convention=value)

    def _apply(self, controls: Controls) -> None:
        for k in range(self._batch.size):
            self._batch.heat(k, controls.heat.divisor, controls.heat.spread)
        self._applied = controls

    def _records(self) -> NDArray[Any]:
        """The next step's records, under the lock; the caller sets ``_taken`` once it has made its own of them."""
        controls = self._controls  # read once: one consistent value for all voices
        if controls is not self._applied:
            self._apply(controls)
        if self._batch.steps == self._taken:  # else Ctrl-C came between a step and its delivery: it is still due
            self._batch.step()
        return self._batch.actions
