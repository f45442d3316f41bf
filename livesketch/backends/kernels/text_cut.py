"""Which tokens are kept, and the one at a uniform number, without a sort of the vocabulary.

Arrays as in ``text_weights``: scores, the scores less the largest over the temperature, and weights, (W,) each.
"""

from typing import Any

import numpy as np

from .common import apart, inner, place
from .text_weights import INF, LANES, TURN

BUCKETS = 1024
_FINE = 32
"""Buckets per nat in the first round of ``_cut``; what is less likely than the likeliest by more is in the last."""
_FEW = 48
"""So many candidates are sorted by insertion."""


@inner()
def _bucket(distance: Any) -> Any:
    """Of the buckets from the largest score down; a smaller score is never in an earlier one."""
    bucket = np.int64(distance)
    return bucket if bucket < BUCKETS else BUCKETS - 1


@inner()
def _cut(scores: Any, tempered: Any, weights: Any, most: Any, share: Any, order: Any, counts: Any, sums: Any) -> Any:
    """Score and index of the last that is kept: of the likeliest ``most``, or the fewest whose weights reach ``share``.

    Of equal scores the lower index is the likelier. Scratch: order (W,), counts and sums (BUCKETS,). Each round sorts
    the candidates into buckets, and only those in the one where the cut falls go on.
    """
    width = scores.shape[0]
    count, taken, held, scale, high = width, 0, 0.0, 0.0, 0.0  # of the candidates; of those that stand before them
    for k in range(width):
        order[k] = k
    while count > _FEW or scale == 0.0:
        if scale > 0.0:
            high, low = scores[order[0]], scores[order[0]]
            for j in range(1, count):
                score = scores[order[j]]
                high, low = score if score > high else high, score if score < low else low
            if high == low:
                break
            scale = BUCKETS / (high - low)
        for b in range(BUCKETS):
            counts[b], sums[b] = 0, 0.0
        for j in range(count):
            k = order[j]
            b = _bucket((high - scores[k]) * scale if scale > 0.0 else -_FINE * tempered[k])
            counts[b] += 1
            sums[b] += weights[k]
        at = 0
        while at < BUCKETS - 1 and taken + counts[at] < most and held + sums[at] < share:
            taken += counts[at]
            held += sums[at]
            at += 1
        stay = 0
        for j in range(count):
            k = order[j]
            b = _bucket((high - scores[k]) * scale if scale > 0.0 else -_FINE * tempered[k])
            if b == at and scores[k] > -INF:
                order[stay] = k
                stay += 1
        count, scale = stay, 1.0 if scale == 0.0 else scale
    for j in range(1, count if count <= _FEW else 0):  # by falling score, those of one score as they stand
        index, at = order[j], j
        while at > 0 and scores[order[at - 1]] < scores[index]:
            order[at] = order[at - 1]
            at -= 1
        order[at] = index
    last = -1  # where rounding keeps the sum below the share, the last bucket may hold none: all are kept
    for j in range(count):
        last = order[j]
        taken += 1
        held += weights[last]
        if taken >= most or held >= share:
            break
    return (-INF, width) if last < 0 else (scores[last], last)


@inner()
def truncated(scores: Any, tempered: Any, weights: Any, settings: Any, total: Any, order: Any, counts: Any,
              sums: Any) -> None:  # fmt: skip
    """Weight 0, and score -inf, for all that top_k, top_p and min_p do not keep."""
    width, least = scores.shape[0], settings["min_p"]
    most = settings["top_k"] if settings["top_k"] > 0 else width
    share = settings["top_p"] * total if settings["top_p"] < 1.0 else INF
    low, last = -INF, width
    if most < width or share < INF:
        low, last = _cut(scores, tempered, weights, most, share, order, counts, sums)
    for k in range(width):
        score, weight = scores[k], weights[k]  # both read before the choice: no branches then
        kept = ((score > low) | ((score == low) & (k <= last))) & (weight >= least)
        scores[k] = score if kept else -INF
        weights[k] = weight if kept else 0.0


@inner()
def pick(weights: Any, target: Any) -> Any:
    """``token_sampling.choose``, lane by lane of LANES tokens; target above 0."""
    apart()
    running, at = 0.0, 0
    while at < weights.shape[0]:
        a, b, c, d = 0.0, 0.0, 0.0, 0.0
        for u in range(LANES):
            a += weights[place(at + u)]
            b += weights[place(at + LANES + u)]
            c += weights[place(at + 2 * LANES + u)]
            d += weights[place(at + 3 * LANES + u)]
        if running + ((a + b) + (c + d)) >= target:
            break
        running += (a + b) + (c + d)
        at += TURN
    for k in range(at, weights.shape[0]):
        running += weights[k]
        if running >= target:
            return k
    last = weights.shape[0] - 1  # the sum was in another order, and is a little larger
    while last > 0 and weights[last] == 0.0:
        last -= 1
    return last
