"""The three cells in torch for N voices at once. Formulas: ``livesketch.models.cells``; weights: ``cell_math``.

Products are taken in the type of the weights, float32 or for ``fast`` bf16 or fp16; all else is float32.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..models.cells import NORM_EPSILON
from . import cell_math
from .cell_math import Array


@dataclass(frozen=True, slots=True)
class Norms:
    """``cell_math.Norms``: gamma and beta (4, H), c_gamma and c_beta (H,)."""

    gamma: Tensor
    beta: Tensor
    c_gamma: Tensor
    c_beta: Tensor


@dataclass(frozen=True, slots=True)
class Hyper:
    """``cell_math.Hyper``; w is (12, E, H)."""

    w_x: Tensor
    w_h: Tensor
    norms: Norms
    z: Tensor
    z_b: Tensor
    w: Tensor
    bias: Tensor


@dataclass(frozen=True, slots=True)
class Cell:
    """``cell_math.Cell`` on a device."""

    w_x: Tensor
    """(5, 4H), like ``w_h`` (H, 4H) of the type that products are taken in."""
    w_h: Tensor
    norms: Norms | None
    hyper: Hyper | None

    @property
    def units(self) -> int:
        """H."""
        return self.w_h.shape[0]


class Placed:
    """Puts arrays on a device: matrices in the type of products, the rest in float32."""

    def __init__(self, device: torch.device, products: torch.dtype) -> None:
        self.device, self.products = device, products

    def matrix(self, array: Array) -> Tensor:
        """Weights of a product."""
        return torch.tensor(array, dtype=self.products, device=self.device)

    def vector(self, array: Array) -> Tensor:
        """What is added or multiplied number by number."""
        return torch.tensor(array, dtype=torch.float32, device=self.device)

    def cell(self, cell: cell_math.Cell) -> Cell:
        """A cell's weights."""
        norms = None if cell.norms is None else self._norms(cell.norms)
        hyper = None if cell.hyper is None else self._hyper(cell.hyper)
        return Cell(self.matrix(cell.w_x), self.matrix(cell.w_h), norms, hyper)

    def _hyper(self, hyper: cell_math.Hyper) -> Hyper:
        return Hyper(
            self.matrix(hyper.w_x), self.matrix(hyper.w_h), self._norms(hyper.norms), self.matrix(hyper.z),
            self.vector(hyper.z_b), self.matrix(hyper.w), self.vector(hyper.bias),
        )  # fmt: skip

    def _norms(self, norms: cell_math.Norms) -> Norms:
        gamma, beta = (self.vector(values.reshape(4, -1)) for values in (norms.gamma, norms.beta))
        return Norms(gamma, beta, self.vector(norms.c_gamma), self.vector(norms.c_beta))


def product(vectors: Tensor, matrix: Tensor) -> Tensor:
    """Vectors (N, K) by a matrix (K, L): (N, L) float32."""
    return torch.mm(vectors.to(matrix.dtype), matrix).float()


def added(sums: Tensor, vectors: Tensor, matrix: Tensor) -> Tensor:
    """``sums + product(vectors, matrix)`` without another pass over memory in float32."""
    return torch.addmm(sums, vectors, matrix) if matrix.dtype == torch.float32 else sums + product(vectors, matrix)


def step(cell: Cell, x: Tensor, h: Tensor, c: Tensor, constant: Tensor) -> tuple[Tensor, Tensor]:
    """``cell_math.step`` for N voices: x (N, 5), h and c (N, S), constant (N, L); the new h and c."""
    units, hyper = cell.units, cell.hyper
    if cell.norms is None:
        return lstm(added(added(constant, x, cell.w_x), h, cell.w_h), c)
    if hyper is None:
        return _normed(added(added(constant, x, cell.w_x), h, cell.w_h), c, cell.norms)
    gates = added(added(constant[:, 4 * units :], x, hyper.w_x), h, hyper.w_h)
    u, u_c = _normed(gates, c[:, units:], hyper.norms)
    z = added(hyper.z_b, u, hyper.z).reshape(len(x), 12, -1).transpose(0, 1).to(hyper.w.dtype)
    mixed = torch.bmm(z, hyper.w).float().reshape(3, 4, len(x), units).transpose(1, 2).reshape(3, len(x), 4 * units)
    of_x, of_h = added(constant[:, : 4 * units], x, cell.w_x), product(h[:, :units], cell.w_h)
    joined = mixed[0] * of_x + mixed[1] * of_h + mixed[2] + hyper.bias
    new, new_c = _normed(joined, c[:, :units], cell.norms)
    return torch.cat([new, u], 1), torch.cat([new_c, u_c], 1)


def lstm(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """The new h and c, (N, H) each, of an LSTM's gates (N, 4H), the forget bias in them."""
    i, j, f, o = gates.chunk(4, 1)
    new_c = f.sigmoid() * c + i.sigmoid() * j.tanh()
    return o.sigmoid() * new_c.tanh(), new_c


def _normed(gates: Tensor, c: Tensor, norms: Norms) -> tuple[Tensor, Tensor]:
    i, j, f, o = (_norm(gates.reshape(len(gates), 4, -1)) * norms.gamma + norms.beta).unbind(1)
    new_c = f.sigmoid() * c + i.sigmoid() * j.tanh()
    return o.sigmoid() * (_norm(new_c) * norms.c_gamma + norms.c_beta).tanh(), new_c


def _norm(values: Tensor) -> Tensor:
    apart = values - values.mean(-1, keepdim=True)
    return apart * torch.rsqrt((apart * apart).mean(-1, keepdim=True) + NORM_EPSILON)
