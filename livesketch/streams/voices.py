"""Many voices of one model, stepped together by one backend call."""

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from .. import backends, sampling
from ..controls import Controls
from ..events import PenAction
from ..models.catalogue import open_model
from ..models.checkpoint import Checkpoint
from ..sampling import Convention
from ..values import whole
from .sketch import PENS, condition_of


class Actions(Sequence[PenAction]):
    """One step of n voices as arrays; indexing gives a voice's ``PenAction``."""

    def __init__(self, records: NDArray[Any], name: str, units: float) -> None:
        self._records, self._name, self._units = records, name, units

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> PenAction: ...
    @overload
    def __getitem__(self, index: slice) -> list[PenAction]: ...
    def __getitem__(self, index: int | slice) -> PenAction | list[PenAction]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        drawing, step, x, y, dx, dy, _, pen, ink, last, ended = self._records[index].item()
        voice = range(len(self))[index]
        return PenAction(
            0.0, self._name, voice, drawing, step, 0.5 + x / self._units, 0.5 + y / self._units, dx, dy,
            ink, PENS[pen], last, ended, "model",
        )  # fmt: skip

    @property
    def x(self) -> NDArray[np.float64]:
        """Places on the stage, shape (n,), like ``y``."""
        return np.asarray(0.5 + self._records["x"] / self._units)

    @property
    def y(self) -> NDArray[np.float64]:
        """Places on the stage, y down, shape (n,)."""
        return np.asarray(0.5 + self._records["y"] / self._units)

    @property
    def dx(self) -> NDArray[np.float64]:
        """Offsets in data units, shape (n,), like ``dy``."""
        return np.asarray(self._records["dx"])

    @property
    def dy(self) -> NDArray[np.float64]:
        """Offsets in data units, y down, shape (n,)."""
        return np.asarray(self._records["dy"])

    @property
    def pen(self) -> NDArray[np.int8]:
        """What the pen does after the move, shape (n,): 0 down, 1 up, 2 end."""
        return np.asarray(self._records["pen"])

    @property
    def ink(self) -> NDArray[np.bool_]:
        """Whether the move leaves a line, shape (n,)."""
        return np.asarray(self._records["ink"])

    @property
    def last(self) -> NDArray[np.bool_]:
        """Whether it is the last action of its drawing, shape (n,)."""
        return np.asarray(self._records["last"])

    @property
    def ended(self) -> NDArray[np.bool_]:
        """Whether the model ended the drawing by itself, shape (n,)."""
        return np.asarray(self._records["ended"])

    @property
    def step(self) -> NDArray[np.int64]:
        """Step in the drawing, shape (n,)."""
        return np.asarray(self._records["step"])

    @property
    def drawing(self) -> NDArray[np.int64]:
        """Which drawing of the voice, shape (n,)."""
        return np.asarray(self._records["drawing"])

    def __repr__(self) -> str:
        return f"<Actions of {len(self)} voices of {self._name!r}>"


class SketchVoices:
    """n voices of one model. Voice k draws what ``sketch(model, seed=..., voice=k)`` draws alone, bit for bit.

    >>> import livesketch as ls
    >>> choir = ls.voices("cat", 64, seed=7)
    >>> actions = choir.step()
    >>> actions[7] == next(ls.sketch("cat", seed=7, voice=7))
    True
    >>> actions.x.shape
    (64,)
    """

    __slots__ = ("_applied", "_backend", "_batch", "_checkpoint", "_controls", "_lock", "_seed", "_taken", "name")

    def __init__(
        self, checkpoint: Checkpoint, label: str | None, n: int, controls: Controls, seed: int, backend: str
    ) -> None:
        n = whole("voices", n, 1, 2**20)
        self.name = label or checkpoint.name
        self._checkpoint, self._controls, self._seed = checkpoint, controls, seed
        self._backend = backends.load(backend)
        self._batch = self._backend.open(checkpoint, n)
        condition = condition_of(checkpoint, label)
        for k in range(n):
            self._batch.condition(k, condition)
            self._batch.seat(k, seed, k)
        self._taken = self._batch.steps
        self._lock = threading.RLock()  # a REPL may step while a player does
        self._heat(controls)

    def _heat(self, controls: Controls) -> None:
        for k in range(self._batch.size):
            self._batch.heat(k, controls.heat.divisor, controls.heat.spread)
        self._applied = controls

    def __len__(self) -> int:
        return self._batch.size

    def __repr__(self) -> str:
        controls = f"seed={self._seed} temperature={self.temperature:g}"
        return f"<SketchVoices {len(self)} x {self.name!r} {controls} on {self.backend}>"

    @property
    def checkpoint(self) -> Checkpoint:
        """The model: weights and what is known about them."""
        return self._checkpoint

    @property
    def backend(self) -> str:
        """The backend in use."""
        return self._backend.name

    @property
    def seed(self) -> int:
        """The 64-bit seed of all voices."""
        return self._seed

    @property
    def temperature(self) -> float:
        """Of all voices; a change acts on the very next step."""
        return self._controls.temperature

    @temperature.setter
    def temperature(self, value: float) -> None:
        self._controls = replace(self._controls, temperature=value)

    @property
    def convention(self) -> Convention:
        """How temperature acts: see ``livesketch.sampling.heat``."""
        return self._controls.convention

    @convention.setter
    def convention(self, value: Convention) -> None:
        self._controls = replace(self._controls, convention=value)

    def step(self) -> Actions:
        """One backend call: one action of every voice."""
        with self._lock:
            controls = self._controls
            if controls is not self._applied:
                self._heat(controls)
            if self._batch.steps == self._taken:  # else Ctrl-C came between a step and its delivery: it is still due
                self._batch.step()
            actions = Actions(self._batch.actions.copy(), self.name, self._checkpoint.stage_units)
            self._taken = self._batch.steps
            return actions

    def events(self) -> Actions:
        """What a player sends for one step."""
        return self.step()

    def __iter__(self) -> Iterator[Actions]:
        return self

    def __next__(self) -> Actions:
        return self.step()


def voices(
    model: str | os.PathLike[str],
    n: int,
    *,
    seed: int | None = None,
    temperature: float = 0.65,
    convention: Convention = "js",
    backend: str = "auto",
) -> SketchVoices:
    """Many voices (n) of a model that draw at the same time; the options are those of ``sketch``."""
    controls = Controls(temperature, convention)
    checked = sampling.checked_seed(seed)
    checkpoint, label = open_model(model)
    return SketchVoices(checkpoint, label, n, controls, checked, backend)
