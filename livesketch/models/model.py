"""What a model is in memory: weights, and what is known about them.

Matrices are kept for row vectors, x @ W; the gate columns come in the blocks i, j (the tanh), f, o, as in magenta's
``sketch_rnn/rnn.py``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CheckpointError


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """Stored weights; a weight is ``values`` times ``scale``."""

    values: NDArray[Any]
    """int16, float16 or float32."""
    scale: float = 1.0

    def dense(self) -> NDArray[np.float64]:
        """The weights, same shape."""
        return self.values.astype(np.float64) * self.scale

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape."""
        return self.values.shape


@dataclass(frozen=True, slots=True, eq=False)
class CheckpointInfo:
    """All that a checkpoint says about a model, without its weights."""

    name: str
    architecture: str
    """``sketch_decoder``, which draws, or ``sketch_vae``, which also encodes."""
    cell: str
    """The decoder's: ``lstm``, ``layer_norm`` or ``hyper`` (see ``cells``)."""
    hidden: int
    """Units H of the decoder, 1 … 16384."""
    mixtures: int
    """Gaussian components M, 1 … 1000."""
    z_size: int
    """Length of the latent vector; 0 without one."""
    label_size: int
    """Length of the label vector; 0 without labels."""
    labels: tuple[str, ...]
    """The classes of a class-conditional model; empty where it draws one thing."""
    scale_factor: float
    """Data units per model unit."""
    stage_units: float
    """Data units across the stage."""
    max_steps: int
    """A drawing is cut after so many steps, 1 … 10**6."""
    start_token: tuple[float, ...]
    """The stroke-5 input of the first step."""
    start_pen: str
    """``down``: the first move leaves ink."""
    forget_bias: float
    """Added to the forget gate when the model runs; not in the stored bias."""
    licence: str
    attribution: str
    data: str
    """What it was trained on."""
    losses: Mapping[str, float]
    """Measured, by name."""
    source: Mapping[str, Any]
    """Where the file came from; JSON values."""
    encoder_cell: str = ""
    """The encoder's cell, in both directions; empty without an encoder."""
    z_optional: bool = False
    """Whether the model learnt to draw without a latent vector too: all zeros then stand for the label alone."""


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint(CheckpointInfo):
    """A model: weights, and what is known about them. ``checks.shapes_of`` lists the tensors."""

    tensors: Mapping[str, Tensor] = field(default_factory=dict)


def quantize(array: NDArray[Any]) -> Tensor:
    """Weights as int16 with one scale, largest / 32767; each is off by at most half a scale.

    Raises:
        CheckpointError: a weight is NaN or infinite.
    """
    dense = np.asarray(array, np.float64)
    if not np.isfinite(dense).all():
        raise CheckpointError("weights with NaN or infinity cannot be stored; look for a loss that went wrong")
    peak = float(np.abs(dense).max(initial=0.0))
    scale = max(peak / 32767, 1e-30) if peak else 1.0
    return Tensor(np.rint(dense / scale).astype(np.int16), scale)
