"""The three cells over whole sequences in PyTorch, for training; ``cells`` lists their tensors.

Each is written twice. The plain way, ``run_plain``, is the definition: one step after the other in ordinary operations,
as magenta/magenta ``sketch_rnn/rnn.py`` has them. The fast way (``recurrence_fast``) computes the same and is tested
against it.

All is time-major. States are packed as magenta packs them: lstm [c, h], layer_norm [h, c], hyper [h, hyper_h, c,
hyper_c]. A mask is what tanh(j) is multiplied with: recurrent dropout without memory loss (Semeniuta et al. 2016,
"Recurrent Dropout without Memory Loss").
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from .cells import NORM_EPSILON

Weights = Mapping[str, Tensor]
"""A cell's tensors by their own names, as ``w_x``."""
Product = Callable[[Tensor], Tensor]
"""h @ W for a matrix W that is the same at every step."""
Products = Callable[[Tensor, torch.dtype], Product]
"""Makes one of a matrix and the number type that it multiplies in; what it gives is float32."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a cell sees: rows (T, B, R), and beside each the same vector (B, C), or none."""

    rows: Tensor
    beside: Tensor | None = None
    dtype: torch.dtype = torch.float32
    """Of matrix products; everything else is float32."""

    def joined(self) -> Tensor:
        """[rows, beside], (T, B, R + C)."""
        if self.beside is None:
            return self.rows
        return torch.cat([self.rows, self.beside.expand(len(self.rows), -1, -1)], 2)

    def product(self, w: Tensor, b: Tensor | None = None) -> Tensor:
        """[rows, beside] @ w + b, shape (T, B, columns), float32.

        The vector's part is computed once, not at every step. Only that is multiplied in ``dtype``: bfloat16 would blur
        the offsets themselves.
        """
        size = self.rows.shape[2]
        out = self.rows @ w[:size]
        once = b
        if self.beside is not None:
            once = times(self.beside, w[size:], self.dtype).float()
            once = once if b is None else once + b
        return out if once is None else out.add_(once)


def times(left: Tensor, w: Tensor, dtype: torch.dtype) -> Tensor:
    """The product left @ w, multiplied in ``dtype`` and of that type."""
    return left.to(dtype) @ w.to(dtype)


def plain_product(w: Tensor, dtype: torch.dtype) -> Product:
    """H @ w in ordinary operations."""
    return lambda h: times(h, w, dtype).float()


def run_plain(cell: str, w: Weights, inputs: Inputs, state: Tensor, mask: Tensor | None, forget_bias: float) -> Tensor:
    """A cell over a sequence: the h of every step, (T, B, H) float32.

    Args:
        cell: ``lstm``, ``layer_norm`` or ``hyper``.
        w: its tensors.
        inputs: T rows for each of B drawings.
        state: (B, 2 * CellSizes.state), packed.
        mask: (T, B, H) or None; of a hyper cell the main cell's.
        forget_bias: added to the gate f, behind the norm where there is one.
    """
    return LOOPS[cell](w, inputs, state, mask, forget_bias, plain_product)


def _lstm(
    w: Weights, inputs: Inputs, state: Tensor, mask: Tensor | None, forget_bias: float, product: Products
) -> Tensor:
    c, h = state.chunk(2, 1)
    recur, out = product(w["w_h"], inputs.dtype), []
    for t, given in enumerate(inputs.product(w["w_x"], w["b"]).unbind(0)):
        i, j, f, o = (given + recur(h)).chunk(4, 1)
        c = torch.sigmoid(f + forget_bias) * c + torch.sigmoid(i) * _dropped(torch.tanh(j), mask, t)
        h = torch.sigmoid(o) * torch.tanh(c)
        out.append(h)
    return torch.stack(out)


def _layer_norm(
    w: Weights, inputs: Inputs, state: Tensor, mask: Tensor | None, forget_bias: float, product: Products
) -> Tensor:
    h, c = state.chunk(2, 1)
    recur, out = product(w["w_h"], inputs.dtype), []
    for t, given in enumerate(inputs.product(w["w_x"]).unbind(0)):
        h, c = _normed_step(w, "", given + recur(h), c, mask, t, forget_bias)
        out.append(h)
    return torch.stack(out)


def _hyper(
    w: Weights, inputs: Inputs, state: Tensor, mask: Tensor | None, forget_bias: float, product: Products
) -> Tensor:
    units, hyper_units = w["w_h"].shape[0], w["hyper.w_h"].shape[0]
    h, hyper_h, c, hyper_c = torch.split(state, [units, hyper_units] * 2, 1)
    width = w["w_x"].shape[0]
    recur = product(w["w_h"], inputs.dtype)
    hyper_recur = product(torch.cat([w["hyper.w_x"][width:], w["hyper.w_h"]]), inputs.dtype)
    scales = product(torch.cat([w[f"{part}.z"] for part in _PARTS], 1), inputs.dtype)
    out = []
    given = inputs.product(w["w_x"]).unbind(0)
    for t, hyper_given in enumerate(inputs.product(w["hyper.w_x"][:width]).unbind(0)):
        gates = hyper_given + hyper_recur(torch.cat([h, hyper_h], 1))
        hyper_h, hyper_c = _normed_step(w, "hyper.", gates, hyper_c, None, t, forget_bias)
        scale_x, scale_h, shift = _signals(w, scales(hyper_h), inputs.dtype)
        gates = scale_x * given[t] + scale_h * recur(h) + shift + w["b"]
        h, c = _normed_step(w, "", gates, c, mask, t, forget_bias)
        out.append(h)
    return torch.stack(out)


_PARTS: Final = ("scale_x", "scale_h", "shift")
LOOPS: Final = {"lstm": _lstm, "layer_norm": _layer_norm, "hyper": _hyper}


def _signals(w: Weights, embedded: Tensor, dtype: torch.dtype) -> list[Tensor]:
    """What scales and shifts the gates (B, 4H): from the embedded hyper output (B, 3 * 4E), part by part."""
    found = []
    for part, values in zip(_PARTS, embedded.chunk(3, 1), strict=True):
        matrix = w[f"{part}.w"]
        biased = values + w[f"{part}.z_b"] if part != "shift" else values
        by_gate = biased.view(len(biased), *matrix.shape[:2]).transpose(0, 1)  # (4, B, E)
        found.append(times(by_gate, matrix, dtype).float().transpose(0, 1).flatten(1))
    return found


def _normed_step(
    w: Weights, prefix: str, gates: Tensor, c: Tensor, mask: Tensor | None, t: int, forget_bias: float
) -> tuple[Tensor, Tensor]:
    """One step of a layer_norm cell from its gates before the norm: the new (h, c)."""
    by_gate = functional.layer_norm(gates.view(len(c), 4, c.shape[1]), c.shape[1:], eps=NORM_EPSILON).flatten(1)
    i, j, f, o = torch.addcmul(w[f"{prefix}beta"], by_gate, w[f"{prefix}gamma"]).chunk(4, 1)
    c = torch.sigmoid(f + forget_bias) * c + torch.sigmoid(i) * _dropped(torch.tanh(j), mask, t)
    normed = functional.layer_norm(c, c.shape[1:], w[f"{prefix}c_gamma"], w[f"{prefix}c_beta"], NORM_EPSILON)
    return torch.sigmoid(o) * torch.tanh(normed), c


def _dropped(candidate: Tensor, mask: Tensor | None, t: int) -> Tensor:
    return candidate if mask is None else candidate * mask[t]
