"""Which row of a device's table holds what a condition vector makes."""

import numpy as np
from numpy.typing import NDArray


class Rows:
    """Which row of the device's table holds what a condition vector makes; a row that no voice uses is taken again."""

    def __init__(self, size: int) -> None:
        self._of: dict[bytes, int] = {}
        self._free = list(range(size, -1, -1))

    def find(self, vector: NDArray[np.float64]) -> int | None:
        """The row of a vector, where one has it."""
        return self._of.get(vector.tobytes())

    def take(self, used: NDArray[np.int64]) -> int:
        """A row that is free, given those in use: at most one fewer than there are."""
        if not self._free:
            kept = {*used.tolist()}
            self._of = {key: row for key, row in self._of.items() if row in kept}
            self._free = [row for row in range(len(used), -1, -1) if row not in kept]
        return self._free[-1]

    def hold(self, vector: NDArray[np.float64], row: int) -> None:
        """The row taken last holds this vector's."""
        self._free.pop()
        self._of[vector.tobytes()] = row
