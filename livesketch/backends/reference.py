"""The reference backend: float64 NumPy, one voice after another. It is the definition of a step.

Cell: magenta/magenta ``sketch_rnn/rnn.py`` LSTMCell, gates i, j, f, o. Sampling: ``livesketch.sampling``.
Sums run over the rows of a matrix in one fixed order, so that a voice is bit-equal alone and among others.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import sampling
from ..models.checkpoint import Checkpoint
from .numpy_batch import NumpyBatch, product
from .protocol import ACTION, Steer


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x), np.float64)


class ReferenceBatch(NumpyBatch):
    """``Batch`` in float64."""

    backend = "reference"

    def __init__(self, checkpoint: Checkpoint, size: int) -> None:
        super().__init__(checkpoint, size, np.float64, checkpoint.hidden)
        self._head = np.zeros((size, len(self.decoder.head_b)))

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
            self._move(k, dx / self.scale, dy / self.scale, int(lift), -1)
            out[i] = self.actions[k]
        if end and density is not None:
            hidden, cell = self.hidden[k].copy(), self.cell[k].copy()
            density[len(rows)] = self._update(k)
            self.hidden[k], self.cell[k] = hidden, cell
        return out

    def _update(self, k: int) -> NDArray[np.float64]:
        """The cell takes the given input; returns the head's outputs (3 + 6M,). A finished drawing gives way first."""
        if self.voices[k]["done"]:
            self.voices[k]["drawing"] += 1
            self.restart(k)
        weights = self.decoder
        z = self.gate_bias[k] + product(self.given[k], weights.w_x) + product(self.hidden[k], weights.w_h)
        i, j, f, o = np.split(z, 4)
        self.cell[k] = _sigmoid(f) * self.cell[k] + _sigmoid(i) * np.tanh(j)
        self.hidden[k] = _sigmoid(o) * np.tanh(self.cell[k])
        return np.asarray(weights.head_b + product(self.hidden[k], weights.head_w), np.float64)

    def _uniforms(self, k: int) -> NDArray[np.float64]:
        voice = self.voices[k]
        seed = int(voice["key_low"]) | int(voice["key_high"]) << 32
        return sampling.uniforms(seed, voice["step"], voice["voice"], voice["drawing"])

    def _act(self, k: int, u: NDArray[np.float64]) -> None:
        choice = sampling.sample(self._head[k], self.divisor[k], self.spread[k], u)
        self._move(k, float(choice.dx), float(choice.dy), int(choice.pen), int(choice.component))

    def _move(self, k: int, dx: float, dy: float, pen: int, component: int) -> None:
        """Voice k makes this move (model units); the action is written and becomes the next input."""
        voice, ended = self.voices[k], pen == 2
        self.given[k] = (dx, dy, pen == 0, pen == 1, ended)
        if ended:
            dx = dy = 0.0
        voice["x"] += dx * self.scale
        voice["y"] += dy * self.scale
        last = ended or voice["step"] + 1 >= self.max_steps
        ink = voice["pen"] == 0 and not ended
        place = (voice["drawing"], voice["step"], voice["x"], voice["y"])
        self.actions[k] = (*place, dx * self.scale, dy * self.scale, component, pen, ink, last, ended)
        voice["pen"], voice["done"] = pen, last
        voice["step"] += 1


class ReferenceBackend:
    """``Backend``: the definition."""

    name = "reference"

    def open(self, checkpoint: Checkpoint, size: int) -> ReferenceBatch:
        """``Backend.open``."""
        return ReferenceBatch(checkpoint, size)


BACKEND = ReferenceBackend()
