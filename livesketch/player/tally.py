"""What a player counts while it plays."""

from ..events import Event, PenAction, Token
from .lateness import Lateness


class Tally:
    """Written by the player's own thread, read by anybody; ``playable.Stats`` says what each is."""

    __slots__ = ("cut", "drawings", "late", "skipped", "step_time", "steps")

    def __init__(self) -> None:
        self.steps = self.drawings = self.cut = 0
        self.late, self.step_time = Lateness(), Lateness()
        self.skipped = 0.0

    def count(self, event: Event) -> bool:
        """An event went out; whether a drawing or a piece ended with it."""
        if not isinstance(event, PenAction | Token) or not event.last:
            return False
        self.drawings += 1
        self.cut += not event.ended
        return True

    def skip(self, seconds: float) -> None:
        """So much was left out."""
        self.late.add(seconds)
        self.skipped += seconds
