"""Which places a pen can draw at, and which drawing an action belongs to."""

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


class Progress:
    """How far a voice has come, to tell a drawing that goes on from one that begins."""

    def __init__(self) -> None:
        self.drawing: int | None = None
        self.step = -1
        self.over = True
        """Ended or cut, as far as is known; a player that was stopped may still go on with it."""

    def begins(self, action: PenAction) -> bool:
        """Takes the next action; whether it is the first one seen of a drawing."""
        drawing, step = int(action.drawing), int(action.step)
        new = drawing != self.drawing or step <= self.step or (self.over and step != self.step + 1)
        self.drawing, self.step, self.over = drawing, step, False
        return new
