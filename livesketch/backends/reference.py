"""The reference backend: float64 NumPy, one voice after another. It is the definition of a step.

Cells: ``cell_math``. Sampling: ``livesketch.sampling``. Sums run over the rows of a matrix in one fixed order, so that
a voice is bit-equal alone and among others.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import sampling
from ..models.checkpoint import Checkpoint, TextCheckpoint
from . import cell_math
from .numpy_batch import NumpyBatch, product
from .protocol import ACTION, Steer

if TYPE_CHECKING:
    from .text_reference import TextReferenceBatch


class ReferenceBatch(NumpyBatch):
    """``Batch`` in float64."""

    backend = "reference"

    def __init__(self, checkpoint: Checkpoint, size: int) -> None:
        super().__init__(checkpoint, size, np.float64)
        tensors = checkpoint.tensors
        self._cell = cell_math.cell_of(tensors, "decoder", checkpoint.cell, checkpoint.forget_bias)
        self._head_w, self._head_b = tensors["head.w"].dense(), tensors["head.b"].dense()
        self._head = np.zeros((size, len(self._head_b)))

    def step(
        self,
        *,
        uniforms: NDArray[np.float64] | None = None,
        steer: Steer | None = None,
        density: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """``Batch.step``."""
        with self.whole():
            for k in range(self.size):
                self._head[k] = self._update(k)
            if steer is not None:
                steer(self._head)
            if density is not None:
                density[:] = self._head
            for k in range(self.size):
                self._act(k, uniforms[k] if uniforms is not None else self._uniforms(k))
            self.count += 1
        return self.actions

    def force(
        self, k: int, rows: NDArray[np.float64], density: NDArray[Any] | None = None, *, end: bool = False
    ) -> NDArray[Any]:
        """``Batch.force``."""
        out = np.zeros(len(rows), ACTION)
        for i, (dx, dy, lift) in enumerate(rows.tolist()):
            head = self._update(k)
            if density is not None:
                density[i] = head
            out[i] = self._move(k, dx / self.scale, dy / self.scale, int(lift), -1)
        if end and density is not None:
            before = self.snapshot()
            density[len(rows)] = self._update(k)
            self.restore(before)
        return out

    def follow(self, rows: NDArray[np.float64], density: NDArray[Any] | None = None) -> None:
        """``Batch.follow``."""
        with self.whole():
            for k in range(self.size):
                self.force(k, rows, None if density is None else density[:, k])

    def look(self, k: int) -> None:
        """``NumpyBatch.look``."""
        self._update(k)

    def _update(self, k: int) -> NDArray[np.float64]:
        """The cell takes the given input; returns the head's outputs (3 + 6M,). A finished drawing gives way first."""
        if self.voices[k]["done"]:
            self.voices[k]["drawing"] += 1
            self.restart(k)
        given, constant = self.given[k], self.gate_bias[k]
        self.hidden[k], self.cell[k] = cell_math.step(
            self._cell, given, self.hidden[k], self.cell[k], constant, product
        )
        return np.asarray(self._head_b + product(self.hidden[k, : len(self._head_w)], self._head_w), np.float64)

    def _uniforms(self, k: int) -> NDArray[np.float64]:
        voice = self.voices[k]
        seed = int(voice["key_low"]) | int(voice["key_high"]) << 32
        return sampling.uniforms(seed, voice["step"], voice["voice"], voice["drawing"])

    def _act(self, k: int, u: NDArray[np.float64]) -> None:
        choice = sampling.sample(self._head[k], self.divisor[k], self.spread[k], u)
        self.actions[k] = self._move(k, float(choice.dx), float(choice.dy), int(choice.pen), int(choice.component))

    def _move(self, k: int, dx: float, dy: float, pen: int, component: int) -> tuple[Any, ...]:
        """Voice k makes this move (model units), which becomes the next input; returns the ACTION record's fields."""
        voice, ended = self.voices[k], pen == 2
        self.given[k] = (dx, dy, pen == 0, pen == 1, ended)
        if ended:
            dx = dy = 0.0
        voice["x"] += dx * self.scale
        voice["y"] += dy * self.scale
        last = ended or voice["step"] + 1 >= self.max_steps
        ink = voice["pen"] == 0 and not ended
        place = (voice["drawing"], voice["step"], voice["x"], voice["y"])
        voice["pen"], voice["done"] = pen, last
        voice["step"] += 1
        return (*place, dx * self.scale, dy * self.scale, component, pen, ink, last, ended)


class ReferenceBackend:
    """``Backend``: the definition."""

    name = "reference"

    def open(self, checkpoint: Checkpoint, size: int) -> ReferenceBatch:
        """``Backend.open``."""
        return ReferenceBatch(checkpoint, size)

    def open_text(self, checkpoint: TextCheckpoint, size: int) -> "TextReferenceBatch":
        """``Backend.open_text``."""
        from .text_reference import TextReferenceBatch  # noqa: PLC0415 - what draws does not load it

        return TextReferenceBatch(checkpoint, size)


BACKEND = ReferenceBackend()
