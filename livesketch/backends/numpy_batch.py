"""What the two NumPy-held backends share: the voices' memory, and everything but the arithmetic."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UnsupportedModelError
from ..models.checkpoint import Checkpoint
from .protocol import ACTION, VOICE, Snapshot


@dataclass(frozen=True, slots=True)
class Decoder:
    """A decoder's weights as float64, row-vector convention x @ W, gate blocks i, j, f, o; the forget bias added."""

    w_x: NDArray[np.float64]
    """(5, 4H): the stroke-5 input's rows."""
    w_c: NDArray[np.float64]
    """(C, 4H): the rows of the condition [z; label]; C may be 0."""
    w_h: NDArray[np.float64]
    bias: NDArray[np.float64]
    head_w: NDArray[np.float64]
    head_b: NDArray[np.float64]
    start_w: NDArray[np.float64]
    """(C, 2H) and (2H,): tanh gives the first c (first half) and h; zeros without a condition."""
    start_b: NDArray[np.float64]


def decoder_of(checkpoint: Checkpoint) -> Decoder:
    """The decoder's weights of a checkpoint.

    Raises:
        UnsupportedModelError: another architecture or cell than an LSTM decoder.
    """
    if checkpoint.architecture != "sketch_decoder" or checkpoint.cell != "lstm":
        raise UnsupportedModelError(
            f"model {checkpoint.name!r} is a {checkpoint.architecture} with {checkpoint.cell} cells; "
            "this version draws with sketch_decoder models with lstm cells; a full VAE can be imported, not drawn"
        )
    if checkpoint.z_size:
        raise UnsupportedModelError(
            f"model {checkpoint.name!r} wants a latent vector of {checkpoint.z_size}; this version gives labels only"
        )
    dense = {name: tensor.dense() for name, tensor in checkpoint.tensors.items()}
    hidden = checkpoint.hidden
    bias = dense["decoder.b"].copy()
    bias[2 * hidden : 3 * hidden] += checkpoint.forget_bias
    w_x = dense["decoder.w_x"]
    none = np.zeros((0, 2 * hidden)), np.zeros(2 * hidden)
    start_w, start_b = (dense["start.w"], dense["start.b"]) if "start.w" in dense else none
    return Decoder(w_x[:5], w_x[5:], dense["decoder.w_h"], bias, dense["head.w"], dense["head.b"], start_w, start_b)


class NumpyBatch:
    """State, counters and controls of N voices in NumPy arrays; ``Batch`` but for ``step`` and ``force``."""

    def __init__(self, checkpoint: Checkpoint, size: int, dtype: type[np.floating[Any]], units: int) -> None:
        """``units`` is the length of a voice's h and c in memory: H, or more where padding serves the arithmetic."""
        self.size = size
        self.decoder = decoder_of(checkpoint)
        self.scale = checkpoint.scale_factor
        self.max_steps = checkpoint.max_steps
        self.start_token = np.array(checkpoint.start_token, dtype)
        self.voices = np.zeros(size, VOICE)
        self.hidden, self.cell = np.zeros((size, units), dtype), np.zeros((size, units), dtype)
        self.given = np.zeros((size, 5), dtype)
        self.start_hidden, self.start_cell = np.zeros_like(self.hidden), np.zeros_like(self.cell)
        self.gate_bias = np.zeros((size, 4 * units), dtype)
        self.divisor, self.spread = np.ones(size), np.ones(size)
        self.actions = np.zeros(size, ACTION)
        self.count = np.zeros(1, np.int64)
        for k in range(size):
            self.condition(k, np.zeros(len(self.decoder.w_c)))
            self.seat(k, 0, 0)

    def seat(self, k: int, seed: int, voice: int, drawing: int = 0) -> None:
        """``Batch.seat``."""
        self.voices[k] = (seed & 0xFFFFFFFF, seed >> 32, voice, drawing, 0, 0.0, 0.0, 0, False)
        self.restart(k)

    def condition(self, k: int, vector: NDArray[np.float64]) -> None:
        """``Batch.condition``."""
        weights = self.decoder
        if not len(vector):
            self.gate_bias[k] = self.lay_out(weights.bias)
            return
        self.gate_bias[k] = self.lay_out(weights.bias + product(vector, weights.w_c))
        start = np.tanh(weights.start_b + product(vector, weights.start_w))
        hidden = len(start) // 2
        self.start_cell[k, :hidden], self.start_hidden[k, :hidden] = np.split(start, 2)

    def lay_out(self, gates: NDArray[np.float64]) -> NDArray[np.float64]:
        """Gate values (4H,) in blocks i, j, f, o as this backend keeps them in memory, (4 units,)."""
        return gates

    @property
    def steps(self) -> int:
        """``Batch.steps``."""
        return int(self.count[0])

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Puts everything back where an interruption breaks the block off."""
        before = self.snapshot()
        try:
            yield
        except BaseException:
            self.restore(before)
            raise

    def heat(self, k: int, divisor: float, spread: float) -> None:
        """``Batch.heat``."""
        self.divisor[k], self.spread[k] = divisor, spread

    def restart(self, k: int) -> None:
        """``Batch.restart``."""
        voice = self.voices[k]
        voice["step"], voice["x"], voice["y"], voice["pen"], voice["done"] = 0, 0.0, 0.0, 0, False
        self.hidden[k], self.cell[k], self.given[k] = self.start_hidden[k], self.start_cell[k], self.start_token

    def snapshot(self) -> Snapshot:
        """``Batch.snapshot``; hidden and cell at their length in memory."""
        return Snapshot(self.voices.copy(), self.hidden.copy(), self.cell.copy(), self.given.copy())

    def restore(self, snapshot: Snapshot) -> None:
        """``Batch.restore``."""
        self.voices[:], self.hidden[:] = snapshot.voices, snapshot.hidden
        self.cell[:], self.given[:] = snapshot.cell, snapshot.given


def product(vector: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The product vector @ matrix, summed row by row in one fixed order."""
    return np.asarray((vector[:, None] * matrix).sum(0), np.float64)
