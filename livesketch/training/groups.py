"""Which examples go into a batch together: those of about equal length, so that little is padding."""

import numpy as np
from numpy.typing import NDArray

POOL = 40
"""Batches that are sorted by length together: more waste less padding, fewer mix better."""


def mixed(lengths: NDArray[np.int64], size: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """All examples once, in groups of ``size`` of about equal length, in random order; the last may be smaller."""
    order = rng.permutation(len(lengths))
    found: list[NDArray[np.int64]] = []
    for first in range(0, len(order), size * POOL):
        part = order[first : first + size * POOL]
        part = part[np.argsort(lengths[part], kind="stable")]
        found += [rng.permutation(part[i : i + size]) for i in range(0, len(part), size)]
    return [found[i] for i in rng.permutation(len(found))]


def by_length(lengths: NDArray[np.int64], size: int, ids: NDArray[np.int64] | None = None) -> list[NDArray[np.int64]]:
    """These examples, or all, in groups of ``size``, the shortest first: for evaluation."""
    chosen = np.arange(len(lengths)) if ids is None else ids
    chosen = chosen[np.argsort(lengths[chosen], kind="stable")]
    return [chosen[i : i + size] for i in range(0, len(chosen), size)]
