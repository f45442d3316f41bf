"""How the cpu backend keeps a checkpoint's weights: in panels, int16 where the checkpoint holds int16.

Each cell has a builder that gives the leading arguments of its kernel ``update``: first the weights, then what each
voice needs for scratch. ``livesketch.backends.kernels`` says what the layouts are.
"""

import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..models.checkpoint import Checkpoint, Tensor
from .cell_math import Norms, norms_of
from .kernels import common
from .kernels.common import INPUT
from .kernels.tiles import factor

Array: TypeAlias = NDArray[Any]

INT16_LEAST: Final = -(2**15)
"""Which ``tiles.interleaved`` does not take."""


@dataclass(frozen=True, slots=True)
class Laid:
    """A checkpoint laid out for N voices."""

    update: Callable[..., None]
    """The kernel of the cell."""
    weights: tuple[Any, ...]
    scratch: tuple[Array, ...]
    """(N, ...) each."""
    own: tuple[int, ...]
    """Which of the weights are scratch that voices use one after another: threads have their own."""
    types: tuple[str, ...]
    """What the kernel is compiled for: the cell, the number types of its weights, and whether it is for one voice."""


def padded(units: int) -> int:
    """Units in whole panels."""
    return math.ceil(units / common.UNITS) * common.UNITS


def laid_out(checkpoint: Checkpoint, size: int, *, fast: bool = False) -> Laid:
    """The weights of a checkpoint, whose cell is one of ``models.cells.CELLS``, and scratch memory for its voices.

    ``fast``: weights and inputs of products rounded to bfloat16.
    """
    parts = _BUILDERS[checkpoint.cell](checkpoint, rounded if fast else raw)
    own = np.array(checkpoint.start_token, np.float32), np.zeros((common.TILE, common.WIDTH), np.float32)
    several = (True if size > 1 else None,) if checkpoint.cell == "lstm" else ()
    given = *several, *parts.weights, *own
    weights = tuple(common.aligned(part) if isinstance(part, np.ndarray) else part for part in given)
    numbers = (str(array.dtype) for array in parts.weights if isinstance(array, np.ndarray))
    return Laid(
        importlib.import_module(f".kernels.{checkpoint.cell}", __package__).update,
        weights,
        (
            *(common.aligned(np.zeros((size, length), np.uint16 if fast else np.float32)) for length in parts.inputs),
            *(common.aligned(np.zeros((size, *shape), np.float32)) for shape in parts.scratch),
        ),
        (len(weights) - 1, *parts.own),
        (checkpoint.cell, str(several), *numbers),
    )


def behind_gates(checkpoint: Checkpoint) -> Array:
    """What stands behind the gates in the bias of each voice: the head's bias where the kernel has it in its panels."""
    return _head_bias(checkpoint).ravel() if checkpoint.cell == "lstm" else np.zeros(0)


def raw(tensors: list[Tensor]) -> tuple[list[Array], list[float]]:
    """Integer weights with their scales where all are int16 above the least of these; else float32 values, scale 1."""
    if all(map(_whole, tensors)):
        return [tensor.values for tensor in tensors], [tensor.scale for tensor in tensors]
    return [tensor.dense().astype(np.float32) for tensor in tensors], [1.0] * len(tensors)


def _whole(tensor: Tensor) -> bool:
    """Whether the kernels take its integers."""
    usual = 2.0**-64 < tensor.scale < 2.0**32  # of others float32 could not tell the quotients
    return usual and tensor.values.dtype == np.int16 and tensor.values.min(initial=0) > INT16_LEAST


def rounded(tensors: list[Tensor]) -> tuple[list[Array], list[float]]:
    """Values rounded to bfloat16, with scale 1."""
    return [common.bf16(tensor.dense().astype(np.float32)) for tensor in tensors], [1.0] * len(tensors)


_Take: TypeAlias = Callable[[list[Tensor]], tuple[list[Array], list[float]]]


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a cell's builder gives."""

    weights: tuple[Any, ...]
    inputs: tuple[int, ...]
    """How long each voice's inputs of products are."""
    scratch: tuple[tuple[int, ...], ...] = ()
    """The shapes of each voice's other scratch memory."""
    own: tuple[int, ...] = ()
    """Which of the weights are scratch."""


def _gates(checkpoint: Checkpoint, take: _Take) -> tuple[Array, Array]:
    """The matrix of a step's input and h as one (P, K, 128), and the scales of its rows (K,)."""
    (w_x, w_h), scales = take([checkpoint.tensors[name] for name in ("decoder.w_x", "decoder.w_h")])
    rows = whole_turns(5 + padded(checkpoint.hidden))
    gates = common.by_panel(np.concatenate([w_x[:5], w_h]), checkpoint.hidden)
    of_rows = np.full(rows, scales[1], np.float32)
    of_rows[:5] = scales[0]
    return common.pack(gates, rows), of_rows * np.float32(factor(gates))


def _head(checkpoint: Checkpoint, take: _Take) -> tuple[Array, Array, Array]:
    """The head's matrix (Q, 32 P, 128), the scales of its rows (32 P,), and its bias (Q, 128)."""
    (head_w,), (scale,) = take([checkpoint.tensors["head.w"]])
    units = padded(checkpoint.hidden)
    scales = np.full(units, scale * factor(head_w), np.float32)
    return common.pack(head_w, units), scales, _head_bias(checkpoint)


def _head_bias(checkpoint: Checkpoint) -> Array:
    head_b = checkpoint.tensors["head.b"].dense()[None].astype(np.float32)
    return common.pack(head_b, 1)[:, 0].copy()


def whole_turns(rows: int) -> int:
    """Rows in whole turns of a panel."""
    return math.ceil(rows / common.ROWS) * common.ROWS


def _norms(norms: Norms) -> Array:
    """By panels, (P, NORMS), zero behind the last unit, which keeps the padding of h and c zero."""
    units = len(norms.c_gamma)
    gates = (common.by_panel(values, units).reshape(-1, common.WIDTH) for values in (norms.gamma, norms.beta))
    cells = (np.pad(values, (0, padded(units) - units)) for values in (norms.c_gamma, norms.c_beta))
    parts = [*gates, *(values.reshape(-1, common.UNITS) for values in cells)]
    return np.ascontiguousarray(np.concatenate(parts, axis=1), np.float32)


def _lstm(checkpoint: Checkpoint, take: _Take) -> _Parts:
    names = "decoder.w_x", "decoder.w_h", "head.w"
    (w_x, w_h, head_w), (of_input, of_state, of_head) = take([checkpoint.tensors[name] for name in names])
    state = np.zeros((padded(checkpoint.hidden), w_h.shape[1]), w_h.dtype)
    state[: len(w_h)] = w_h
    gates = common.by_panel(np.concatenate([state, w_x[:5]]), checkpoint.hidden)
    rows = whole_turns(len(gates))
    panels = np.concatenate([common.pack(gates, rows), common.pack(head_w, rows)])
    scales = of_input * factor(panels), of_state * factor(panels), of_head / of_state
    return _Parts((panels, np.array(scales, np.float32)), (rows,))


def _layer_norm(checkpoint: Checkpoint, take: _Take) -> _Parts:
    gates, scales = _gates(checkpoint, take)
    norms = _norms(norms_of(checkpoint.tensors, "decoder", checkpoint.forget_bias))
    weights = gates, scales, norms, checkpoint.hidden, *_head(checkpoint, take)
    return _Parts(weights, (len(scales),), ((4 * padded(checkpoint.hidden),),))


_MATRICES: Final = ("w_x", "w_h", "hyper.w_x", "hyper.w_h")
_PARTS: Final = ("scale_x", "scale_h", "shift")


def _hyper(checkpoint: Checkpoint, take: _Take) -> _Parts:
    tensors, units = checkpoint.tensors, checkpoint.hidden
    names = [*_MATRICES, *(f"{part}.{end}" for end in ("z", "w") for part in _PARTS)]
    arrays, scales = take([tensors[f"decoder.{name}"] for name in names[:7]])
    mixed, mixed_scales = raw([tensors[f"decoder.{name}"] for name in names[7:]])
    w_x, w_h, small_x, small_h = arrays[:4]
    small_units, size = arrays[4].shape[0], mixed[0].shape[1]
    main, behind = padded(units), padded(small_units)
    small, small_scales = _small(small_x, small_h, scales[2:4], units)
    own_scales = np.full(INPUT + main, scales[1], np.float32)
    own_scales[:5] = scales[0]
    own_scales *= np.float32(factor(w_h))
    turns = whole_turns(size)  # of the embedding
    z_w = np.stack([common.pack(_gates_padded(z, size, turns), behind) for z in arrays[4:7]])
    z_b = np.zeros((3, z_w.shape[1] * common.WIDTH), np.float32)
    for part in (0, 1):  # the shift has none
        bias = _gates_padded(tensors[f"decoder.{_PARTS[part]}.z_b"].dense(), size, turns)
        z_b[part, : len(bias)] = bias
    w_z = np.zeros((main // common.UNITS, 3, turns, common.WIDTH), mixed[0].dtype)
    for part in range(3):
        columns = np.moveaxis(mixed[part], 0, 1).reshape(size, 4 * units)
        w_z[:, part] = common.parted(common.by_panel(columns, units), turns)
    own_x, own_h = (common.by_panel(matrix, units) for matrix in (w_x[:5], w_h))
    shift_b = common.by_panel(tensors["decoder.b"].dense(), units).astype(np.float32)
    norms, small_norms = (
        _norms(norms_of(tensors, prefix, checkpoint.forget_bias)) for prefix in ("decoder", "decoder.hyper")
    )
    z_scales = np.array(scales[4:7], np.float32) * np.float32(factor(z_w))
    weights = (
        small, small_scales, small_norms, small_units, z_w, z_b, z_scales, w_z,
        np.array(mixed_scales, np.float32), common.pack(own_x, INPUT), common.pack(own_h, main), own_scales, shift_b,
        norms, units, np.zeros((5, common.TILE, common.WIDTH), np.float32),
    )  # fmt: skip
    five = len(weights) - 1
    inputs = len(small_scales), len(own_scales)
    scratch = (3, z_b.shape[1]), (4 * max(main, behind),)
    return _Parts((*weights, *_head(checkpoint, take)), inputs, scratch, (five,))


def _small(w_x: Array, w_h: Array, scales: list[float], units: int) -> tuple[Array, Array]:
    """The smaller cell's matrix of a step's input, h and its own h as one, like ``_gates``."""
    small_units, main = len(w_h), padded(units)
    rows = whole_turns(5 + main + padded(small_units))
    gates = np.zeros((5 + main + small_units, w_h.shape[1]), w_h.dtype)
    gates[:5], gates[5 : 5 + units], gates[5 + main :] = w_x[:5], w_x[len(w_x) - units :], w_h
    of_rows = np.full(rows, scales[1], np.float32)
    of_rows[: 5 + main] = scales[0]
    of_rows *= np.float32(factor(gates))
    return common.pack(common.by_panel(gates, small_units), rows), of_rows


def _gates_padded(values: Array, size: int, turns: int) -> Array:
    """Columns of four gates of ``size``, (..., 4 size), with zeros behind each gate up to ``turns``."""
    parted = values.reshape(*values.shape[:-1], 4, size)
    out = np.zeros((*parted.shape[:-1], turns), values.dtype)
    out[..., :size] = parted
    return out.reshape(*values.shape[:-1], 4 * turns)


_BUILDERS: Final[Mapping[str, Callable[[Checkpoint, _Take], _Parts]]] = {
    "lstm": _lstm,
    "layer_norm": _layer_norm,
    "hyper": _hyper,
}
