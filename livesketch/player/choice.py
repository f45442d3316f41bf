"""Outputs that are set while a player plays: opened by whoever sets them, taken up by its own thread."""

import threading
from collections.abc import Sequence

from ..errors import ControlError
from ..outputs.base import Output
from .desk import Desk


class Choice:
    """Which outputs a desk has, and which it shall have from the next step on."""

    __slots__ = ("_desk", "_ended", "_wanted", "changing")

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._wanted: list[tuple[Output, ...]] = []
        """Those that were set and are not in use yet, one choice after the other."""
        self._ended = False
        """No others are taken any more."""
        self.changing = threading.RLock()
        """Held while outputs are set or taken up, so that none is opened that is just being closed."""

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Those it sends to, or shall from the next step on."""
        return self._wanted[-1] if self._wanted else self._desk.outputs

    @property
    def waits(self) -> bool:
        """Whether some are not in use yet."""
        return bool(self._wanted)

    def want(self, wanted: tuple[Output, ...], new: Sequence[Output]) -> None:
        """Under the lock: these, of which ``new`` were opened for it.

        Raises:
            ControlError: the player has stopped; the new ones are closed.
        """
        if self._ended:  # meanwhile
            self._desk.close(new)
            raise ControlError(f"{self._desk.name!r} has stopped; expected a player that plays: play the stream again")
        self._wanted.append(wanted)

    def take_up(self, *, patience: float = 0.0) -> None:
        """Changes to those that were set last; not while others are being opened, for which nothing here waits."""
        if not self.changing.acquire(timeout=patience):
            return
        try:
            choices = [*self._wanted]
            if choices:
                self._desk.change(choices[-1], [output for choice in choices for output in choice])
            self._wanted.clear()  # only now: until then it says which outputs there are
        finally:
            self.changing.release()

    def end(self, patience: float) -> None:
        """Takes up what was set, and nothing after that; waits at most so long, seconds, for what is being opened."""
        self._ended = True
        self.take_up(patience=patience)
