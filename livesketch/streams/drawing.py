"""One drawing of a stream, as it is being drawn."""

from collections.abc import Iterator
from typing import Protocol

from ..events import PenAction


class ActionSource(Protocol):
    """What a drawing is pulled from."""

    def __next__(self) -> PenAction:
        """The next action."""


class Drawing:
    """An iterator that ends with the action whose ``last`` is True; ``actions`` holds what is drawn so far.

    In Jupyter it shows itself, and for that draws itself to its end.
    """

    def __init__(self, source: ActionSource, begun: list[PenAction]) -> None:
        self._source = source
        self.actions = begun
        """From the drawing's step 0, also what was drawn or fed before this iterator was made."""

    def __iter__(self) -> Iterator[PenAction]:
        return self

    def __next__(self) -> PenAction:
        if self.finished:
            raise StopIteration
        action = next(self._source)
        self.actions.append(action)
        return action

    @property
    def finished(self) -> bool:
        """Whether its last action is drawn."""
        return bool(self.actions) and self.actions[-1].last

    def __repr__(self) -> str:
        state = "finished" if self.finished else "being drawn"
        return f"<Drawing {len(self.actions)} actions, {state}>"

    def _repr_svg_(self) -> str:
        from ..paper import drawing_svg  # noqa: PLC0415 - svgwrite only where a drawing is shown
        from ..strokes import to_polylines  # noqa: PLC0415 - likewise

        for _ in self:
            pass
        return drawing_svg(to_polylines(self.actions))
