"""A backend's records as pen actions on the stage."""

from typing import Any, Final

from ..events import Pen, PenAction, Source
from .condition import Condition, asked_of

_PENS: Final = (Pen.DOWN, Pen.UP, Pen.END)


def pen_action(
    record: Any, name: str, voice: int, units: float, condition: Condition, k: int = 0, source: Source = "model"
) -> PenAction:
    """The action of an ACTION record (``backends.protocol``).

    Args:
        record: a scalar of that dtype.
        name: the stream's.
        voice: the number that the action gets.
        units: data units across the stage.
        condition: what the voices were asked for.
        k: which of its voices this is.
        source: who drew it.
    """
    drawing, step, x, y, dx, dy, _, pen, ink, last, ended = record.item()
    asked = None if step else asked_of(condition, k, name)
    return PenAction(
        0.0, name, voice, drawing, step, 0.5 + x / units, 0.5 + y / units, dx, dy,
        ink, _PENS[pen], last, ended, source, asked,
    )  # fmt: skip
