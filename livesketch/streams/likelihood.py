"""How likely a model finds strokes that it did not draw."""

from dataclasses import dataclass

import numpy as np

from .. import sampling
from ..backends.protocol import Batch
from ..models.checkpoint import Checkpoint
from ..strokes import Rows


@dataclass(frozen=True, slots=True)
class LogProb:
    """Teacher-forced nats per step: negative log density in model units, at temperature 1; lower is likelier."""

    unmasked: float
    """All n rows and one END, divided by n + 1."""
    masked: float
    """Without the END's pen term, divided by n."""
    steps: int
    """n, the rows."""


def log_prob(batch: Batch, checkpoint: Checkpoint, rows: Rows) -> LogProb:
    """Of rows (n, 3), data units, under a batch of one voice that has drawn nothing and may draw n + 2 steps."""
    density = np.empty((len(rows) + 1, 3 + 6 * checkpoint.mixtures))
    batch.force(0, rows, density, end=True)
    dx, dy = rows[:, :2].T / checkpoint.scale_factor
    offset, pen = sampling.nats(density[:-1], dx, dy, rows[:, 2])
    end = sampling.nats(density[-1], 0.0, 0.0, 2)[1]
    drawn = float(offset.sum() + pen.sum())
    return LogProb((drawn + float(end)) / (len(rows) + 1), drawn / len(rows), len(rows))
