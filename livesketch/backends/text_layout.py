"""How the cpu backend keeps a text model's weights: panels one below another, int16 where the checkpoint holds int16.

Each architecture has a builder that gives the leading arguments of its kernel ``update``: what all voices share, then
what each has. ``kernels.text_panels`` says what the layout is.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..models.checkpoint import TextCheckpoint
from ..models.text_model import slopes
from .cpu_layout import padded, raw, whole_turns
from .kernels import common
from .kernels.tiles import factor
from .numpy_batch import product

Array: TypeAlias = NDArray[Any]
Label: TypeAlias = Callable[[NDArray[np.float64]], Array]


@dataclass(frozen=True, slots=True)
class TextLaid:
    """A checkpoint laid out for N voices."""

    update: Callable[..., None]
    """The kernel of the architecture."""
    shared: tuple[Any, ...]
    """Its leading arguments: weights, and scratch that voices use one after another."""
    voices: tuple[Array, ...]
    """What follows: (N, ...) each. The one before the states is what the label vector gives."""
    states: int
    """How many of the last of them are the state."""
    rings: tuple[int, ...]
    """As ``TextNumpyBatch.rings``."""
    label: Label
    """What a label vector (label_size,) gives, as the kernel keeps it."""
    columns: int
    """W: the vocabulary in whole panels."""
    types: tuple[str, ...]
    """What the kernel is compiled for: the architecture, and the number type of its weights."""


def laid_out(checkpoint: TextCheckpoint, size: int) -> TextLaid:
    """The weights of a checkpoint whose architecture is one of ``text_model.ARCHITECTURES``."""
    return _BUILDERS[checkpoint.architecture](checkpoint, size)


class _Panels:
    """Matrices as panels one below another, and the rest that they share: embedding, head, their scales."""

    def __init__(self, checkpoint: TextCheckpoint, names: list[str]) -> None:
        head = "embed.w" if checkpoint.tied else "head.w"
        arrays, scales = raw([checkpoint.tensors[name] for name in [*names, head, "embed.w"]])
        self.matrices = dict(zip([*names, head, "embed.w"], arrays, strict=True))
        self.scales = dict(zip([*names, head, "embed.w"], scales, strict=True))
        self.head = self.matrices[head].T if checkpoint.tied else self.matrices[head]
        self.head_scale = self.scales[head]
        self.embedding = np.ascontiguousarray(self.matrices["embed.w"]).view()
        self.embedding.flags.writeable = False  # files may be read-only, which numba takes for another type
        self.head_b = _in_panels(checkpoint.tensors["head.b"].dense())
        self._parts: list[Array] = []
        self._rows = 0

    def add(self, matrix: Array) -> tuple[int, int]:
        """Puts a matrix (K, columns) below the others; its first row, and the rows of its panels."""
        turns = whole_turns(len(matrix))
        self._parts.append(common.pack(matrix, turns).reshape(-1, common.WIDTH))
        first, self._rows = self._rows, self._rows + len(self._parts[-1])
        return first, turns

    def rows(self) -> Array:
        """All of them, (R, 128)."""
        return common.aligned(np.concatenate(self._parts))


def _in_panels(values: Array) -> Array:
    """A vector as float32, in whole panels."""
    return np.pad(values, (0, -len(values) % common.WIDTH)).astype(np.float32)


def _lstm(checkpoint: TextCheckpoint, size: int) -> TextLaid:
    layers, units, width = checkpoint.layers, checkpoint.hidden, checkpoint.embedding
    panels = _Panels(checkpoint, [f"layer{layer}.{name}" for layer in range(layers) for name in ("w_x", "w_h")])
    widest = whole_turns(max(width, units) + units)
    plan, scales = np.zeros((layers + 1, 3), np.int64), np.zeros((layers + 1, widest), np.float32)
    bias = np.zeros((layers, 4 * units))
    for layer in range(layers):
        names, inputs = (f"layer{layer}.w_x", f"layer{layer}.w_h"), units if layer else width
        w_x, w_h = (panels.matrices[name] for name in names)
        gates = common.by_panel(np.concatenate([w_x[:inputs], w_h]), units)
        plan[layer] = *panels.add(gates), inputs
        scales[layer, :inputs], scales[layer, inputs : inputs + units] = (panels.scales[name] for name in names)
        bias[layer] = checkpoint.tensors[f"layer{layer}.b"].dense()
    plan[layers] = *panels.add(panels.head), units
    scales[layers] = panels.head_scale
    scales *= np.float32(factor(panels.head))
    bias[:, 2 * units : 3 * units] += checkpoint.forget_bias
    of_label = checkpoint.tensors["layer0.w_x"].dense()[width:]
    laid_bias = common.by_panel(bias, units).astype(np.float32)
    shared = (
        True if size > 1 else None, panels.rows(), plan, scales, laid_bias, panels.head_b, panels.embedding,
        np.float32(panels.scales["embed.w"]), units, np.zeros((common.TILE, common.WIDTH), np.float32),
    )  # fmt: skip
    shapes = (widest,), laid_bias.shape[1:], (layers, padded(units)), (layers, padded(units))
    return TextLaid(
        _kernel("text_lstm"), shared, tuple(np.zeros((size, *shape), np.float32) for shape in shapes), 2, (0, 0),
        lambda vector: common.by_panel(bias[0] + product(vector, of_label), units), len(panels.head_b),
        ("text_lstm", str(shared[0]), str(shared[1].dtype)),
    )  # fmt: skip


_MATRICES: Final = ("qkv", "out", "up", "down")
_NORMS: Final = ("norm1", "norm2")


def _attention(checkpoint: TextCheckpoint, size: int) -> TextLaid:
    blocks, units, window = checkpoint.layers, checkpoint.embedding, checkpoint.window
    panels = _Panels(checkpoint, [f"block{block}.{name}.w" for block in range(blocks) for name in _MATRICES])
    widths = np.array([-(-part * units // common.WIDTH) * common.WIDTH for part in (3, 1, 4, 1)])
    plan, scales = np.zeros((blocks + 1, 4, 2), np.int64), np.ones((blocks + 1, 4), np.float32)
    biases = np.zeros((blocks, 4, widths.max()), np.float32)
    norms = np.zeros((blocks + 1, 2, 2, units), np.float32)
    for block in range(blocks):
        for k, name in enumerate(_MATRICES):
            own = f"block{block}.{name}"
            plan[block, k], scales[block, k] = panels.add(panels.matrices[f"{own}.w"]), panels.scales[f"{own}.w"]
            bias = _in_panels(checkpoint.tensors[f"{own}.b"].dense())
            biases[block, k, : len(bias)] = bias
        for k, name in enumerate(_NORMS):
            norms[block, k] = _norm(checkpoint, f"block{block}.{name}")
    plan[blocks, 0], scales[blocks, 0] = panels.add(panels.head), panels.head_scale
    scales *= np.float32(factor(panels.head))
    norms[blocks, 0] = _norm(checkpoint, "norm")
    shared = (
        True if size > 1 else None, panels.rows(), plan, scales, biases, widths, norms, panels.head_b, panels.embedding,
        np.float32(panels.scales["embed.w"]), np.array(slopes(checkpoint.heads)), np.zeros(window, np.float32),
        np.zeros((2, window)),
    )  # fmt: skip
    rings = (blocks, units, window), (blocks, window, units)
    shapes = (units,), (whole_turns(4 * units),), (int(widths.max()),), (units,), *rings
    return TextLaid(
        _kernel("text_attention"), shared, tuple(np.zeros((size, *shape), np.float32) for shape in shapes), 2, (3, 2),
        lambda vector: vector if len(vector) else np.zeros(units), len(panels.head_b),
        ("text_attention", str(shared[0]), str(shared[1].dtype)),
    )  # fmt: skip


def _norm(checkpoint: TextCheckpoint, name: str) -> Array:
    return np.stack([checkpoint.tensors[f"{name}.{part}"].dense() for part in ("gamma", "beta")])


def _kernel(architecture: str) -> Callable[..., None]:
    kernel: Callable[..., None] = importlib.import_module(f".kernels.{architecture}", __package__).update
    return kernel


_BUILDERS: Final[Mapping[str, Callable[[TextCheckpoint, int], TextLaid]]] = {
    "text_lstm": _lstm,
    "text_attention": _attention,
}
