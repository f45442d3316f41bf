"""Text models in torch for N voices at once. Formulas: ``livesketch.models.text_model``; the definition: ``text_math``.

Products are taken in the type of the weights, float32 or for ``fast`` bf16 or fp16; all else is float32.
"""

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..models.checkpoint import TextCheckpoint
from ..models.text_model import NORM_EPSILON, slopes
from .cuda_cells import Placed, added, lstm


class TextModel(Protocol):
    """A model's weights and what its voices remember."""

    state: tuple[Tensor, ...]
    """(N, ...) each."""
    rings: tuple[int, ...]
    """As ``TextNumpyBatch.rings``."""
    weights: dict[str, Tensor]
    """Tensors by name."""

    def step(self, token: Tensor, at: Tensor, labels: Tensor, live: Tensor | None) -> Tensor:
        """The logits (N, V) after tokens (N,) that are number ``at`` (N,) of their pieces; the state changes in place.

        Where ``live`` (N,) is False, what a later step looks at stays as it was.
        """


def text_model(checkpoint: TextCheckpoint, size: int, placed: Placed) -> TextModel:
    """The weights of a checkpoint on a device."""
    return (Attention if checkpoint.architecture == "text_attention" else Lstm)(checkpoint, size, placed)


def head_of(weights: Mapping[str, Tensor]) -> Tensor:
    """head.w, or the embedding's matrix the other way round in a tied model."""
    return weights["head.w"] if "head.w" in weights else weights["embed.w"].t()


def _placed(checkpoint: TextCheckpoint, placed: Placed) -> dict[str, Tensor]:
    """Matrices in the type of products, vectors in float32, by name."""
    dense = {name: tensor.dense() for name, tensor in checkpoint.tensors.items() if name != "label.w"}
    return {name: (placed.matrix if array.ndim > 1 else placed.vector)(array) for name, array in dense.items()}


class Lstm:
    """``text_lstm``: h and c, (N, layers, H) each."""

    rings: tuple[int, ...] = (0, 0)

    def __init__(self, checkpoint: TextCheckpoint, size: int, placed: Placed) -> None:
        self.weights, self._layers = _placed(checkpoint, placed), checkpoint.layers
        units = checkpoint.hidden
        for layer in range(self._layers):
            self.weights[f"layer{layer}.b"][2 * units : 3 * units] += checkpoint.forget_bias
        shape = size, checkpoint.layers, units
        hidden = torch.zeros(shape, dtype=placed.products, device=placed.device)
        self.state: tuple[Tensor, ...] = hidden, torch.zeros(shape, device=placed.device)

    def step(self, token: Tensor, at: Tensor, labels: Tensor, live: Tensor | None) -> Tensor:
        """``TextModel.step``."""
        weights, (hidden, cell) = self.weights, self.state
        fresh = (at == 0)[:, None]
        x = torch.cat([weights["embed.w"][token].float(), labels], 1)
        for layer in range(self._layers):
            h, c = (values[:, layer].masked_fill(fresh, 0) for values in (hidden, cell))
            gates = added(weights[f"layer{layer}.b"].expand(len(x), -1), x, weights[f"layer{layer}.w_x"])
            x, new_c = lstm(added(gates, h, weights[f"layer{layer}.w_h"]), c)
            if live is None:
                hidden[:, layer], cell[:, layer] = x.to(hidden.dtype), new_c
            else:
                hidden[:, layer] = torch.where(live[:, None], x.to(hidden.dtype), hidden[:, layer])
                cell[:, layer] = torch.where(live[:, None], new_c, cell[:, layer])
        return added(weights["head.b"].expand(len(x), -1), x, head_of(weights))


class Attention:
    """``text_attention``: keys and values, (N, blocks, window, E) each, a token's place being its number modulo window.

    A voice that is not live has its next token's place written over, which nothing reads before that token is there.
    """

    rings: tuple[int, ...] = (2, 2)

    def __init__(self, checkpoint: TextCheckpoint, size: int, placed: Placed) -> None:
        self.weights = _placed(checkpoint, placed)
        self._shape = checkpoint.layers, checkpoint.window, checkpoint.embedding
        self._slopes = placed.vector(np.array(slopes(checkpoint.heads)))
        self._places = torch.arange(checkpoint.window, device=placed.device)
        self._voices = torch.arange(size, device=placed.device)
        shape = size, *self._shape
        self.state: tuple[Tensor, ...] = tuple(torch.zeros(shape, device=placed.device) for _ in range(2))

    def step(self, token: Tensor, at: Tensor, labels: Tensor, live: Tensor | None) -> Tensor:  # noqa: ARG002 - above
        """``TextModel.step``."""
        weights, (keys, values) = self.weights, self.state
        window, size = self._shape[1:]
        x = weights["embed.w"][token].float()
        x = x + labels if labels.shape[1] else x
        place = at % window
        ages = (at[:, None] - self._places) % window
        seen = self._places < (at[:, None] + 1).clamp(max=window)
        for block in range(self._shape[0]):
            name = f"block{block}"
            qkv = self._product(f"{name}.qkv", self._norm(x, f"{name}.norm1"))
            keys[self._voices, block, place] = qkv[:, size : 2 * size]
            values[self._voices, block, place] = qkv[:, 2 * size :]
            means = self._attend(qkv[:, :size], keys[:, block], values[:, block], ages, seen)
            x = x + self._product(f"{name}.out", means)
            up = self._product(f"{name}.up", self._norm(x, f"{name}.norm2"))
            x = x + self._product(f"{name}.down", functional.gelu(up, approximate="tanh"))
        return added(weights["head.b"].expand(len(x), -1), self._norm(x, "norm"), head_of(weights))

    def _product(self, name: str, x: Tensor) -> Tensor:
        return added(self.weights[f"{name}.b"].expand(len(x), -1), x, self.weights[f"{name}.w"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        # Divided by the largest first, so that squares of whatever a file may hold stay within float32.
        most = x.abs().amax(1, keepdim=True).clamp(min=1.0)
        apart = x / most
        apart = apart - apart.mean(1, keepdim=True)
        normed = apart / (apart.square().mean(1, keepdim=True) + NORM_EPSILON / most / most).sqrt()
        return normed * self.weights[f"{name}.gamma"] + self.weights[f"{name}.beta"]

    def _attend(self, q: Tensor, keys: Tensor, values: Tensor, ages: Tensor, seen: Tensor) -> Tensor:
        """The heads' means (N, E) of values; queries (N, E), rings (N, window, E), ages and seen (N, window)."""
        heads = len(self._slopes)
        parted = (ring.reshape(len(q), len(self._places), heads, -1) for ring in (keys, values))
        (keys, values), queries = parted, q.reshape(len(q), heads, -1)
        scores = torch.einsum("nwhe,nhe->nhw", keys, queries) / math.sqrt(queries.shape[2])
        scores = scores - ages[:, None] * self._slopes[:, None]
        shares = scores.masked_fill(~seen[:, None], -math.inf).softmax(-1)
        return torch.einsum("nhw,nwhe->nhe", shares, values).reshape(q.shape)
