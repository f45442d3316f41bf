"""What is drawn of a stream's present drawing, what of it no player has sent yet, and a place to go back to."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ..backends.protocol import Snapshot
from ..events import PenAction
from .condition import Condition


@dataclass(frozen=True, slots=True)
class StreamSnapshot:
    """Everything that decides what a stream draws next, but for the temperature and its convention."""

    origin: tuple[object, ...]
    """Model, name, seed, voice and backend of the stream it was taken of: only there it can be put back."""
    batch: Snapshot
    condition: Condition
    """The label and the latent."""
    trail: tuple[PenAction, ...]
    unsent: tuple[PenAction, ...]
    """Rows that no player has sent yet."""
    due: NDArray[Any] | None
    """The record, (1,), of an action that is drawn, but that Ctrl-C kept from being handed out."""


class Trail:
    """The actions of a present drawing, handed out or fed."""

    __slots__ = ("actions", "unsent")

    def __init__(self) -> None:
        self.begin([])

    def begin(self, actions: Iterable[PenAction], unsent: Iterable[PenAction] = ()) -> None:
        """Another place: a drawing that was begun so far."""
        self.actions = [*actions]
        """A new list for each drawing: whoever holds the old one has the old drawing, whole."""
        self.unsent = [*unsent]
        """Those that a player sends before the next action."""

    def present(self) -> PenAction | None:
        """The latest one, where its drawing goes on."""
        return self.actions[-1] if self.actions and not self.actions[-1].last else None

    def add(self, action: PenAction) -> None:
        """The next one; again, it is not added again: Ctrl-C may come between this and the handing out."""
        if self._has(action):
            return
        if not action.step:
            self.actions = []
        self.actions.append(action)

    def having(self, due: PenAction | None) -> list[PenAction]:
        """The present drawing, an action included that is drawn and was not handed out; the trail stays as it is."""
        if due is None or self._has(due):
            return self.actions
        return [*self.actions, due] if due.step else [due]

    def feed(self, actions: list[PenAction]) -> None:
        """What a human drew, to be sent."""
        if actions[0].step:
            self.actions.extend(actions)
        else:
            self.actions = [*actions]
        self.unsent = [*self.unsent, *actions]

    def keep(self, due: PenAction) -> None:
        """An action that Ctrl-C kept from being handed out, to be sent before what is fed behind it."""
        self.unsent = [*self.unsent, due]
        self.add(due)

    def _has(self, action: PenAction) -> bool:
        latest = self.actions[-1] if self.actions else None
        return latest is not None and (latest.drawing, latest.step) == (action.drawing, action.step)
