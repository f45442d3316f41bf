"""The three cells in float64 NumPy: pure functions of weights and state. Formulas: ``livesketch.models.cells``.

The products with matrices are the caller's: the reference backend sums in one fixed order, the encoder takes NumPy's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..models.cells import NORM_EPSILON
from ..models.checkpoint import Tensor

Array: TypeAlias = NDArray[np.float64]

Product: TypeAlias = Callable[[Array, Array], Array]
"""Vectors (..., K) by matrices (..., K, L), each by its own: (..., L)."""


@dataclass(frozen=True, slots=True)
class Norms:
    """What follows the two norms of a cell with H units; gate blocks i, j, f, o."""

    gamma: Array
    """(4H,), and ``beta``, which has the forget bias in f."""
    beta: Array
    c_gamma: Array
    """(H,), like ``c_beta``."""
    c_beta: Array


@dataclass(frozen=True, slots=True)
class Hyper:
    """The smaller cell of U units in a hyper cell, and how its output scales and shifts the gates."""

    w_x: Array
    """(5, 4U): the rows of the stroke-5 input."""
    w_h: Array
    """(H + U, 4U): the rows of the larger cell's h, then its own."""
    norms: Norms
    z: Array
    """(U, 12 E): scale_x, scale_h and shift, four gates each; ``z_b`` (12 E,) is zero for the shift."""
    z_b: Array
    w: Array
    """(12, E, H)."""
    bias: Array
    """(4H,): of the larger cell."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of H units without what a condition adds; row-vector convention x @ W, gate blocks i, j, f, o."""

    w_x: Array
    """(5, 4H)."""
    w_h: Array
    """(H, 4H)."""
    norms: Norms | None
    """None in an LSTM."""
    hyper: Hyper | None


def norms_of(tensors: Mapping[str, Tensor], prefix: str, forget_bias: float) -> Norms:
    """The norms of a layer_norm or hyper cell, or, with the prefix of that, of a hyper cell's smaller one."""
    gamma, beta, c_gamma, c_beta = (tensors[f"{prefix}.{n}"].dense() for n in ("gamma", "beta", "c_gamma", "c_beta"))
    units = len(c_gamma)
    beta[2 * units : 3 * units] += forget_bias
    return Norms(gamma, beta, c_gamma, c_beta)


def cell_of(tensors: Mapping[str, Tensor], prefix: str, cell: str, forget_bias: float) -> Cell:
    """A cell's weights as float64, without the rows of a condition."""
    w_x, w_h = tensors[f"{prefix}.w_x"].dense()[:5], tensors[f"{prefix}.w_h"].dense()
    if cell == "lstm":
        return Cell(w_x, w_h, None, None)
    norms = norms_of(tensors, prefix, forget_bias)
    return Cell(w_x, w_h, norms, _hyper_of(tensors, prefix, forget_bias) if cell == "hyper" else None)


def _hyper_of(tensors: Mapping[str, Tensor], prefix: str, forget_bias: float) -> Hyper:
    def dense(name: str) -> Array:
        return tensors[f"{prefix}.{name}"].dense()

    w_x, units = dense("hyper.w_x"), tensors[f"{prefix}.w_h"].shape[0]
    no_bias = np.zeros(tensors[f"{prefix}.shift.z"].shape[1])
    return Hyper(
        w_x[:5],
        np.concatenate([w_x[len(w_x) - units :], dense("hyper.w_h")]),
        norms_of(tensors, f"{prefix}.hyper", forget_bias),
        np.concatenate([dense("scale_x.z"), dense("scale_h.z"), dense("shift.z")], axis=1),
        np.concatenate([dense("scale_x.z_b"), dense("scale_h.z_b"), no_bias]),
        np.concatenate([dense("scale_x.w"), dense("scale_h.w"), dense("shift.w")]),
        dense("b"),
    )


def constant_of(
    tensors: Mapping[str, Tensor], prefix: str, cell: str, forget_bias: float, condition: int
) -> tuple[Array, Array]:
    """What a step's sums start from, (L,), and what a condition vector adds to it, (condition, L).

    L is 4H, and in a hyper cell 4H + 4U, the smaller cell's gates behind. An LSTM starts from its bias, with the
    forget bias added; the others have theirs after the norm.
    """
    w_c = tensors[f"{prefix}.w_x"].dense()[5:]
    if cell == "lstm":
        bias = tensors[f"{prefix}.b"].dense()
        units = len(bias) // 4
        bias[2 * units : 3 * units] += forget_bias
        return bias, w_c
    if cell == "hyper":
        w_c = np.concatenate([w_c, tensors[f"{prefix}.hyper.w_x"].dense()[5 : 5 + condition]], axis=1)
    return np.zeros(w_c.shape[1]), w_c


def step(cell: Cell, x: Array, h: Array, c: Array, constant: Array, product: Product) -> tuple[Array, Array]:
    """One step: the new h and c, each (H,), or (H + U,) with the smaller cell's behind.

    ``x`` (5,) is the stroke-5 input, ``constant`` what ``constant_of`` gives, with the condition's share.
    """
    if cell.norms is None:
        return _lstm(constant + product(x, cell.w_x) + product(h, cell.w_h), c)
    if cell.hyper is None:
        return _normed(constant + product(x, cell.w_x) + product(h, cell.w_h), c, cell.norms)
    units, hyper = len(cell.w_h), cell.hyper
    gates = constant[4 * units :] + product(x, hyper.w_x) + product(h, hyper.w_h)
    u, u_c = _normed(gates, c[units:], hyper.norms)
    z = product(u, hyper.z) + hyper.z_b
    scale_x, scale_h, shift = product(z.reshape(12, -1), hyper.w).reshape(3, -1)
    of_x, of_h = constant[: 4 * units] + product(x, cell.w_x), product(h[:units], cell.w_h)
    new, new_c = _normed(scale_x * of_x + scale_h * of_h + shift + hyper.bias, c[:units], cell.norms)
    return np.concatenate([new, u]), np.concatenate([new_c, u_c])


def _sigmoid(x: Array) -> Array:
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x), np.float64)


def _lstm(gates: Array, c: Array) -> tuple[Array, Array]:
    i, j, f, o = np.split(gates, 4)
    new_c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(j)
    return _sigmoid(o) * np.tanh(new_c), new_c


def _normed(gates: Array, c: Array, norms: Norms) -> tuple[Array, Array]:
    """``rnn.py`` LayerNormLSTMCell from the sums of the gates (4H,) on; the c that is kept is not normed."""
    i, j, f, o = _norm(gates.reshape(4, -1)) * norms.gamma.reshape(4, -1) + norms.beta.reshape(4, -1)
    new_c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(j)
    return _sigmoid(o) * np.tanh(_norm(new_c) * norms.c_gamma + norms.c_beta), new_c


def _norm(values: Array) -> Array:
    """``rnn.py`` layer_norm over the last axis: biased variance, epsilon inside the root."""
    apart = values - values.mean(-1, keepdims=True)
    return np.asarray(apart / np.sqrt((apart * apart).mean(-1, keepdims=True) + NORM_EPSILON), np.float64)
