"""What a reader of drawings gives: the drawings of one source, and what it had to leave out."""

from dataclasses import dataclass, field
from typing import TypeAlias

from .sketch_npz import Stroke3

Drawings: TypeAlias = list[Stroke3]


@dataclass(frozen=True, slots=True)
class Skipped:
    """Drawings (or parts of them) that were left out or changed."""

    where: str
    """The file or folder, as it was given."""
    reason: str
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
    skipped: list[Skipped] = field(default_factory=list)

    def skip(self, reason: str, count: int = 1) -> None:
        """Counts drawings left out, where there are any."""
        if count:
            self.skipped.append(Skipped(self.where, reason, count))
