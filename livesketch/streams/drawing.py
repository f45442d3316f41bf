"""One drawing of a stream, as it is being drawn."""

from collections.abc import Iterator

from ..events import PenAction
from .trail import Trail


class Drawing:
    """An iterator over what is left of a drawing; it ends with the action whose ``last`` is True.

    ``actions`` holds the whole drawing so far, from its step 0: also what was fed, or drawn elsewhere. Where the stream
    is restarted, restored or taken to another drawing meanwhile, the iterator ends. In Jupyter it shows itself, and for
    that draws itself to its end.
    """

    def __init__(self, source: Iterator[PenAction], trail: Trail[PenAction]) -> None:
        self._source, self._trail = source, trail
        self._actions = None if trail.present() is None else trail.actions

    @property
    def actions(self) -> list[PenAction]:
        """The drawing so far; empty before its first action."""
        return self._actions or []

    def __iter__(self) -> Iterator[PenAction]:
        return self

    def __next__(self) -> PenAction:
        if self._actions is None:
            action = next(self._source)
            self._actions = self._trail.actions
            return action
        if self.finished or self._trail.actions is not self._actions:
            raise StopIteration
        return next(self._source)

    @property
    def finished(self) -> bool:
        """Whether its last action is drawn."""
        return bool(self._actions) and self.actions[-1].last

    def __repr__(self) -> str:
        state = "finished" if self.finished else "being drawn"
        return f"<Drawing {len(self.actions)} actions, {state}>"

    def _repr_svg_(self) -> str:
        from ..paper import drawing_svg  # noqa: PLC0415 - svgwrite only where a drawing is shown
        from ..strokes import to_polylines  # noqa: PLC0415 - likewise

        for _ in self:
            pass
        return drawing_svg(to_polylines(self.actions))
