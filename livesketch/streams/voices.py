"""Many voices of one model, stepped together by one backend call."""

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import sampling
from ..backends import Precision, precise
from ..controls import Controls
from ..errors import ControlError
from ..events import PenAction
from ..latents import Floats
from ..models.catalogue import open_any, open_model
from ..models.checkpoint import Checkpoint, TextCheckpoint
from ..sampling import Convention
from ..values import whole
from .condition import Condition, Label, given_z, label_mixes, label_said
from .live import live
from .many_voices import ManyVoices, Row
from .model_stream import ModelStream
from .records import pen_action
from .text_options import TextOptions

if TYPE_CHECKING:
    from .text_voices import TextVoices


class Actions(Row[PenAction]):
    """One step of n voices as arrays; indexing gives a voice's ``PenAction``."""

    def __init__(self, records: NDArray[Any], name: str, units: float, condition: Condition) -> None:
        super().__init__(records, name)
        self._units, self._condition = units, condition

    def _of(self, voice: int) -> PenAction:
        return pen_action(self._records[voice], self._name, voice, self._units, self._condition, voice)

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
    def drawing(self) -> NDArray[np.int64]:
        """Which drawing of the voice, shape (n,)."""
        return np.asarray(self._records["drawing"])


class SketchVoices(ModelStream, ManyVoices[Actions]):
    """n voices of one model. Voice k draws what ``sketch(model, seed=..., voice=k)`` draws alone, bit for bit.

    On ``cuda``, which ``auto`` takes for 1,024 voices and more beside an NVIDIA GPU, that holds until a near-tie.

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

    def __repr__(self) -> str:
        controls = f"seed={self._seed} temperature={self.temperature:g}"
        return f"<SketchVoices {len(self)} x {self.name!r} {controls} on {self.backend}>"

    @property
    def label(self) -> tuple[str | dict[str, float] | None, ...]:
        """What each voice draws; set one for all, or a list of n. As ``SketchStream.label``."""
        return tuple(map(label_said, self._wanted.mixes))

    @label.setter
    @live
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
    @live
    def z(self, z: ArrayLike | None) -> None:
        self._want(z=given_z(self._checkpoint, z, len(self), each=True))

    def standing(self) -> tuple[Any, ...]:
        """Everything that decides what comes next, but for live controls: for ``stand_at``, also in another process."""
        with self._lock:
            self._prepare()
            return self._wanted, self._batch.snapshot(), self._batch.actions.copy()

    def stand_at(self, place: tuple[Any, ...]) -> None:
        """Takes up what ``standing`` gave."""
        with self._lock:
            self._wanted, snapshot, self._batch.actions[:] = place
            self._batch.restore(snapshot)
            self._conditioned, self._vectors[:] = None, math.nan  # what it knew was of another place

    def _row(self) -> Actions:
        records = self._records().copy()
        condition = self._conditioned or self._wanted
        return Actions(records, self.name, self._checkpoint.stage_units, condition)


def voices(
    model: str | os.PathLike[str],
    n: int,
    *,
    seed: int | None = None,
    temperature: float | None = None,
    convention: Convention | None = None,
    backend: str = "auto",
    precision: Precision = "exact",
    **options: Unpack[TextOptions],
) -> "SketchVoices | TextVoices":
    """Many voices (n) of a model that draw, or write, at the same time.

    The options are those of ``sketch``, or for a text model those of ``text`` but for ``voice``.

    Raises:
        ControlError: an option that this kind of model does not have; else as ``sketch`` and ``text``.
    """
    from .text_voices import text_voices  # noqa: PLC0415 - what draws does not load it

    if isinstance(open_any(model), TextCheckpoint):
        if convention is not None:
            raise ControlError(f"convention {convention!r:.40}: a text model has none; leave it out")
        if precision != "exact":
            raise ControlError(f"precision {precision!r:.40}: for models that draw; a text model has 'exact'")
        return text_voices(model, n, seed=seed, temperature=temperature, backend=backend, **options)
    if options:
        raise ControlError(f"{', '.join(options)}: for text models, and {os.fspath(model)!r} draws; leave that out")
    controls = Controls(0.65 if temperature is None else temperature, convention or "js")
    checked = sampling.checked_seed(seed)
    checkpoint, label = open_model(model)
    return SketchVoices(checkpoint, label, n, controls, checked, precise(backend, precision))
