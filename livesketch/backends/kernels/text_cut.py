"""Which tokens are kept, and the one at a uniform number, without a sort of the vocabulary.

Arrays as in ``text_weights``: scores, the scores less the largest over the temperature, and weights, (W,) each.
"""

from typing import Any

import numpy as np

from .common import ROWS, compiled
from .text_weights import INF, LANES

BUCKETS = 1024
_FINE = 32
"""Buckets per nat in the first round of ``_cut``; what is less likely than the likeliest by more is in the last."""
_FEW = 48
"""So many candidates are sorted by insertion."""


@compiled()
def _sorted(scores: Any, order: Any, count: Any) -> None:
    """The first ``count`` of order, falling by score, those of one score as they stand."""
    for j in range(1, count):
        index, at = order[j], j
        while at > 0 and scores[order[at - 1]] < scores[index]:
            order[at] = order[at - 1]
            at -= 1
        order[at] = index


@compiled(inline="always")
def _bucket(score: Any, high: Any, scale: Any) -> Any:
    """Of the buckets from the largest score down; a smaller score is never in an earlier one."""
    return min(np.int64((high - score) * scale), BUCKETS - 1)


@compiled()
def _narrowed(scores: Any, weights: Any, most: Any, share: Any, taken: Any, held: Any, order: Any, count: Any,
              counts: Any, sums: Any) -> Any:  # fmt: skip
    """A further round of ``_cut``: of the candidates only those in the bucket where the cut falls stay in order.

    Returns how many they are, and how many stand before them with which weight.
    """
    high, low = scores[order[0]], scores[order[0]]
    for j in range(1, count):
        score = scores[order[j]]
        high, low = max(high, score), min(low, score)
    if high == low:
        return -count, taken, held
    scale = BUCKETS / (high - low)
    for b in range(BUCKETS):
        counts[b], sums[b] = 0, 0.0
    for j in range(count):
        b = _bucket(scores[order[j]], high, scale)
        counts[b] += 1
        sums[b] += weights[order[j]]
    at = 0
    while at < BUCKETS - 1 and taken + counts[at] < most and held + sums[at] < share:
        taken += counts[at]
        held += sums[at]
        at += 1
    stay = 0
    for j in range(count):
        if _bucket(scores[order[j]], high, scale) == at:
            order[stay] = order[j]
            stay += 1
    return stay, taken, held


@compiled()
def _counted(tempered: Any, weights: Any, most: Any, share: Any, order: Any, counts: Any, sums: Any) -> Any:
    """The first round of ``_cut``: the bucket of each token into order, and the bucket where the cut falls.

    Returns it with how many stand before it, with which weight.
    """
    for k in range(tempered.shape[0]):
        order[k] = min(np.int64(-_FINE * tempered[k]), BUCKETS - 1)
    for b in range(BUCKETS):
        counts[b], sums[b] = 0, 0.0
    for k in range(tempered.shape[0]):
        counts[order[k]] += 1
        sums[order[k]] += weights[k]
    at, taken, held = 0, 0, 0.0
    while at < BUCKETS - 1 and taken + counts[at] < most and held + sums[at] < share:
        taken += counts[at]
        held += sums[at]
        at += 1
    return at, taken, held


@compiled(inline="always")
def _cut(scores: Any, tempered: Any, weights: Any, most: Any, share: Any, order: Any, counts: Any, sums: Any) -> Any:
    """Score and index of the last that is kept: of the likeliest ``most``, or the fewest whose weights reach ``share``.

    Of equal scores the lower index is the likelier. Scratch: order (W,), counts and sums (BUCKETS,).
    """
    at, taken, held = _counted(tempered, weights, most, share, order, counts, sums)
    count = 0
    for k in range(scores.shape[0]):
        if order[k] == at and scores[k] > -INF:
            order[count] = k
            count += 1
    while count > _FEW:
        count, taken, held = _narrowed(scores, weights, most, share, taken, held, order, count, counts, sums)
    _sorted(scores, order, count)
    last = -1  # where rounding keeps the sum below the share, the last bucket may hold none: all are kept
    for j in range(abs(count)):
        last = order[j]
        taken += 1
        held += weights[last]
        if taken >= most or held >= share:
            break
    return (-INF, scores.shape[0]) if last < 0 else (scores[last], last)


@compiled(inline="always")
def truncated(scores: Any, tempered: Any, weights: Any, settings: Any, total: Any, order: Any, counts: Any,
               sums: Any) -> None:  # fmt: skip
    """Weight 0, and score -inf, for all that top_k, top_p and min_p do not keep."""
    most = settings["top_k"] if settings["top_k"] > 0 else scores.shape[0]
    share = settings["top_p"] * total if settings["top_p"] < 1.0 else INF
    low, last = -INF, scores.shape[0]
    if most < scores.shape[0] or share < INF:
        low, last = _cut(scores, tempered, weights, most, share, order, counts, sums)
    least = settings["min_p"]
    for k in range(scores.shape[0]):
        score, weight = scores[k], weights[k]  # both read before the choice: no branches then
        kept = ((score > low) | ((score == low) & (k <= last))) & (weight >= least)
        scores[k] = score if kept else -INF
        weights[k] = weight if kept else 0.0


@compiled()
def pick(weights: Any, target: Any) -> Any:
    """``token_sampling.choose``, lane by lane of LANES tokens; target above 0."""
    parts = weights.reshape(weights.shape[0] // LANES, LANES)
    running, part = 0.0, 0
    while part < parts.shape[0]:
        a, b, c, d = 0.0, 0.0, 0.0, 0.0
        for u in range(LANES):
            a += parts[part, u]
            b += parts[part + 1, u]
            c += parts[part + 2, u]
            d += parts[part + 3, u]
        if running + ((a + b) + (c + d)) >= target:
            break
        running += (a + b) + (c + d)
        part += ROWS
    for k in range(part * LANES, weights.shape[0]):
        running += weights[k]
        if running >= target:
            return k
    last = weights.shape[0] - 1  # the sum was in another order, and is a little larger
    while last > 0 and weights[last] == 0.0:
        last -= 1
    return last
