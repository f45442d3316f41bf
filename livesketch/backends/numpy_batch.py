"""What both own backends share: the condition's constants, and the memory that holds N voices."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ControlError, UnsupportedModelError
from ..models.cells import CELLS
from ..models.checkpoint import Checkpoint
from .cell_math import constant_of
from .protocol import ACTION, VOICE, Mark, Snapshot


@dataclass(frozen=True, slots=True)
class Constants:
    """What stays the same from one change of the condition [z; label] to the next; C may be 0."""

    bias: NDArray[np.float64]
    """(L,): what the sums of a step's gates start from; L as in ``cell_math.constant_of``."""
    weights: NDArray[np.float64]
    """(C, L): what the condition adds to it."""
    start_w: NDArray[np.float64]
    """(C, 2S) and (2S,): tanh gives the first state, in an LSTM c and h, else h and c."""
    start_b: NDArray[np.float64]


def constants_of(checkpoint: Checkpoint) -> Constants:
    """The constants of a checkpoint's decoder.

    Raises:
        UnsupportedModelError: another architecture or cell than this version knows.
    """
    if checkpoint.architecture not in ("sketch_decoder", "sketch_vae") or checkpoint.cell not in CELLS:
        raise UnsupportedModelError(
            f"model {checkpoint.name!r} is a {checkpoint.architecture} with {checkpoint.cell} cells; expected a "
            f"sketch_decoder or sketch_vae with one of {', '.join(CELLS)}; try a newer livesketch"
        )
    tensors, size = checkpoint.tensors, checkpoint.z_size + checkpoint.label_size
    bias, weights = constant_of(tensors, "decoder", checkpoint.cell, checkpoint.forget_bias, size)
    if size:
        return Constants(bias, weights, tensors["start.w"].dense(), tensors["start.b"].dense())
    units = checkpoint.hidden + (tensors["decoder.hyper.w_h"].shape[0] if checkpoint.cell == "hyper" else 0)
    return Constants(bias, weights, np.zeros((0, 2 * units)), np.zeros(2 * units))


class NumpyBatch:
    """State, counters and controls of N voices in NumPy arrays; ``Batch`` but for the steps."""

    def __init__(self, checkpoint: Checkpoint, size: int, dtype: type[np.floating[Any]]) -> None:
        self.size = size
        self.constants = constants_of(checkpoint)
        self._c_first = checkpoint.cell == "lstm"  # rnn.py: LSTMCell keeps [c, h], the other two [h, c]
        self.scale = checkpoint.scale_factor
        self.max_steps = checkpoint.max_steps
        self.start_token = np.array(checkpoint.start_token, dtype)
        self.voices = np.zeros(size, VOICE)
        units = len(self.lay_out_state(np.zeros(len(self.constants.start_b) // 2)))
        self.hidden, self.cell = np.zeros((size, units), dtype), np.zeros((size, units), dtype)
        self.given = np.zeros((size, 5), dtype)
        self.start_hidden, self.start_cell = np.zeros_like(self.hidden), np.zeros_like(self.cell)
        self.gate_bias = np.zeros((size, len(self.lay_out(self.constants.bias))), dtype)
        self.divisor, self.spread = np.ones(size), np.ones(size)
        self.actions = np.zeros(size, ACTION)
        self.count = np.zeros(1, np.int64)
        nothing: tuple[NDArray[np.float64], ...] = ()
        self._latest = np.zeros(0), nothing  # the vector conditioned last, which all voices often share
        for k in range(size):
            self.condition(k, np.zeros(len(self.constants.weights)))
            self.seat(k, 0, 0)

    def seat(self, k: int, seed: int, voice: int, drawing: int = 0) -> None:
        """``Batch.seat``."""
        self.voices[k] = (seed & 0xFFFFFFFF, seed >> 32, voice, drawing, 0, 0.0, 0.0, 0, False)
        self.restart(k)

    def condition(self, k: int, vector: NDArray[np.float64]) -> None:
        """``Batch.condition``."""
        own = self.constants
        if vector.shape != (len(own.weights),):
            raise ControlError(
                f"a condition of shape {vector.shape}; expected ({len(own.weights)},): the latent vector, then the "
                "label's, as far as the model has them"
            )
        if not len(vector):
            self.gate_bias[k] = self.lay_out(own.bias)
            return
        known, found = self._latest
        if not np.array_equal(vector, known):
            found = self._conditioned(vector)
            self._latest = vector.copy(), found
        self.gate_bias[k], self.start_hidden[k], self.start_cell[k] = found
        if self.voices["step"][k] == 0:
            self.hidden[k], self.cell[k] = self.start_hidden[k], self.start_cell[k]

    def _conditioned(self, vector: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        """What a vector (C,) makes of the gates' bias, h and c, each as this backend keeps it in memory."""
        own = self.constants
        first, second = np.split(np.tanh(own.start_b + product(vector, own.start_w)), 2)
        hidden, cell = (second, first) if self._c_first else (first, second)
        bias = self.lay_out(own.bias + product(vector, own.weights))
        return bias, self.lay_out_state(hidden), self.lay_out_state(cell)

    def lay_out(self, gates: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values of gates (L,), each cell's in blocks i, j, f, o, as this backend keeps them in memory."""
        return gates

    def lay_out_state(self, state: NDArray[np.float64]) -> NDArray[np.float64]:
        """An h or c (S,) as this backend keeps it in memory."""
        return state

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

    def mark(self, k: int) -> Mark:
        """``Batch.mark``."""
        mark: Mark = self.voices[k : k + 1].tobytes() + self.given[k].tobytes()
        return mark

    def redo(self, k: int, marks: Sequence[Mark]) -> None:
        """``Batch.redo``."""
        for mark in marks:
            self.look(k)
            self.voices[k] = np.frombuffer(mark, VOICE, 1)[0]
            self.given[k] = np.frombuffer(mark, self.given.dtype, offset=VOICE.itemsize)

    def look(self, k: int) -> None:
        """Runs the cell and the head of voice k on its next input."""
        raise NotImplementedError

    def rekey(self, k: int, seed: int, voice: int) -> None:
        """``Batch.rekey``."""
        own = self.voices[k]
        own["key_low"], own["key_high"], own["voice"] = seed & 0xFFFFFFFF, seed >> 32, voice

    def snapshot(self) -> Snapshot:
        """``Batch.snapshot``; hidden and cell at their length in memory."""
        return Snapshot(self.voices.copy(), self.hidden.copy(), self.cell.copy(), self.given.copy())

    def restore(self, snapshot: Snapshot) -> None:
        """``Batch.restore``."""
        self.voices[:], self.hidden[:] = snapshot.voices, snapshot.hidden
        self.cell[:], self.given[:] = snapshot.cell, snapshot.given


def product(vectors: NDArray[np.float64], matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Vectors (..., K) by matrices (..., K, L): (..., L), summed row by row in one fixed order."""
    return np.asarray((vectors[..., None] * matrices).sum(-2), np.float64)
