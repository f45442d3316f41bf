"""Which places a pen can draw at."""

from dataclasses import replace
from typing import Final

from ..events import PenAction

FAR: Final = 1e9
"""Stage units. A pen farther out is lost, not drawing, and would make everything else too small to see."""


def drawable(action: PenAction) -> PenAction:
    """The action, its place in Python's own floats. ValueError: it is not finite, or beyond ``FAR``."""
    x, y = float(action.x), float(action.y)
    if not (abs(x) < FAR and abs(y) < FAR):
        raise ValueError(f"({x}, {y}) at step {action.step} of drawing {action.drawing} is no place to draw at")
    return action if type(action.x) is type(action.y) is float else replace(action, x=x, y=y)
