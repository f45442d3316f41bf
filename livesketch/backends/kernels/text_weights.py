"""What tokens weigh: exponentials, sums and the largest over a vocabulary, in float64.

Every array over the vocabulary is W long: V in whole panels, with -inf, weight 0, behind.
"""

import math
from typing import Any

import numpy as np

from .common import FMA, ROWS, apart, inner, place

LANES = 32
"""Sums over the vocabulary run in so many lanes, four of each lane a turn, in one fixed order."""
TURN = ROWS * LANES
"""Tokens of a turn; W is a multiple of it."""

INF = math.inf
FLOOR = -800.0
"""Scores less the largest, over the temperature, are held above it; the weight is 0 there."""
_LEAST = -708.0
"""Below it an exponential counts as 0; in truth it is less than 2^-1021."""
_MOST = 700.0
"""Above it an exponential stands still."""
HUGE = 1e250
"""A sum of weights up to it holds none that stood still."""

# exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln 2 / 2: the Taylor series to degree 13, off by 2.2e-16 at most. The
# logarithm is split in two (fdlibm e_exp.c), so that n times it is exact; adding _MAGIC rounds to a whole number.
_LOG2_E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_MAGIC = 1.5 * 2.0**52
_T2, _T3, _T4, _T5, _T6, _T7, _T8, _T9, _T10, _T11, _T12, _T13 = (1 / math.factorial(n) for n in range(2, 14))


@inner()
def likeliest(scores: Any, lanes: Any) -> Any:
    """The first of the largest; scratch ``lanes`` (2, LANES)."""
    apart()
    for u in range(LANES):
        lanes[0, u] = -INF
    for at in range(0, scores.shape[0], TURN):
        for u in range(LANES):
            a, b = scores[place(at + u)], scores[place(at + LANES + u)]
            c, d = scores[place(at + 2 * LANES + u)], scores[place(at + 3 * LANES + u)]
            a, c = a if a > b else b, c if c > d else d
            a = a if a > c else c
            lanes[0, u] = a if a > lanes[0, u] else lanes[0, u]
    top = -INF
    for u in range(LANES):
        top = lanes[0, u] if lanes[0, u] > top else top
    best = 0
    while scores[best] < top:
        best += 1
    return best


@inner(fastmath=FMA)
def weighed(scores: Any, top: Any, divisor: Any, tempered: Any, weights: Any) -> None:
    """Scores less ``top``, over the temperature, and their exponentials, as long as ``tempered`` is."""
    apart()
    for k in range(tempered.shape[0]):
        x = (scores[k] - top) / divisor
        x = x if x > FLOOR else FLOOR
        tempered[k] = x
        held = x if x > _LEAST else _LEAST
        held = held if held < _MOST else _MOST
        n = (held * _LOG2_E + _MAGIC) - _MAGIC
        r = (held - n * _LN2_HIGH) - n * _LN2_LOW
        p = ((((_T13 * r + _T12) * r + _T11) * r + _T10) * r + _T9) * r + _T8
        p = ((((((p * r + _T7) * r + _T6) * r + _T5) * r + _T4) * r + _T3) * r + _T2) * r
        p = (p + 1.0) * r + 1.0
        power = np.int64((np.int64(n) + 1023) << 52).view(np.float64)
        weights[k] = p * power if x >= _LEAST else 0.0


@inner(fastmath=FMA)
def totals(weights: Any, factors: Any, lanes: Any) -> Any:
    """The sums of the weights, and of the weights times the factors; lanes (2, LANES)."""
    apart()
    for u in range(LANES):
        lanes[0, u], lanes[1, u] = 0.0, 0.0
    for at in range(0, weights.shape[0], TURN):
        for u in range(LANES):
            g, h = place(at + u), place(at + LANES + u)
            i, j = place(at + 2 * LANES + u), place(at + 3 * LANES + u)
            a, b, c, d = weights[g], weights[h], weights[i], weights[j]
            lanes[0, u] += (a + b) + (c + d)
            a, b, c, d = a * factors[g], b * factors[h], c * factors[i], d * factors[j]
            lanes[1, u] += (a + b) + (c + d)
    first, second = 0.0, 0.0
    for u in range(LANES):
        first += lanes[0, u]
        second += lanes[1, u]
    return first, second
