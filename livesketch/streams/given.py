"""Strokes that people give to a stream."""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from ..errors import ControlError, StrokesError
from ..events import Cue, PenAction, Token
from ..models.checkpoint import Checkpoint
from ..strokes import Drawn, Rows, rows_of, to_rows

Units: TypeAlias = Literal["data", "stage"]
Strokes: TypeAlias = Any
"""Stroke-3 rows (n, 3), or a list of polylines, each (k, 2): arrays or nested lists of numbers, y down. Also a drawing,
or the list of its actions: what is drawn of it so far, whose numbers are data units whatever ``units`` says."""


def data_rows(checkpoint: Checkpoint, strokes: Strokes, units: Units) -> Rows:
    """Stroke-3 rows (n, 3) in data units, n at least 1.

    Raises:
        StrokesError: something else, not finite, or nothing drawn.
        ControlError: ``units`` is neither.
    """
    if units not in ("data", "stage"):
        raise ControlError(f"units {units!r}: expected 'data' (the training drawings' numbers) or 'stage' (0 … 1)")
    if _is_drawn(strokes):
        rows = rows_of(strokes)
        if not len(rows):
            raise StrokesError("nothing is drawn there yet; draw some of it first")
        return rows
    rows = to_rows(strokes)
    if units == "stage":
        rows = rows * np.array([checkpoint.stage_units, checkpoint.stage_units, 1.0])
    return rows


def are_polylines(strokes: Strokes) -> bool:
    """Whether checked strokes were given as lists of points, whose first point is where the pen is."""
    return not _is_drawn(strokes) and np.ndim(strokes[0]) == 2


def _is_drawn(strokes: Strokes) -> bool:
    listed = isinstance(strokes, Sequence) and len(strokes) > 0
    return isinstance(strokes, Drawn) or (listed and isinstance(strokes[0], PenAction | Token | Cue))
