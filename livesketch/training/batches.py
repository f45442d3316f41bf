"""Drawings as training batches: flat in memory, bucketed by length, augmented as Sketch-RNN does.

Everything random takes a generator, so that a training which goes on after an interruption sees the same batches.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .groups import by_length, mixed


@dataclass(frozen=True, slots=True)
class Batch:
    """Drawings side by side, time first."""

    rows: Tensor
    """(T + 2, B, 5) stroke-5 in model units: the start token, the T rows of the longest, and END rows behind each."""
    lengths: Tensor
    """(B,): rows of each drawing, without start token and END."""
    labels: Tensor
    """(B,)."""

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        return Batch(self.rows.to(device), self.lengths.to(device), self.labels.to(device))

    def select(self, ids: Tensor) -> "Batch":
        """Some of the drawings, by their places."""
        lengths = self.lengths[ids]
        return Batch(self.rows[: int(lengths.max()) + 2, ids], lengths, self.labels[ids])


class Sketches:
    """Drawings in one array of rows, in model units.

    Args:
        drawings: stroke-3 arrays (n, 3) in data units, none of them empty.
        labels: (drawings,) class numbers.
        scale_factor: data units per model unit.
        start: the start token.
    """

    def __init__(
        self, drawings: Sequence[NDArray[np.float32]], labels: NDArray[np.int64], scale_factor: float,
        start: Sequence[float] = (0, 0, 1, 0, 0),
    ) -> None:  # fmt: skip
        self._start = np.array(start, np.float32)
        self.lengths = np.array([len(rows) for rows in drawings], np.int64)
        self.labels = np.asarray(labels, np.int64)
        self._first = np.concatenate([[0], self.lengths.cumsum()])
        self._rows = np.concatenate([*drawings, np.zeros((0, 3))]).astype(np.float32)
        self._rows[:, :2] /= scale_factor

    def __len__(self) -> int:
        return len(self.lengths)

    def _gather(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Rows of these drawings one after the other, and for each row the place of its drawing in ``ids``."""
        lengths = self.lengths[ids]
        owner = np.repeat(np.arange(len(ids)), lengths)
        return self._rows[np.repeat(self._first[ids], lengths) + place_in(owner, lengths)], owner

    def batch(self, ids: NDArray[np.int64], length: int = 0) -> Batch:
        """These drawings as they are; with ``length``, END rows behind them up to that many rows."""
        rows, owner = self._gather(ids)
        return self._padded(ids, rows, owner, length)

    def augmented(self, ids: NDArray[np.int64], rng: np.random.Generator, scale: float, drop: float) -> Batch:
        """These drawings, x and y of each scaled by a factor from 1 - scale to 1 + scale, inner points dropped.

        Sources: magenta/magenta ``sketch_rnn/utils.py``, ``augment_strokes`` and ``DataLoader.random_scale``.
        """
        rows, owner = self._gather(ids)
        rows, owner = drop_points(rows, owner, rng.random(len(rows)) < drop)
        factors = rng.uniform(1 - scale, 1 + scale, (len(ids), 2)).astype(np.float32)
        rows[:, :2] *= factors[owner]
        return self._padded(ids, rows, owner)

    def _padded(
        self, ids: NDArray[np.int64], rows: NDArray[np.float32], owner: NDArray[np.int64], length: int = 0
    ) -> Batch:
        lengths = np.bincount(owner, minlength=len(ids))
        out = np.zeros((max(int(lengths.max()) + 2, length + 1), len(ids), 5), np.float32)
        out[0] = self._start
        out[1:, :, 4] = 1
        at = place_in(owner, lengths) + 1
        out[at, owner, :2] = rows[:, :2]
        out[at, owner, 2], out[at, owner, 3], out[at, owner, 4] = 1 - rows[:, 2], rows[:, 2], 0
        return Batch(torch.from_numpy(out), torch.from_numpy(lengths), torch.from_numpy(self.labels[ids]))

    def groups(self, size: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
        """All drawings once, in groups of ``size`` of about equal length, in random order; the last may be smaller."""
        return mixed(self.lengths, size, rng)

    def by_length(self, size: int, ids: NDArray[np.int64] | None = None) -> list[NDArray[np.int64]]:
        """These drawings, or all, in groups of ``size``, the shortest first: for evaluation."""
        return by_length(self.lengths, size, ids)


def place_in(owner: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of each row its place in its drawing, where rows stand drawing by drawing."""
    first = np.concatenate([[0], lengths.cumsum()])[:-1]
    return np.asarray(np.arange(len(owner)) - first[owner], np.int64)


def drop_points(
    rows: NDArray[np.float32], owner: NDArray[np.int64], chance: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Merges rows where ``chance`` is true into the row before, so that the drawing keeps its place.

    Never the end of a stroke, and of each stroke only from the third inner point on (``augment_strokes``).
    """
    index = np.arange(len(rows))
    begins = np.flatnonzero(np.diff(owner, prepend=-1))
    before = np.where(rows[:, 2] > 0, index, -1)  # the last row that was no inner point, up to and with this one
    before[begins] = np.maximum(before[begins], begins - 1)
    inner = index - np.maximum.accumulate(before)
    keep = np.flatnonzero(~(chance & (inner > 2)))
    path = rows[:, :2].astype(np.float64).cumsum(0)
    ends = path[np.append(keep[1:], len(rows)) - 1]  # of each kept row with those merged into it
    moved = np.diff(ends, axis=0, prepend=np.zeros((1, 2)))
    return np.concatenate([moved, rows[keep, 2:]], 1).astype(np.float32), owner[keep]
