"""Who plays: in this process, and in the playing process for it."""

import atexit
import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from ..errors import ControlError
from ..outputs.base import Output
from . import playing
from .clock import LiveClock
from .engine import engine
from .playable import AnyPlayer
from .playing import is_among
from .table import Players

if TYPE_CHECKING:
    from .remote_player import RemotePlayer

WATCH: Final = 0.1
"""Seconds between two looks at those that are soloed."""


class Roster:
    """The players by name, which of them are soloed, and what goes for all of them."""

    def __init__(self) -> None:
        self.changing = threading.RLock()
        """Held while somebody comes or goes."""
        self._players: dict[str, AnyPlayer] = {}
        self._soloed: set[str] = set()
        """Names, so that a swap keeps it."""
        self._leaving: list[RemotePlayer] = []
        """Those whose place another has taken; their streams come back when they have stopped."""
        self._watcher: threading.Thread | None = None
        """Looks whether the soloed ones still play: those of the playing process tell nobody here when they stop."""

    def players(self) -> dict[str, AnyPlayer]:
        """Those that play now, by name."""
        with self.changing:
            for name in [name for name, player in self._players.items() if not player.playing]:
                del self._players[name]
            for gone in [player for player in self._leaving if not player.playing]:
                gone.settle()
                self._leaving.remove(gone)
            return Players(self._players)

    def add(self, player: AnyPlayer, leaves: "RemotePlayer | None" = None) -> None:
        """Under the lock: it plays under its name from now on, where ``leaves`` may play for a while yet."""
        if leaves is not None:
            self._leaving.append(leaves)
        self._players[player.name] = player
        self._heed_solos()

    def solo(self, player: AnyPlayer, *, on: bool) -> None:
        """``Player.solo`` and ``unsolo``."""
        with self.changing:
            (self._soloed.add if on else self._soloed.discard)(player.name)
            self._heed_solos()
            if self._soloed and self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name="livesketch-solo", daemon=True)
                self._watcher.start()

    def _watch(self) -> None:
        """As long as somebody is soloed."""
        never = threading.Event()
        while True:
            never.wait(WATCH)
            with self.changing:
                soloed = [self._players.get(name) for name in self._soloed]
                if not all(player is not None and player.playing for player in soloed):
                    self._heed_solos()
                if not self._soloed:
                    self._watcher = None
                    return

    def heed_end(self) -> None:
        """A player has stopped; its own thread says so.

        Nothing waits: where another holds the lock, ``_watch`` comes to it.
        """
        if self._soloed and self.changing.acquire(blocking=False):
            try:
                self._heed_solos()
            finally:
                self.changing.release()

    def _heed_solos(self) -> None:
        """Under the lock."""
        running = self.players()
        self._soloed.intersection_update(running)
        for name, player in running.items():
            player.silence(on=bool(self._soloed) and name not in self._soloed)

    def free(self, to: Sequence[Output] | Output, own: AnyPlayer | None) -> tuple[Output, ...]:
        """The outputs, each once; of none but the player ``own``.

        Raises:
            ControlError: there is none, or one is no output, or in use by another player.
        """
        outputs = checked_outputs(to)
        for other in self.players().values():
            held = other.holding()
            shared = [output for output in outputs if other is not own and is_among(output, held)]
            if shared:
                raise ControlError(
                    f"to: {shared[0]!r} is in use by the player {other.name!r}; expected an output of its own: make "
                    "another, or play under that name"
                )
        return outputs

    def stop_all(self, *, panic: bool) -> None:
        """Asks all at once, and waits for all at once: 5 s, however many outputs block."""
        known = list(self._players.values())  # without the lock: somebody may just be opening an output, for long
        for player in known:
            if player.engine == "thread":
                player.ask_to_stop(panic=panic)
        if self._leaving or any(player.engine == "process" for player in known):
            engine.silence(panic=panic)  # all of that process
        limit = LiveClock().now() + playing.STOP_LIMIT
        for player in known:  # in a player's own thread this does not wait
            player.stop(within=max(0.0, limit - LiveClock().now()))

    def forget(self) -> None:
        """In a forked child nothing plays: the threads stayed with the parent, and one may have held the lock."""
        self.changing = threading.RLock()
        self._players.clear()
        self._soloed.clear()
        self._leaving.clear()
        self._watcher = None


def checked_outputs(to: Sequence[Output] | Output) -> tuple[Output, ...]:
    """The outputs, each once.

    Raises:
        ControlError: there is none, or one is no output.
    """
    given: Any = to  # whatever a performer typed, such as an address alone
    outputs = tuple(given) if isinstance(given, Sequence) and not isinstance(given, str) else (given,)
    outputs = tuple({id(output): output for output in outputs}.values())
    for output in outputs:
        if isinstance(output, type) or not isinstance(output, Output):
            raise ControlError(
                f"to: {output!r} is no output; expected such as ls.osc('127.0.0.1:9000') or ls.svg('a.svg')"
            )
    if not outputs:
        raise ControlError(
            "nowhere to play to; expected to=[...], such as to=[ls.osc('127.0.0.1:9000'), ls.terminal()]"
        )
    return outputs


roster: Final = Roster()
"""The one of this process."""


def players() -> dict[str, AnyPlayer]:
    """The players that play now, by name; a prompt shows them as a table."""
    return roster.players()


def hush() -> None:
    """Everything stops at a clean place: pens up, outputs closed. Twice is harmless."""
    roster.stop_all(panic=False)


def panic() -> None:
    """Everything falls silent now, in the middle of whatever it is: notes off, pens up, outputs closed.

    Twice is harmless.
    """
    roster.stop_all(panic=True)


atexit.register(hush)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=roster.forget)
