"""The cpu backend: float32 arithmetic on int16 weights, nothing allocated per step.

The step is ``kernels.update`` (cell and head) and ``kernels.act`` (sampling); this module lays out the memory.
Sampling computes in float64 from the float32 density, so that its choices part from the reference only at near-ties.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models.checkpoint import Checkpoint, Tensor
from . import kernels
from .numpy_batch import NumpyBatch
from .protocol import ACTION, Steer


def _raw(tensors: list[Tensor]) -> tuple[list[NDArray[Any]], list[float]]:
    """Integer weights with their scales where all are int16; else float32 values with scale 1."""
    if all(tensor.values.dtype == np.int16 for tensor in tensors):
        return [tensor.values for tensor in tensors], [tensor.scale for tensor in tensors]
    return [tensor.dense().astype(np.float32) for tensor in tensors], [1.0] * len(tensors)


class CpuBatch(NumpyBatch):
    """``Batch`` in float32; hidden units are padded to whole panels, and the padding stays zero."""

    backend = "cpu"

    def __init__(self, checkpoint: Checkpoint, size: int) -> None:
        self._hidden_size, mixtures = checkpoint.hidden, checkpoint.mixtures
        units = math.ceil(checkpoint.hidden / kernels.UNITS) * kernels.UNITS
        super().__init__(checkpoint, size, np.float32, units)
        rows = math.ceil((5 + units) / kernels.ROWS) * kernels.ROWS
        tensors = checkpoint.tensors
        (w_x, w_h), (scale_x, scale_h) = _raw([tensors["decoder.w_x"], tensors["decoder.w_h"]])
        gates = kernels.by_panel(np.concatenate([w_x[:5], w_h]), checkpoint.hidden)
        scales = np.full(rows, scale_h, np.float32)
        scales[:5] = scale_x
        (head_w,), (scale_head,) = _raw([tensors["head.w"]])
        head_b = kernels.pack(self.decoder.head_b[None].astype(np.float32), 1)[:, 0].copy()
        padded_head = np.zeros((size, head_b.size), np.float32)
        self._head = padded_head[:, : 3 + 6 * mixtures]
        self._mixtures = mixtures
        self._own_uniforms = np.zeros((0, 4))
        sums = np.zeros(kernels.WIDTH, np.float32)
        head = kernels.pack(head_w, units), np.full(units, scale_head, np.float32), head_b
        self._weights = (kernels.pack(gates, rows), scales, *head, self.start_token, sums)
        scratch = np.zeros((size, rows), np.float32)
        start = self.start_hidden, self.start_cell
        self._state = (scratch, self.voices, self.gate_bias, *start, self.given, self.hidden, self.cell, padded_head)

    @property
    def weight_types(self) -> tuple[np.dtype[Any], np.dtype[Any]]:
        """What the kernels are compiled for, gates and head: int16 or float32 each."""
        return self._weights[0].dtype, self._weights[2].dtype

    def _sampled(self, override: NDArray[np.float64]) -> tuple[Any, ...]:
        """What sampling reads and writes, as ``kernels.step`` takes it."""
        temperature = self.divisor, self.spread
        return (self._mixtures, *temperature, override, self.actions, self.scale, self.max_steps, self.count)

    def warm_up(self) -> None:
        """Runs each kernel once and puts everything back."""
        before = self.snapshot()
        self.step()
        self.force(0, np.zeros((1, 3)))
        self.restore(before)
        self.count[:] = 0

    def lay_out(self, gates: NDArray[np.float64]) -> NDArray[np.float64]:
        """By panels of 32 units."""
        return kernels.by_panel(gates, self._hidden_size)

    def step(
        self,
        *,
        uniforms: NDArray[np.float64] | None = None,
        steer: Steer | None = None,
        density: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """``Batch.step``."""
        sampled = self._sampled(self._own_uniforms if uniforms is None else uniforms)
        if steer is None and density is None:
            kernels.step(*self._weights, *self._state, *sampled, kernels.BOTH)
            return self.actions
        with self.whole():
            kernels.step(*self._weights, *self._state, *sampled, kernels.UPDATE)
            if steer is not None:
                steer(self._head)
            if density is not None:
                density[:] = self._head
            kernels.step(*self._weights, *self._state, *sampled, kernels.ACT)
        return self.actions

    def force(
        self, k: int, rows: NDArray[np.float64], density: NDArray[Any] | None = None, *, end: bool = False
    ) -> NDArray[Any]:
        """``Batch.force``."""
        out = np.zeros(len(rows), ACTION)
        one, sampled = tuple(array[k : k + 1] for array in self._state), self._sampled(self._own_uniforms)
        for i, (dx, dy, lift) in enumerate(rows.tolist()):
            kernels.step(*self._weights, *one, *sampled, kernels.UPDATE)
            if density is not None:
                density[i] = self._head[k]
            move = dx / self.scale, dy / self.scale, int(lift)
            kernels.force(
                self.voices[k : k + 1], self.given[k : k + 1], out[i : i + 1], *move, self.scale, self.max_steps
            )
        if end and density is not None:
            hidden, cell = self.hidden[k].copy(), self.cell[k].copy()
            kernels.step(*self._weights, *one, *sampled, kernels.UPDATE)
            density[len(rows)] = self._head[k]
            self.hidden[k], self.cell[k] = hidden, cell
        return out


class CpuBackend:
    """``Backend``: numba on this machine's processor."""

    name = "cpu"

    def __init__(self) -> None:
        self._warm: set[tuple[np.dtype[Any], np.dtype[Any]]] = set()

    def open(self, checkpoint: Checkpoint, size: int) -> CpuBatch:
        """``Backend.open``; compiles, or loads what was compiled, so that no later step waits for it."""
        batch = CpuBatch(checkpoint, size)
        if batch.weight_types not in self._warm:
            batch.warm_up()
            self._warm.add(batch.weight_types)
        return batch


BACKEND = CpuBackend()
