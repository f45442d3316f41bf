"""What tokens weigh: exponentials, sums and the largest over a vocabulary, in float64.

Every array over the vocabulary is W long: V in whole panels, with -inf, weight 0, behind.
"""

import math
from typing import Any

import numpy as np

from .common import FMA, ROWS, compiled

LANES = 32
"""Sums over the vocabulary run in so many lanes, four of each lane a turn, in one fixed order."""

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


@compiled()
def likeliest(scores: Any, lanes: Any) -> Any:
    """The first of the largest."""
    for u in range(LANES):
        lanes[u] = -INF
    parts = scores.reshape(scores.shape[0] // LANES, LANES)
    for k in range(0, parts.shape[0], ROWS):
        for u in range(LANES):
            a, b, c, d = parts[k, u], parts[k + 1, u], parts[k + 2, u], parts[k + 3, u]
            a, c = max(b, a), max(d, c)
            a = max(c, a)
            lanes[u] = max(lanes[u], a)
    top = -INF
    for u in range(LANES):
        top = max(top, lanes[u])
    best = 0
    while scores[best] < top:
        best += 1
    return best


@compiled(fastmath=FMA)
def weighed(scores: Any, top: Any, divisor: Any, tempered: Any, weights: Any) -> None:
    """Scores less ``top``, over the temperature, and their exponentials, as long as ``tempered`` is."""
    for k in range(tempered.shape[0]):
        x = max(FLOOR, (scores[k] - top) / divisor)
        tempered[k] = x
        held = min(max(x, _LEAST), _MOST)
        n = (held * _LOG2_E + _MAGIC) - _MAGIC
        r = (held - n * _LN2_HIGH) - n * _LN2_LOW
        p = ((((_T13 * r + _T12) * r + _T11) * r + _T10) * r + _T9) * r + _T8
        p = ((((((p * r + _T7) * r + _T6) * r + _T5) * r + _T4) * r + _T3) * r + _T2) * r
        p = (p + 1.0) * r + 1.0
        power = np.int64((np.int64(n) + 1023) << 52).view(np.float64)
        weights[k] = p * power if x >= _LEAST else 0.0


@compiled(fastmath=FMA)
def totals(weights: Any, factors: Any, lanes: Any) -> Any:
    """The sums of the weights, and of the weights times the factors; lanes (2, LANES)."""
    parts = weights.reshape(weights.shape[0] // LANES, LANES)
    others = factors.reshape(factors.shape[0] // LANES, LANES)
    plain, times = lanes[0], lanes[1]
    for u in range(LANES):
        plain[u], times[u] = 0.0, 0.0
    for k in range(0, parts.shape[0], ROWS):
        for u in range(LANES):
            a, b, c, d = parts[k, u], parts[k + 1, u], parts[k + 2, u], parts[k + 3, u]
            plain[u] += (a + b) + (c + d)
            a, b, c, d = a * others[k, u], b * others[k + 1, u], c * others[k + 2, u], d * others[k + 3, u]
            times[u] += (a + b) + (c + d)
    first, second = 0.0, 0.0
    for u in range(LANES):
        first += plain[u]
        second += times[u]
    return first, second
