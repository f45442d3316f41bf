"""Rows that only forbid, as bytes: a quarter of the memory that a step touches besides the weights."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..token_sampling import UNK

Row = NDArray[np.float32]
Bytes = NDArray[np.uint8]

RARE: Final = 64
"""Rare tokens of one voice; where there are more, whole rows are made."""

_KEPT: Final = 2**25
"""Bytes of rows and masks that are kept."""


class Mask(NamedTuple):
    """What a row (V,) says. Where it does more than forbid, ``allowed`` is of no use."""

    row: Row
    """Kept, so that nothing else gets its ``id``."""
    allowed: Bytes
    """(V,) 1 where the row is 0."""
    only: bool
    """Whether it does no more than forbid."""
    usable: bool
    """That, and whether it leaves END or a known symbol."""


class Masks:
    """The masks of N voices. A row that is read-only is looked at once."""

    def __init__(self, size: int, tokens: int) -> None:
        self._size = size
        self.allowed = np.zeros((0, 2, tokens), np.uint8)
        """(N, 2, V), hard and soft, from the first constraint on."""
        self.rare = np.zeros((size, RARE), np.int64)
        """(N, RARE) tokens; ``settings`` says how many of them count."""
        self._known: dict[int, Mask] = {}
        self.free = self.of(np.zeros(tokens, np.float32))
        """Of a row that forbids nothing."""
        self._held: list[tuple[Mask, Mask] | None] = [None] * size

    def of(self, row: Row) -> Mask:
        """What a row (V,) says."""
        return self._known.get(id(row)) or self._looked_at(row)

    def _looked_at(self, row: Row) -> Mask:
        zero = row == 0
        only = bool((zero | (row == -np.inf)).all())
        mask = Mask(row, zero.view(np.uint8), only, only and bool(zero[0] or zero[UNK + 1 :].any()))
        if not row.flags.writeable:
            if len(self._known) * 5 * len(row) > _KEPT:
                self._known.clear()
            self._known[id(row)] = mask
        return mask

    def hold(self, k: int, hard: Mask, soft: Mask, rare: Sequence[int]) -> None:
        """Voice k is held to these."""
        if not len(self.allowed):
            self.allowed = np.ones((self._size, 2, len(hard.row)), np.uint8)
        held = self._held[k]
        self._held[k] = None  # neither the old nor the new, until all of it is there
        if held is None or hard is not held[0]:
            self.allowed[k, 0] = hard.allowed
        if held is None or soft is not held[1]:
            self.allowed[k, 1] = soft.allowed
        if rare:
            self.rare[k, : len(rare)] = rare
        self._held[k] = hard, soft
