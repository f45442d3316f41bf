"""The encoder of a sketch_vae for inference: a drawing becomes the place of its latent vector, NumPy, float64.

Source: magenta/magenta ``sketch_rnn/model.py`` ``Model.encoder``. Cells: ``cell_math``. The same machine gives the same
bits for the same drawing; another may differ in the last ones.
"""

import numpy as np
from numpy.typing import NDArray

from ..errors import StrokesError, UnsupportedModelError
from ..models.checkpoint import Checkpoint
from . import cell_math
from .cell_math import Array


def _product(vectors: Array, matrices: Array) -> Array:
    # einsum adds the rows in order in one thread; BLAS takes several, and 100 times as long where others use the cores
    return np.asarray(np.einsum("...k,...kl->...l", vectors, matrices), np.float64)


class Encoder:
    """Two cells, one for each direction, and what turns their last states into a latent vector's place."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Takes the encoder's weights of a model.

        Raises:
            UnsupportedModelError: the model has no encoder.
        """
        if checkpoint.architecture != "sketch_vae":
            raise UnsupportedModelError(
                f"model {checkpoint.name!r} is a {checkpoint.architecture}, which has no encoder; expected a "
                "sketch_vae, such as a .vae.json or a model trained with a latent vector"
            )
        tensors, cell, bias = checkpoint.tensors, checkpoint.encoder_cell, checkpoint.forget_bias
        ways = "encoder.forward", "encoder.backward"
        self._cells = [cell_math.cell_of(tensors, way, cell, bias) for way in ways]
        self._constants = [cell_math.constant_of(tensors, way, cell, bias, 0)[0] for way in ways]
        self._mu_w, self._mu_b = tensors["mu.w"].dense(), tensors["mu.b"].dense()
        self._sigma_w, self._sigma_b = tensors["sigma.w"].dense(), tensors["sigma.b"].dense()

    def encode(self, rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """``mu`` and ``sigma_hat``, (z_size,) each, of a drawing's stroke-3 rows (n, 3) in model units.

        A latent vector of the drawing is mu + exp(sigma_hat / 2) * noise. The rows are taken without a start token and
        without an END row; the backward cell takes them from the last to the first.

        Raises:
            StrokesError: no rows, another shape, a number that is not finite, or a lift other than 0 and 1.
        """
        dx, dy, lift = _checked(rows).T
        inputs = np.column_stack([dx, dy, 1 - lift, lift, np.zeros(len(lift))])
        last = np.concatenate([self._last(0, inputs), self._last(1, inputs[::-1])])
        return _product(last, self._mu_w) + self._mu_b, _product(last, self._sigma_w) + self._sigma_b

    def _last(self, way: int, inputs: Array) -> Array:
        """The h (H,) of one cell after all inputs (n, 5), from zeros on."""
        cell, constant = self._cells[way], self._constants[way]
        units = len(cell.w_h)
        size = units + (len(cell.hyper.norms.c_gamma) if cell.hyper else 0)
        h, c = np.zeros(size), np.zeros(size)
        for x in inputs:
            h, c = cell_math.step(cell, x, h, c, constant, _product)
        return h[:units]


def _checked(rows: NDArray[np.float64]) -> Array:
    """The rows as float64 (n, 3)."""
    array = np.asarray(rows, np.float64)
    if array.ndim != 2 or array.shape[1] != 3 or not len(array):
        raise StrokesError(f"rows of shape {array.shape}; expected (n, 3): dx, dy, lift, at least one row")
    if not np.isfinite(array).all() or not np.isin(array[:, 2], (0, 1)).all():
        raise StrokesError("rows with a number that is not finite, or a lift other than 0 and 1; give stroke-3 rows")
    return array
