"""Many voices of one model, stepped together by one backend call."""

import os
from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import sampling
from ..controls import Controls
from ..events import PenAction
from ..latents import Floats
from ..models.catalogue import open_model
from ..models.checkpoint import Checkpoint
from ..sampling import Convention
from ..values import whole
from .condition import Condition, Label, given_z, label_mixes, label_said
from .model_stream import ModelStream
from .records import pen_action


class Actions(Sequence[PenAction]):
    """One step of n voices as arrays; indexing gives a voice's ``PenAction``."""

    def __init__(self, records: NDArray[Any], name: str, units: float, condition: Condition) -> None:
        self._records, self._name, self._units, self._condition = records, name, units, condition

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> PenAction: ...
    @overload
    def __getitem__(self, index: slice) -> list[PenAction]: ...
    def __getitem__(self, index: int | slice) -> PenAction | list[PenAction]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        voice = range(len(self))[index]
        return pen_action(self._records[index], self._name, voice, self._units, self._condition, voice)

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


class SketchVoices(ModelStream):
    """n voices of one model. Voice k draws what ``sketch(model, seed=..., voice=k)`` draws alone, bit for bit.

    >>> import livesketch as ls
    >>> choir = ls.voices("cat", 64, seed=7)
    >>> actions = choir.step()
    >>> actions[7] == next(ls.sketch("cat", seed=7, voice=7))
    True
    >>> actions.x.shape
    (64,)
    """

    __slots__ = ()

    def __init__(
        self, checkpoint: Checkpoint, label: str | None, n: int, controls: Controls, seed: int, backend: str
    ) -> None:
        super().__init__(checkpoint, label, controls, seed, backend, range(whole("voices", n, 1, 2**20)))

    def __len__(self) -> int:
        return self._batch.size

    def __repr__(self) -> str:
        controls = f"seed={self._seed} temperature={self.temperature:g}"
        return f"<SketchVoices {len(self)} x {self.name!r} {controls} on {self.backend}>"

    @property
    def label(self) -> tuple[str | dict[str, float] | None, ...]:
        """What each voice draws; set one for all, or a list of n. As ``SketchStream.label``."""
        return tuple(map(label_said, self._wanted.mixes))

    @label.setter
    def label(self, label: Label | Sequence[Label]) -> None:
        self._want(mixes=label_mixes(self._checkpoint, label, len(self)))

    @property
    def z(self) -> Floats:
        """The latents in use, a copy, (n, z_size); set one, (z_size,), for all, or one each. As ``SketchStream.z``.

        >>> import livesketch as ls
        >>> row = ls.voices("cat", 5, seed=7)
        >>> row.z.shape[0]
        5
        """
        return self._present_z()

    @z.setter
    def z(self, z: ArrayLike | None) -> None:
        self._want(z=given_z(self._checkpoint, z, len(self), each=True))

    def step(self) -> Actions:
        """One backend call: one action of every voice."""
        with self._lock:
            records = self._records().copy()
            condition = self._conditioned or self._wanted
            actions = Actions(records, self.name, self._checkpoint.stage_units, condition)
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
