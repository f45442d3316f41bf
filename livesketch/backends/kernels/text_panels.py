"""What the kernels of text models share: their matrices as panels, one below another, and the embedding.

Rows (R, 128) hold every matrix of a model but the embedding: a panel of 128 columns and K rows is K of them, K a
multiple of 4. A plan says where a matrix begins and what K is.
"""

from typing import Any

import numpy as np

from ...token_sampling import END
from .common import WIDTH, compiled, copy, products

_f = np.float32


@compiled()
def begin(writer: Any) -> None:
    """A finished piece gives way to step 0 of the next: ``TextNumpyBatch.restart`` but for the state."""
    writer["piece"] += 1
    writer["step"], writer["token"], writer["done"] = 0, END, False


@compiled()
def multiplied(rows: Any, first: Any, turns: Any, bias: Any, inputs: Any, out: Any) -> None:
    """For every voice out = bias + inputs @ matrix: the panels, ``turns`` rows each, from row ``first`` on.

    rows (R, 128), bias (C,), inputs (N, turns or more), out (N, C or more); C in whole panels.
    """
    for p in range(bias.shape[0] // WIDTH):
        at, until = p * WIDTH, (p + 1) * WIDTH
        weights = rows[first + p * turns : first + (p + 1) * turns]
        for n in range(out.shape[0]):
            copy(bias[at:until], out[n, at:until])
        products(weights, inputs, 0, 0, out, 0, at, out.shape[0])


@compiled()
def embedded(embedding: Any, token: Any, scale: Any, out: Any) -> None:
    """``out[:E]``: a row of the embedding (V, E)."""
    for k in range(embedding.shape[1]):
        out[k] = _f(embedding[token, k]) * scale
