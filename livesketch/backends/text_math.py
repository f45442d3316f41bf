"""One step of a text model in float64 NumPy: the definition. Formulas: ``livesketch.models.text_model``.

Sums run over the rows of a matrix in one fixed order (``numpy_batch.product``).
"""

import math
from collections.abc import Mapping
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..models.checkpoint import TextCheckpoint
from ..models.text_model import NORM_EPSILON, slopes
from .numpy_batch import product

Array: TypeAlias = NDArray[np.float64]


class TextMath(Protocol):
    """A model's weights."""

    rings: tuple[int, ...]
    """As ``TextNumpyBatch.rings``, for the arrays of ``state``."""

    def state(self, size: int) -> tuple[Array, ...]:
        """What N voices remember, zeros, (N, ...) each."""

    def step(self, state: tuple[Array, ...], token: int, at: int, label: Array) -> Array:
        """The logits (V,) after a token, which is number ``at`` of its piece; one voice's state changes in place."""


def text_math(checkpoint: TextCheckpoint) -> TextMath:
    """The weights of a checkpoint as float64."""
    return (AttentionMath if checkpoint.architecture == "text_attention" else LstmMath)(checkpoint)


def _dense(checkpoint: TextCheckpoint) -> dict[str, Array]:
    """Tensors by name, a tied model's head.w among them."""
    weights = {name: tensor.dense() for name, tensor in checkpoint.tensors.items()}
    if checkpoint.tied:
        weights["head.w"] = np.ascontiguousarray(weights["embed.w"].T)
    return weights


class LstmMath:
    """``text_lstm``: h and c, (N, layers, H) each."""

    rings: tuple[int, ...] = (0, 0)

    def __init__(self, checkpoint: TextCheckpoint) -> None:
        self._weights = _dense(checkpoint)
        self._shape, self._forget_bias = (checkpoint.layers, checkpoint.hidden), checkpoint.forget_bias

    def state(self, size: int) -> tuple[Array, ...]:
        """``TextMath.state``."""
        return np.zeros((size, *self._shape)), np.zeros((size, *self._shape))

    def step(self, state: tuple[Array, ...], token: int, at: int, label: Array) -> Array:  # noqa: ARG002 - one signature
        """``TextMath.step``."""
        weights, (hidden, cell) = self._weights, state
        x = np.concatenate([weights["embed.w"][token], label])
        for layer in range(self._shape[0]):
            name = f"layer{layer}"
            gates = weights[f"{name}.b"] + product(x, weights[f"{name}.w_x"])
            i, j, f, o = np.split(gates + product(hidden[layer], weights[f"{name}.w_h"]), 4)
            cell[layer] = _sigmoid(f + self._forget_bias) * cell[layer] + _sigmoid(i) * np.tanh(j)
            hidden[layer] = _sigmoid(o) * np.tanh(cell[layer])
            x = hidden[layer]
        return np.asarray(weights["head.b"] + product(x, weights["head.w"]), np.float64)


class AttentionMath:
    """``text_attention``: keys and values, (N, blocks, window, E) each; a token's place is its number modulo window."""

    rings: tuple[int, ...] = (2, 2)

    def __init__(self, checkpoint: TextCheckpoint) -> None:
        self._weights = _dense(checkpoint)
        self._shape = checkpoint.layers, checkpoint.window, checkpoint.embedding
        self._slopes = np.array(slopes(checkpoint.heads))

    def state(self, size: int) -> tuple[Array, ...]:
        """``TextMath.state``."""
        return np.zeros((size, *self._shape)), np.zeros((size, *self._shape))

    def step(self, state: tuple[Array, ...], token: int, at: int, label: Array) -> Array:
        """``TextMath.step``."""
        weights, (keys, values) = self._weights, state
        x = weights["embed.w"][token] + (label if len(label) else 0.0)
        for block in range(self._shape[0]):
            own = {name: weights[f"block{block}.{name}"] for name in _PARTS}
            q, keys[block, at % self._shape[1]], values[block, at % self._shape[1]] = np.split(
                own["qkv.b"] + product(_norm(x, own, "norm1"), own["qkv.w"]), 3
            )
            x = x + own["out.b"] + product(self._attend(q, keys[block], values[block], at), own["out.w"])
            wide = _gelu(own["up.b"] + product(_norm(x, own, "norm2"), own["up.w"]))
            x = x + own["down.b"] + product(wide, own["down.w"])
        return np.asarray(weights["head.b"] + product(_norm(x, weights, "norm"), weights["head.w"]), np.float64)

    def _attend(self, q: Array, keys: Array, values: Array, at: int) -> Array:
        """The heads' means (E,) of the values, for a query (E,) and rings (window, E)."""
        window, heads = self._shape[1], len(self._slopes)
        used = min(at + 1, window)
        ages = (at - np.arange(used)) % window
        parted = (array[:used].reshape(used, heads, -1) for array in (keys, values))
        (keys, values), queries = parted, q.reshape(heads, -1)
        scores = (keys * queries).sum(-1) / math.sqrt(queries.shape[1]) - ages[:, None] * self._slopes
        shares = np.exp(scores - scores.max(0))
        return np.asarray((shares[..., None] * values).sum(0) / shares.sum(0)[:, None]).reshape(-1)


_PARTS = (
    "norm1.gamma", "norm1.beta", "qkv.w", "qkv.b", "out.w", "out.b", "norm2.gamma", "norm2.beta", "up.w", "up.b",
    "down.w", "down.b",
)  # fmt: skip


def _sigmoid(x: Array) -> Array:
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x), np.float64)


def _norm(x: Array, weights: Mapping[str, Array], name: str) -> Array:
    apart = x - x.mean()
    normed = apart / np.sqrt((apart * apart).mean() + NORM_EPSILON)
    return np.asarray(normed * weights[f"{name}.gamma"] + weights[f"{name}.beta"], np.float64)


def _gelu(x: Array) -> Array:
    return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))), np.float64)
