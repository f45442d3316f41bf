"""Interpolated Kneser-Ney n-grams over tokens, as a baseline: three discounts an order, NumPy.

Source: Chen & Goodman 1999, "An Empirical Study of Smoothing Techniques for Language Modeling", sections 2.7 and 3
(modified Kneser-Ney, interpolated; the discounts from counts of counts, equation 26).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]

_LEAST = 0.05
"""Least discount, so that what was never seen has some probability in a small corpus too."""


def padded(documents: Sequence[Ids], order: int, end: int = 0) -> tuple[Ids, NDArray[np.bool_]]:
    """All documents one after the other, each behind ``order - 1`` END and before one; and which of all are targets."""
    before = np.full(order - 1, end, np.int64)
    stream = np.concatenate([part for document in documents for part in (before, document, [end])])
    target = np.ones(len(stream), bool)
    starts = np.cumsum([0, *(len(document) + order for document in documents[:-1])])
    target[(starts[:, None] + np.arange(order - 1)).ravel()] = False
    return stream, target


@dataclass(frozen=True)
class _Level:
    """One order: its grams in sorted order, and what is needed of each."""

    keys: Ids
    """(number of the gram without its last token) * V + last token, ascending; a gram's number is its place."""
    counts: Ids
    """Of each gram: how often, or, below the highest order, in how many ways it is continued to the left."""
    total: NDArray[np.float64]
    """Of each gram one token shorter: the sum of counts that continue it."""
    left: NDArray[np.float64]
    """Of each gram one token shorter: the probability that discounts took from these, times the total."""
    discount: NDArray[np.float64]
    """(4,): taken from a count of 0, 1, 2, and 3 or more."""


class KneserNey:
    """P(token | the ``order - 1`` tokens before)."""

    def __init__(self, documents: Sequence[Ids], tokens: int, order: int = 5) -> None:
        self.tokens, self.order = tokens, order
        stream, target = padded(documents, order)
        numbers, keys = np.zeros(len(stream), np.int64), []
        found: list[Ids] = []
        for _ in range(order):  # grams that end at each place, shorter ones first
            shorter = np.concatenate([[0], numbers[:-1]])
            level, numbers = np.unique(shorter * tokens + stream, return_inverse=True)
            keys.append(level)
            found.append(numbers)
        self._levels = [self._level(n, keys[n], found, target) for n in range(order)]

    def _level(self, n: int, keys: Ids, found: Sequence[Ids], target: NDArray[np.bool_]) -> _Level:
        """Order n + 1. ``found``: the number of the gram of each order that ends at each place of the stream."""
        if n + 1 < self.order:  # distinct longer grams, each counted for its end
            longer = np.unique(found[n + 1][target], return_index=True)[1]
            counts = np.bincount(found[n][target][longer], minlength=len(keys))
        else:
            counts = np.bincount(found[n][target], minlength=len(keys))
        discount = _discounts(counts)
        shorter, size = keys // self.tokens, int(found[n - 1].max()) + 1 if n else 1
        total = np.bincount(shorter, counts, size)
        left = np.bincount(shorter, discount[np.minimum(counts, 3)], size)
        return _Level(keys, counts, total, left, discount)

    def probabilities(self, documents: Sequence[Ids]) -> NDArray[np.float64]:
        """Of every token and one END a document, one document after the other."""
        stream, target = padded(documents, self.order)
        known = np.zeros(len(stream), np.int64)  # the number of the gram before each place, of the order at hand; or -1
        out = np.full(len(stream), 1 / self.tokens)
        for level in self._levels:
            wanted = known * self.tokens + stream
            place = np.minimum(np.searchsorted(level.keys, wanted), len(level.keys) - 1)
            seen = (known >= 0) & (level.keys[place] == wanted)
            counts = np.where(seen, level.counts[place], 0)
            total = np.where(known >= 0, level.total[known], 0.0)
            with np.errstate(divide="ignore", invalid="ignore"):
                here = (counts - level.discount[np.minimum(counts, 3)] + level.left[known] * out) / total
            out = np.where(total > 0, here, out)
            ends = np.where(seen, place, -1)
            known = np.concatenate([[-1], ends[:-1]])
        return np.asarray(out[target], np.float64)


def _discounts(counts: Ids) -> NDArray[np.float64]:
    one, two, three, four = (max(int((counts == k).sum()), 1) for k in (1, 2, 3, 4))
    share = one / (one + 2 * two)
    found = [0.0, 1 - 2 * share * two / one, 2 - 3 * share * three / two, 3 - 4 * share * four / three]
    return np.clip(found, [0.0, _LEAST, _LEAST, _LEAST], [0.0, 1.0, 2.0, 3.0])


def best_share(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The share of ``one`` in a mixture with ``other`` that makes these probabilities likeliest: EM, held-out."""
    share = 0.5
    for _ in range(50):
        share = float((share * one / (share * one + (1 - share) * other)).mean())
    return share
