"""What a reader of drawings gives: the drawings of one source, and what it had to leave out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..rows import to_rows
from .sketch_npz import Stroke3

Drawings: TypeAlias = list[Stroke3]

EMPTY = "empty: left out"


@dataclass(frozen=True, slots=True)
class Skipped:
    """Drawings, or parts of them, that were left out or changed."""

    where: str
    """The file or folder, as it was given; or the class."""
    reason: str
    """What was the matter, and what was done about it."""
    count: int


@dataclass(slots=True)
class Found:
    """The drawings of one source, all of one class."""

    where: str
    label: str
    drawings: Drawings = field(default_factory=list)
    """Those that belong to no split yet."""
    splits: dict[str, Drawings] = field(default_factory=dict)
    """Those of ``train``, ``valid`` and ``test``, where the source has these splits."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Reason to count."""

    def skip(self, reason: str, count: int = 1) -> None:
        """Counts what is left out or changed."""
        if count:
            self.left_out[reason] = self.left_out.get(reason, 0) + count

    def skipped(self) -> list[Skipped]:
        """The report of this source."""
        return [Skipped(self.where, reason, count) for reason, count in self.left_out.items()]


def stroke3(strokes: Any) -> Stroke3:
    """Rows or polylines, as ``to_rows`` takes them, as float32 stroke-3. StrokesError: they are neither."""
    return to_rows(strokes).astype(np.float32)


def of_polylines(polylines: Sequence[NDArray[np.float64]]) -> Stroke3 | None:
    """Stroke-3 of polylines (k, 2); None where they are one point, or none at all."""
    if sum(len(line) for line in polylines) < 2:
        return None
    return stroke3([line for line in polylines if len(line)])
