"""One drawing of a sketch stream, or one piece of a text stream, as it is being made."""

from collections.abc import Iterator
from typing import Generic

from ..events import PenAction, Token
from .trail import EventT, Trail


class Part(Generic[EventT]):
    """An iterator over what is left of a drawing or piece; it ends with the event whose ``last`` is True.

    ``actions`` holds the whole of it so far, from its step 0: also what was fed, or made elsewhere. Where the stream is
    restarted, restored or taken to another drawing meanwhile, the iterator ends; after ``rewind`` within it, it goes
    on from there.
    """

    def __init__(self, source: Iterator[EventT], trail: Trail[EventT]) -> None:
        self._source, self._trail = source, trail
        over = bool(trail.actions) and trail.actions[-1].last
        self._actions = None if over else trail.actions  # an empty list is that of the one which begins next

    @property
    def actions(self) -> list[EventT]:
        """What there is of it so far; empty before its first event."""
        return self._actions or []

    def __iter__(self) -> Iterator[EventT]:
        return self

    def __next__(self) -> EventT:
        if self._actions is None:
            action = next(self._source)
            self._actions = self._trail.actions
            return action
        if self.finished or self._trail.actions is not self._actions:
            raise StopIteration
        return next(self._source)

    @property
    def finished(self) -> bool:
        """Whether its last event is made."""
        return bool(self._actions) and self.actions[-1].last


class Drawing(Part[PenAction]):
    """An iterator over what is left of a drawing; it ends with the action whose ``last`` is True.

    ``actions`` holds the whole drawing so far, from its step 0: also what was fed, or drawn elsewhere. Where the stream
    is restarted, restored or taken to another drawing meanwhile, the iterator ends; after ``rewind`` within it, it goes
    on from there. In Jupyter it shows itself, and for that draws itself to its end.
    """

    def __repr__(self) -> str:
        state = "finished" if self.finished else "being drawn"
        return f"<Drawing {len(self.actions)} actions, {state}>"

    def _repr_svg_(self) -> str:
        from ..paper import drawing_svg  # noqa: PLC0415 - svgwrite only where a drawing is shown
        from ..strokes import to_polylines  # noqa: PLC0415 - likewise

        for _ in self:
            pass
        return drawing_svg(to_polylines(self.actions))


class Piece(Part[Token]):
    """An iterator over what is left of a piece of text; it ends with the token whose ``last`` is True.

    That token is END, whose text is empty, or where the piece was cut at the model's maximum length the last one that
    fitted. ``str(piece)`` is the text so far; ``piece.write()`` writes it to its end. Of more than 65,536 tokens
    ``actions``, and with them ``str`` and ``cost``, hold the last ones only; ``write()`` gives all that it wrote.
    """

    def __repr__(self) -> str:
        state = "finished" if self.finished else "being written"
        return f"<Piece {str(self)!r:.60}, {state}>"

    def __str__(self) -> str:
        return "".join(token.text for token in self.actions)

    @property
    def cost(self) -> float:
        """Nats that constraints took so far."""
        return sum(token.cost for token in self.actions)

    def write(self) -> str:
        """The whole text, written to its end."""
        begun = str(self)
        rest = "".join([token.text for token in self])
        return str(self) if not self.actions or not self.actions[0].step else begun + rest
