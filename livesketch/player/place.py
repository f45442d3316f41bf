"""Where drawings stand on the stage: as they come, fitted into it, or one after the other in a grid."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from ..errors import ControlError
from ..events import Event, PenAction
from ..values import real, whole

MARGIN: Final = 0.05
"""Of the cell, on each side."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a person asks for: a grid of cells, of which a drawing fills one after the other; 1 x 1 is the stage."""

    columns: int = 1
    rows: int = 1
    margin: float = MARGIN

    def __post_init__(self) -> None:
        whole("columns", self.columns, 1, 1000)
        whole("rows", self.rows, 1, 1000)
        if not 0 <= real("margin", self.margin, "0 to 0.45 of the cell") <= 0.45:
            raise ControlError(f"margin {self.margin!r}: expected 0 to 0.45 of the cell")


@dataclass(frozen=True, slots=True)
class Shift:
    """x and y times ``scale``, and then moved."""

    scale: float = 1.0
    x: float = 0.0
    y: float = 0.0

    def of(self, action: PenAction) -> PenAction:
        """The action at its place."""
        return replace(action, x=action.x * self.scale + self.x, y=action.y * self.scale + self.y)


def placed(place: Place, drawing: int, events: Iterable[Event]) -> Shift:
    """What puts a drawing of these events into its cell: as large as it goes, in the middle; a dot stays a dot."""
    points = [
        (event.x, event.y)
        for event in events
        if isinstance(event, PenAction) and math.isfinite(event.x) and math.isfinite(event.y)
    ]
    points.append((0.5, 0.5))  # where the first line begins
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    top, bottom = min(y for _, y in points), max(y for _, y in points)
    column, row = drawing % place.columns, drawing // place.columns % place.rows
    width, height = 1 / place.columns, 1 / place.rows
    room = 1 - 2 * place.margin
    wide, high = right - left, bottom - top
    scales = [room * size / extent for size, extent in ((width, wide), (height, high)) if extent > 1e-9]
    scale = min([*scales, 4.0]) if scales else 1.0
    middle_x, middle_y = (column + 0.5) * width, (row + 0.5) * height
    return Shift(scale, middle_x - scale * (left + right) / 2, middle_y - scale * (top + bottom) / 2)


def grid(columns: int, rows: int, margin: float = MARGIN) -> Place:
    """Cells that drawings fill one after the other, row by row, and then again from the first."""
    return Place(columns, rows, margin)


def checked_place(place: "str | Place") -> Place | None:
    """``live`` is None; ``fit`` the whole stage.

    Raises:
        ControlError: something else.
    """
    if isinstance(place, Place):
        return place
    if place == "live":
        return None
    if place == "fit":
        return Place()
    raise ControlError(f"place {place!r:.40}: expected 'live', 'fit' or ls.grid(columns, rows)")
