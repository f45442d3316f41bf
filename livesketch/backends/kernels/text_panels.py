"""What the kernels of text models share: their matrices as panels, one below another, and the embedding.

Rows (R, 128) hold every matrix of a model but the embedding: a panel of 128 columns and K rows is K of them, K a
multiple of 4. A plan says where a matrix begins and what K is.
"""

from typing import Any

import numpy as np

from ...token_sampling import END
from .common import NIL, WIDTH, inner, paired, place, product, products

_NIL = np.float32(0)


@inner()
def begin(writer: Any) -> None:
    """A finished piece gives way to step 0 of the next: ``TextNumpyBatch.restart`` but for the state."""
    writer["piece"] += 1
    writer["step"], writer["token"], writer["done"] = 0, END, False


@inner()
def ready(inputs: Any, n: Any, used: Any, turns: Any, rows: Any) -> None:
    """Voice n's inputs of a matrix of ``turns`` rows, of which so many are used, as ``products`` takes them."""
    for k in range(used, turns):
        inputs[n, k] = _NIL
    paired(inputs, n, rows)


@inner()
def multiplied(several: Any, rows: Any, first: Any, turns: Any, bias: Any, inputs: Any, out: Any) -> None:
    """For every voice out = bias + inputs @ matrix: the panels, ``turns`` rows each, from row ``first`` on.

    rows (R, 128), bias (C,), inputs (N, turns or more), out (N, C or more); C in whole panels. ``several`` as in
    ``lstm.update``.
    """
    count = out.shape[0]
    for p in range(bias.shape[0] // WIDTH):
        for n in range(count):
            for k in range(WIDTH):
                at = place(p * WIDTH + k)
                out[n, at] = bias[at]
        weights = rows[first + p * turns : first + (p + 1) * turns]
        if several is None:
            product(weights, inputs, NIL, NIL, out, NIL, p * WIDTH)
        else:
            products(weights, inputs, NIL, NIL, out, NIL, p * WIDTH, count)
