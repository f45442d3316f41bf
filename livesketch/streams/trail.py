"""What there is of a stream's present drawing or piece, and what of it no player has sent yet."""

from collections.abc import Iterable
from typing import Any, Generic, TypeVar

from ..events import PenAction, Token

EventT = TypeVar("EventT", bound=PenAction | Token)


def number_of(event: PenAction | Token) -> int:
    """The number of the drawing or piece that an event is of."""
    return event.drawing if isinstance(event, PenAction) else event.piece


class Trail(Generic[EventT]):
    """The events of a present drawing (a text model's: piece), handed out or fed."""

    __slots__ = ("actions", "unsent")

    def __init__(self) -> None:
        self.actions: list[EventT] = []
        """A new list for each drawing: whoever holds the old one has the old drawing, whole. An empty one is that of
        the drawing that begins next."""
        self.unsent: list[EventT] = []
        """Those that a player sends before the next action."""

    def begin(self, actions: Iterable[EventT] = (), unsent: Iterable[EventT] = ()) -> None:
        """Another place: a drawing that was begun so far."""
        self.actions, self.unsent = [*actions], [*unsent]

    def copied(self) -> tuple[Any, ...]:
        """All of it, for ``begin``, immutable."""
        return tuple(self.actions), tuple(self.unsent)

    def present(self) -> EventT | None:
        """The latest one, where its drawing goes on."""
        return self.actions[-1] if self.actions and not self.actions[-1].last else None

    def add(self, action: EventT) -> None:
        """The next one; again, it is not added again: Ctrl-C may come between this and the handing out."""
        if self._has(action):
            return
        if not action.step and self.actions:
            self.actions = []
        self.actions.append(action)

    def having(self, due: EventT | None) -> list[EventT]:
        """The present drawing, an action included that is drawn and was not handed out; the trail stays as it is."""
        if due is None or self._has(due):
            return self.actions
        return [*self.actions, due] if due.step else [due]

    def feed(self, actions: list[EventT]) -> None:
        """What a human drew, to be sent."""
        if not actions[0].step and self.actions:
            self.actions = []
        self.actions.extend(actions)
        self.unsent = [*self.unsent, *actions]

    def keep(self, due: EventT) -> None:
        """An action that Ctrl-C kept from being handed out, to be sent before what is fed behind it."""
        if due not in self.unsent:
            self.unsent = [*self.unsent, due]
        self.add(due)

    def cut(self, number: int, count: int, left: list[EventT]) -> None:
        """Back to where the drawing of this number, the present one then, had so many actions.

        ``left`` are the last of those that had been handed out by then.
        """
        if self.actions and number_of(self.actions[-1]) == number:
            del self.actions[count:]  # the same list: whoever follows the drawing goes on with it
        else:
            self.actions = [action for action in left if number_of(action) == number]
        self.unsent = [action for action in self.unsent if (number_of(action), action.step) < (number, count)]

    def kept(self) -> tuple[Any, ...]:
        """All of it, for ``put_back``."""
        return self.actions, tuple(self.actions), tuple(self.unsent)

    def put_back(self, kept: tuple[Any, ...]) -> None:
        """As it was, in the same list."""
        self.actions, actions, unsent = kept
        self.actions[:] = actions
        self.unsent = [*unsent]

    def _has(self, action: EventT) -> bool:
        latest = self.actions[-1] if self.actions else None
        return latest is not None and (number_of(latest), latest.step) == (number_of(action), action.step)
