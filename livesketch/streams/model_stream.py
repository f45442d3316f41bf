"""What one voice and many share: a model on a backend, with live controls."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..backends.protocol import Batch
from ..controls import Controls
from ..errors import ControlError, UnsupportedModelError
from ..latents import USE_NOISE, Floats, normals
from ..models.checkpoint import Checkpoint
from ..sampling import Convention, checked_seed
from ..values import real
from .base import Base
from .condition import Condition, draws_z, label_mix, latents_of, vectors_of
from .given import Strokes, Units, data_rows
from .live import live

if TYPE_CHECKING:
    from ..backends.encoder import Encoder


class ModelStream(Base[Checkpoint]):
    """A batch of voices of one model, and the controls that all of them follow."""

    CONTROLS = ("temperature", "convention", "label", "z")

    __slots__ = (
        "_applied", "_batch", "_conditioned", "_controls", "_encoded", "_encoder", "_vectors", "_wanted",
    )  # fmt: skip

    def __init__(
        self, checkpoint: Checkpoint, label: str | None, controls: Controls, seed: int, backend: str, voices: range
    ) -> None:
        super().__init__(checkpoint, label or checkpoint.name, seed, backend, voices)
        mix = () if label is None else label_mix(checkpoint, label)
        self._wanted = Condition((mix,) * len(voices))
        self._conditioned: Condition | None = self._wanted
        self._vectors = vectors_of(checkpoint, self._wanted, seed, voices, np.zeros(len(voices), np.int64))
        self._batch = self._open(checkpoint, self._vectors)
        self._controls = controls
        self._apply(controls)
        self._taken = self._batch.steps
        self._encoder: Encoder | None = None
        self._encoded = 0

    def _open(self, checkpoint: Checkpoint, vectors: Floats) -> Batch:
        batch = self._backend.open(checkpoint, len(vectors))
        for k, vector in enumerate(vectors):
            batch.condition(k, vector)
            batch.seat(k, self._seed, self._voices[k])
        return batch

    @property
    def stage_units(self) -> float:
        """Data units across the stage."""
        return self._checkpoint.stage_units

    @property
    def temperature(self) -> float:
        """0 (greedy) and up; a change acts on the very next step. Raises ControlError and keeps the old value."""
        return self._controls.temperature

    @temperature.setter
    @live
    def temperature(self, value: float) -> None:
        self._controls = replace(self._controls, temperature=value)

    @property
    def convention(self) -> Convention:
        """How temperature acts: ``paper``, ``magenta`` or ``js`` (see ``livesketch.sampling.heat``)."""
        return self._controls.convention

    @convention.setter
    @live
    def convention(self, value: Convention) -> None:
        self._controls = replace(self._controls, convention=value)

    def asked(self, name: str) -> Any:
        """``Base.asked``: a latent that is the model's own affair is None."""
        own = (name == "z" and self._wanted.z is None) or (name == "label" and not self.labels)
        return None if own else getattr(self, name)

    def encode(self, strokes: Strokes, noise: float = 0.0, units: Units = "data", *, seed: int | None = None) -> Floats:
        """The latent (z_size,) of a drawing: mu + noise sigma eps with eps ~ N(0, I) (Ha & Eck 2017, section 3.1).

        Nothing moves: ``stream.z = stream.encode(strokes)`` then draws what resembles it.

        Args:
            strokes: what ``feed`` takes; also a drawing, a stream (its present drawing), or a list of actions.
            noise: 0 gives the mean, the same each time; 1 samples what the model trained with.
            units: ``data`` or ``stage``, as for ``feed``.
            seed: for the noise: the same seed, the same z. None takes the stream's own and other numbers each time, so
                that a stream made again gives the same ones in the same order.

        Raises:
            UnsupportedModelError: the model has no encoder.
            StrokesError: as ``feed``.
            ControlError: noise is no number from 0 to 100, or the seed is none.
        """
        rows = data_rows(self._checkpoint, strokes, units)
        wanted = "a number from 0 (the mean) to 100; 1 is as in training"
        spread = real("noise", noise, wanted)
        if not 0 <= spread <= 100:
            raise ControlError(f"noise {noise!r}: expected {wanted}")
        own = seed is None
        key = self._seed if seed is None else checked_seed(seed)
        scale = self._checkpoint.scale_factor
        mu, sigma_hat = self._find_encoder().encode(rows / [scale, scale, 1.0])
        if not spread:
            return mu
        with self._lock:
            counter = self._encoded if own else 0
            self._encoded += own
        eps = normals(key, len(mu), self._voices[0] if own else 0, counter, USE_NOISE)
        return np.asarray(mu + spread * np.exp(sigma_hat / 2) * eps, np.float64)

    def _find_encoder(self) -> "Encoder":
        from ..backends.encoder import Encoder  # noqa: PLC0415 - few streams encode

        if not self._checkpoint.encoder_cell:
            raise UnsupportedModelError(
                f"model {self._checkpoint.name!r} is a {self._checkpoint.architecture} and has no encoder; expected a "
                "sketch_vae: a magenta .vae.json, or one of `livesketch train sketch`"
            )
        if self._encoder is None:
            self._encoder = Encoder(self._checkpoint)  # without the lock: what plays does not wait for it
        return self._encoder

    def _want(self, **changes: Any) -> None:
        """Another label or latent, from the next step on."""
        with self._lock:
            self._wanted = replace(self._wanted, **changes)

    def _numbers(self) -> NDArray[np.int64]:
        """The number of each voice's present drawing; it is present until the next one's first step."""
        return np.asarray(self._batch.snapshot().voices["drawing"])

    def _present_z(self) -> Floats:
        """The latents (n, z_size) of the present drawings."""
        with self._lock:
            return latents_of(self._checkpoint, self._wanted, self._seed, self._voices, self._numbers()).copy()

    def _apply(self, controls: Controls) -> None:
        for k in range(self._batch.size):
            self._batch.heat(k, controls.heat.divisor, controls.heat.spread)
        self._applied = controls

    def _condition(self, wanted: Condition, some: list[int]) -> None:
        """Gives some voices their vectors where these are others: label or z changed, or a drawing with its z begins.

        Broken off anywhere, it is done again before the next step: ``_conditioned`` is set last.
        """
        voices = self._batch.snapshot().voices[some]
        coming = voices["drawing"] + voices["done"]
        numbers = [self._voices[k] for k in some]
        vectors = vectors_of(self._checkpoint, wanted.of(some), self._seed, numbers, coming)
        for i in np.flatnonzero((vectors != self._vectors[some]).any(1)).tolist():
            k = some[i]
            self._vectors[k] = math.nan  # neither the old nor the new one, until it is all there
            self._batch.condition(k, vectors[i])
            self._vectors[k] = vectors[i]
        self._conditioned = wanted

    def _prepare(self) -> None:
        """What the next step or fed row needs to know, under the lock."""
        controls = self._controls  # read once: one consistent value for all voices
        if controls is not self._applied:
            self._apply(controls)
        wanted = self._wanted
        if wanted is not self._conditioned:
            self._condition(wanted, list(range(self._batch.size)))
        elif wanted.z is None and draws_z(self._checkpoint) and self._batch.actions["last"].any():
            self._condition(wanted, np.flatnonzero(self._batch.actions["last"]).tolist())  # where a drawing begins

    def _records(self) -> NDArray[Any]:
        """The next step's records, under the lock; the caller sets ``_taken`` once it has made its own of them."""
        self._prepare()
        if self._batch.steps == self._taken:  # else Ctrl-C came between a step and its delivery: it is still due
            self._batch.step()
        return self._batch.actions
