"""Starting the kernels of ``cuda_kernels``: weights as they want them, grids, and which of them a batch takes."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..models.checkpoint import Checkpoint
from ..models.checkpoint import Tensor as Stored
from .cuda_cells import added

if TYPE_CHECKING:
    from .cuda_sketch import SketchMachine

FEW: Final = 16
"""Voices up to which each has programs of its own. Guessed from the bytes they read, and not yet measured."""

_INPUTS: Final = 5
ROWS, UNITS = 64, 4  # of a tile of lstm_few: a model of 512 units has 128 programs, about one a multiprocessor
_HEAD_ROWS: Final = 16
_MANY_VOICES, _MANY_ROWS = 128, 64  # of a tile of lstm_many, with the units of one of these
_MANY_UNITS, _MANY_UNITS_CONDITIONED = 64, 32  # biases of their own for all voices leave fewer registers
_ACTS: Final = 32
"""Voices of one program that samples."""
_BEGINS: Final = 4
"""Voices of one program that begins drawings."""


class Fused:
    """The kernels that a machine's programs use."""

    def __init__(self, checkpoint: Checkpoint, machine: "SketchMachine", products: torch.dtype) -> None:
        from . import cuda_kernels  # noqa: PLC0415 - imports triton

        self._kernels: Any = cuda_kernels
        self._machine, self._units, self._mixtures = machine, checkpoint.hidden, checkpoint.mixtures
        self._max_steps = checkpoint.max_steps
        facts = [checkpoint.scale_factor, math.log(2), 2 * math.pi]
        self._facts = torch.tensor(facts, dtype=torch.float64, device=machine.device)
        self._everyone = torch.ones(machine.size, dtype=torch.int64, device=machine.device)
        self._conditioned = bool(checkpoint.z_size + checkpoint.label_size)
        self._tile_units = _MANY_UNITS_CONDITIONED if self._conditioned else _MANY_UNITS
        lstm, fast = checkpoint.cell == "lstm", products != torch.float32
        self._few = lstm and machine.size <= FEW
        self.cells = self._few or (lstm and fast)
        """Whether they have the cell and the head too, or only the sampling."""
        if self._few:
            self._place_few(checkpoint, products if fast else None)
        elif self.cells:
            self._place_many(checkpoint, products)
        self._fresh = torch.zeros_like(machine.hidden) if self.cells else machine.hidden

    # Weights

    def _place_few(self, checkpoint: Checkpoint, products: torch.dtype | None) -> None:
        (w_x, w_h), scales = stored(checkpoint.tensors, ("decoder.w_x", "decoder.w_h"))
        self._gates, self._scales = pack_gates(w_x[:_INPUTS], w_h, scales, products, self._machine.device)
        (head,), (scale,) = stored(checkpoint.tensors, ("head.w",))
        bias = checkpoint.tensors["head.b"].dense()
        width = _power(len(bias))
        padded = np.zeros((_whole(len(head), _HEAD_ROWS), width), head.dtype)
        padded[: len(head), : head.shape[1]] = head
        device = self._machine.device
        self._head, self._head_scales = _packed(padded, np.full(len(head), scale), _HEAD_ROWS, products, device)
        self._head_bias = _vector(bias, width, device)

    def _place_many(self, checkpoint: Checkpoint, products: torch.dtype) -> None:
        dense = {name: checkpoint.tensors[f"decoder.{name}"].dense() for name in ("w_x", "w_h")}
        of_x, of_h = dense["w_x"][:_INPUTS], dense["w_h"]
        device = self._machine.device
        self._of_x, self._of_h = (
            torch.tensor(tiled(values, rows, self._tile_units, side_by_side=True), dtype=products, device=device)
            for values, rows in ((of_x, 16), (of_h, _MANY_ROWS))
        )

    # Steps

    def update(self, live: Tensor | None, turn: int, *, act: bool) -> None:
        """The cell and the head of the live voices, into the machine's ``head``; with ``act`` their actions too.

        After a ``turn`` of 0, or one of 1 behind it, ``settle`` with the same puts h where the others look for it.
        """
        live = self._everyone if live is None else live
        if self._few:
            self._update_few(live, act=act)
            return
        self._update_many(live, turn)
        if act:
            self.act(given=False)

    def settle(self, turn: int) -> None:
        """See ``update``."""
        if not self._few and turn == 0:
            self._machine.hidden.copy_(self._fresh)

    def _update_many(self, live: Tensor, turn: int) -> None:
        own, units = self._machine, self._units
        before, after = (own.hidden, self._fresh) if turn == 0 else (self._fresh, own.hidden)
        self._kernels.begin_many[(math.ceil(own.size / _BEGINS),)](
            own.which.device, own.own.device, live, own.starts, own.token, before, own.cell, own.given.device, units,
            own.size, BM=_BEGINS, STATE=_power(units), num_warps=4,
        )  # fmt: skip
        self._kernels.lstm_many[(math.ceil(own.size / _MANY_VOICES), self._of_h.shape[0])](
            self._of_h, self._of_x, own.rows, own.which.device, live, own.given.device, before, own.cell, after, units,
            own.size, K=self._of_h.shape[1], BM=_MANY_VOICES, BK=_MANY_ROWS, BU=self._tile_units,
            CONDITIONED=int(self._conditioned), num_warps=8, num_stages=3,
        )  # fmt: skip
        own.head.device.copy_(added(own.head_b, after, own.head_w))

    def _update_few(self, live: Tensor, *, act: bool) -> None:
        own, units = self._machine, self._units
        blocks, rows = self._gates.shape[:2]
        self._kernels.lstm_few[(blocks, own.size)](
            self._gates, self._scales, own.rows, own.which.device, own.own.device, live, own.given.device, own.token,
            own.hidden, own.cell, own.starts, self._fresh, _INPUTS, 0, units, units,
            own.size, INPUTS=_INPUTS, K=rows, BK=ROWS, BU=UNITS, num_warps=4,
        )  # fmt: skip
        self._kernels.head_few[(own.size,)](
            self._head, self._head_scales, self._head_bias, own.own.device, live, self._fresh, own.hidden,
            own.given.device, own.heat.device, self._facts, own.chance.device, own.head.device, own.results.device,
            units, units, own.size, own.outputs, self._mixtures, self._max_steps,
            K=self._head.shape[0], BK=_HEAD_ROWS, WIDTH=self._head.shape[1], STATE=_power(units),
            MIXTURES=_power(self._mixtures), ACT=int(act), num_warps=8,
        )  # fmt: skip

    def act(self, *, given: bool) -> None:
        """The actions of all voices from the machine's ``head``; with ``given`` its ``chance`` may say the uniforms."""
        own = self._machine
        voices = 1 if self._few else _ACTS
        self._kernels.act_many[(math.ceil(own.size / voices),)](
            own.own.device, own.given.device, own.heat.device, self._facts, own.chance.device, own.head.device,
            own.results.device, own.size, own.outputs, self._mixtures, self._max_steps,
            BM=voices, MIXTURES=_power(self._mixtures), GIVEN=int(given), num_warps=1 if self._few else 4,
        )  # fmt: skip


def tiled(gates: NDArray[Any], rows: int, units: int, *, side_by_side: bool = False) -> NDArray[Any]:
    """Gates (k, 4H) in blocks i, j, f, o as tiles (P, K, 4 units), K whole ``rows``; zeros beyond.

    The columns of a tile stand gate by gate, or ``side_by_side`` unit by unit.
    """
    count, hidden = len(gates), gates.shape[1] // 4
    blocks = math.ceil(hidden / units)
    padded = np.zeros((_whole(count, rows), 4, blocks * units), gates.dtype)
    padded[:count, :, :hidden] = gates.reshape(count, 4, hidden)
    parted = padded.reshape(len(padded), 4, blocks, units).transpose((2, 0, 3, 1) if side_by_side else (2, 0, 1, 3))
    return np.ascontiguousarray(parted).reshape(blocks, len(padded), 4 * units)


def pack_gates(
    w_x: NDArray[Any],
    w_h: NDArray[Any],
    scales: Sequence[float],
    products: torch.dtype | None,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """The rows of an input and of h as ``lstm_few`` takes them, with the rows' scales; two scales are given."""
    gates = np.concatenate([w_x, w_h])
    rows = np.full(len(gates), scales[1])
    rows[: len(w_x)] = scales[0]
    return _packed(tiled(gates, ROWS, UNITS), rows, ROWS, products, device)


def _packed(
    weights: NDArray[Any],
    scales: NDArray[np.float64],
    rows: int,
    products: torch.dtype | None,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """Weights (..., K, columns) with their rows' scales (K,), or, in the type of products, multiplied already."""
    whole = _whole(len(scales), rows)
    padded = np.zeros(whole)
    padded[: len(scales)] = scales
    if products is None:
        return torch.tensor(weights, device=device), _vector(padded, whole, device)
    return torch.tensor(weights * padded[:, None], device=device).to(products), torch.ones(whole, device=device)


def _vector(values: NDArray[np.float64], length: int, device: torch.device) -> Tensor:
    padded = np.zeros(length, np.float32)
    padded[: len(values)] = values
    return torch.tensor(padded, device=device)


def stored(tensors: Mapping[str, Stored], names: tuple[str, ...]) -> tuple[list[NDArray[Any]], list[float]]:
    """Tensors as int16 with their scales where all are; else float32 with scale 1."""
    found = [tensors[name] for name in names]
    if all(tensor.values.dtype == np.int16 for tensor in found):
        return [tensor.values for tensor in found], [tensor.scale for tensor in found]
    return [tensor.dense().astype(np.float32) for tensor in found], [1.0] * len(found)


def _whole(count: int, size: int) -> int:
    return math.ceil(count / size) * size


def _power(count: int) -> int:
    """The next power of two, at least 16, which tiles are made of."""
    return max(16, 1 << (count - 1).bit_length())
