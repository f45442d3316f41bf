"""What is being drawn: Bayes' rule over the labels of a class-conditional model, as in Google's game Quick, Draw!

One voice for each label follows the drawing so far. The probability of label y is proportional to
p(rows | y, z), every label being as likely beforehand; the likelihood is that of ``likelihood.log_prob``, but that the
pen's state after the last point does not count while the drawing goes on: a hand may be lifted there or not.
"""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from .. import sampling
from ..backends.protocol import Backend, Snapshot
from ..errors import UnsupportedModelError
from ..latents import Floats
from ..models.checkpoint import Checkpoint
from ..rows import MAX_ROWS
from ..strokes import Rows
from .condition import draws_z, label_vector

_CHUNK: Final = 32  # rows of density that are held at a time
_END: Final = 2


class Guess(NamedTuple):
    """A label and how probable it is; unpacks as a pair."""

    label: str
    probability: float
    """0 … 1; those of all labels sum to 1."""


class Guesser:
    """A batch with one voice for each label, and where it is in a drawing: a drawing that grew is taken up there."""

    def __init__(self, backend: Backend, checkpoint: Checkpoint) -> None:
        """Opens the batch.

        Raises:
            UnsupportedModelError: the model has no labels.
        """
        if not checkpoint.labels:
            raise UnsupportedModelError(
                f"model {checkpoint.name!r} draws one thing and has no labels to guess; expected a class-conditional "
                "model, such as the bundled one: ls.sketch('cat').guess(strokes)"
            )
        self._checkpoint = checkpoint
        self._labels = np.array([label_vector(checkpoint, ((label, 1.0),)) for label in checkpoint.labels])
        self._batch = backend.open(replace(checkpoint, max_steps=MAX_ROWS + 2), len(checkpoint.labels))
        self._density = np.empty((_CHUNK, self._batch.size, 3 + 6 * checkpoint.mixtures))
        self._lock = threading.Lock()
        self._z: Floats | None = None
        self._begin(np.zeros(checkpoint.z_size))

    def guess(self, rows: Rows, encode: Callable[[Rows], Floats], *, ended: bool) -> list[Guess]:
        """All labels, likeliest first, for rows (n, 3) in data units; equally likely ones in the model's order.

        ``encode`` gives the latent (z_size,) of rows: the mean of what the encoder says of them stands for z in models
        that do not draw without, and is another as rows come, so that these follow each drawing from its beginning.
        """
        nats = np.zeros(self._batch.size)
        if len(rows):
            z = encode(rows) if draws_z(self._checkpoint) else np.zeros(self._checkpoint.z_size)
            with self._lock:
                self._follow(rows, z)
                nats = self._nats
                if ended:
                    nats = nats + self._pen[:, int(rows[-1, 2])] + self._end()
        likelihoods = np.exp(nats.min() - nats)
        shares = likelihoods / likelihoods.sum()
        return [Guess(self._checkpoint.labels[k], float(shares[k])) for k in np.argsort(nats, kind="stable").tolist()]

    def _begin(self, z: Floats) -> None:
        """Every voice at the beginning of a drawing, with its label and z."""
        self._before: Snapshot | None = None  # should this be broken off, the next guess begins anew
        """The batch before the last row, whose pen state may turn out another."""
        if self._z is None or not np.array_equal(z, self._z):
            self._z = None  # likewise
            for k, label in enumerate(self._labels):
                self._batch.condition(k, np.concatenate([z, label]))
            self._z = z
        for k in range(self._batch.size):
            self._batch.restart(k)
        self._rows: Rows = np.zeros((0, 3))
        self._nats = np.zeros(self._batch.size)
        """Of each label, the offsets of all rows and the pen after all but the last."""
        self._pen = np.zeros((self._batch.size, 3))
        """Of each label, what each state of the pen after the last row would add."""

    def _follow(self, rows: Rows, z: Floats) -> None:
        """Brings every voice behind these rows; those that it has followed already are not run again."""
        known, before = len(self._rows), self._before
        grew = before is not None and len(rows) >= known and self._z is not None and np.array_equal(z, self._z)
        if not grew or not np.array_equal(rows[:known].ravel()[:-1], self._rows.ravel()[:-1]):
            self._begin(z)
            known = 0
        followed, self._before = self._rows, None  # broken off from here on, the next guess begins anew
        if known and rows[known - 1, 2] != followed[-1, 2] and before is not None:
            self._batch.restore(before)  # now it is known what the pen does there: this one row is followed again
            self._batch.follow(rows[known - 1 : known])
        for i in range(known, len(rows) - 1, _CHUNK):
            self._add(rows, i, min(i + _CHUNK, len(rows) - 1))
        if known < len(rows):
            before = self._batch.snapshot()
            self._add(rows, len(rows) - 1, len(rows))
        self._rows, self._before = rows.copy(), before

    def _add(self, rows: Rows, start: int, stop: int) -> None:
        """Follows rows[start:stop] and adds what they cost, row by row: the sum does not depend on the parts."""
        self._batch.follow(rows[start:stop], self._density[: stop - start])
        for i in range(start, stop):
            head = self._density[i - start]
            dx, dy = rows[i, :2] / self._checkpoint.scale_factor
            if i:
                self._nats = self._nats + self._pen[:, int(rows[i - 1, 2])]
            self._nats = self._nats + sampling.nats(head, dx, dy, np.zeros(len(head)))[0]
            self._pen = -sampling.log_softmax(head[:, :3])

    def _end(self) -> Floats:
        """What an END after the last row costs under each label; the batch stays where it is."""
        before, self._before = self._before, None  # broken off, the next guess begins anew
        here = self._batch.snapshot()
        self._batch.follow(np.zeros((1, 3)), self._density[:1])
        self._batch.restore(here)
        self._before = before
        return np.asarray(-sampling.log_softmax(self._density[0, :, :3])[:, _END])
