"""The process that plays: it does what the performer's process asks for through one pipe, and ends with it.

Started by ``engine``. Here no prompt can be busy, so that steps are not late; where the other end of the pipe goes
away, however that ends, everything is lifted and closed, and this process is gone.
"""

import gc
import os
import pickle
import signal
import sys
import traceback
from multiprocessing.connection import Client, Connection
from typing import Any, Final

from ..errors import ControlError, LivesketchError
from ..outputs.base import Output
from ..streams.drawing import Drawing, Piece
from ..streams.packing import unpack
from . import performance, roster
from .conductor import clock
from .players import Player
from .remote_player import Method

KEPT: Final = 2
"""Players that have stopped and can still be asked."""
SWITCH: Final = 0.0005
"""Seconds after which a thread lets another go on; 5 ms is Python's own, and too long for a step that is due."""


def main() -> None:
    """Connects to the address and key in the environment, and serves until the other end is gone."""
    for number in (signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGINT)):
        signal.signal(number, signal.SIG_IGN)  # Ctrl-C is for the prompt, which decides
    connection = Client(os.environ.pop("LIVESKETCH_ADDRESS"), authkey=bytes.fromhex(os.environ.pop("LIVESKETCH_KEY")))
    sys.setswitchinterval(SWITCH)
    gc.freeze()
    try:
        serve(connection)
    finally:
        roster.hush()


def serve(connection: "Connection[Any, Any]") -> None:
    """Answers what is asked, one after the other, until the pipe is closed."""
    host = Host()
    while True:
        try:
            name, arguments = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer: tuple[bool, Any] = True, getattr(host, name)(*arguments)
        except LivesketchError as err:
            answer = False, err
        except Exception as err:  # noqa: BLE001 - it is raised where it was asked for
            answer = False, ControlError(f"{type(err).__name__} in the playing process: {err}; {_where(err)}")
        try:
            connection.send(answer)
        except (pickle.PicklingError, TypeError, AttributeError) as err:
            connection.send((False, ControlError(f"{name}: what it gives cannot come to this process ({err})")))
        except OSError:
            return


def _where(err: BaseException) -> str:
    last = traceback.extract_tb(err.__traceback__)[-1]
    return f"in {last.name}, line {last.lineno}"


def _together(kept: list[int | None], outputs: bytes, held: tuple[Output, ...]) -> tuple[Output, ...]:
    """Outputs: those that are held here, by their places, and where that is None the next of those that come."""
    new = iter(unpack(outputs))
    return tuple(next(new) if place is None else held[place] for place in kept)


class Host:
    """What can be asked for: each method is a message."""

    def __init__(self) -> None:
        self._players: dict[int, Player] = {}
        """By number: a name may be another player's by now."""
        self._number = os.getpid() << 32  # so that those of another such process are none of ours

    def play(
        self, stream: bytes, before: int | None, kept: list[int | None], outputs: bytes, wish: bytes,
        quiet: tuple[bool, bool],
    ) -> tuple[int, str]:  # fmt: skip
        """``performance.start``; the player's number and name.

        ``kept``, ``outputs``: as of ``put_outputs``, of the player ``before``.
        """
        to = _together(kept, outputs, () if before is None else self._player(before).to)
        wanted = unpack(wish)
        player = performance.start(unpack(stream), to, wanted, urgent=True, quiet=quiet)  # here no prompt can be stuck
        assert isinstance(player, Player)
        stopped = [number for number, other in self._players.items() if not other.playing]
        for number in stopped[:-KEPT]:
            del self._players[number]
        self._number += 1
        self._players[self._number] = player
        return self._number, player.name

    def plays(self, number: int) -> bool:
        """Whether that player plays."""
        player = self._players.get(number)
        return player is not None and player.playing

    def get(self, player: int, name: str) -> Any:
        """A property of a player."""
        return getattr(self._player(player), name)

    def put(self, player: int, name: str, value: Any) -> None:
        """Sets one."""
        setattr(self._player(player), name, value)

    def put_outputs(self, player: int, kept: list[int | None], outputs: bytes) -> None:
        """Sets a player's outputs: places of those that stay, and those that come where that is None."""
        played = self._player(player)
        played.to = _together(kept, outputs, played.to)

    def call(self, player: int, name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Calls a method of one; what it gives, but for the player itself."""
        played = self._player(player)
        return self._plain(getattr(played, name)(*arguments, **options), played)

    def stream_get(self, player: int, name: str) -> Any:
        """An attribute of its stream; ``Method()`` for a method."""
        value = getattr(self._player(player).stream, name)
        return Method() if callable(value) else value

    def stream_put(self, player: int, name: str, value: Any) -> None:
        """Sets one."""
        stream = self._player(player).stream
        if not isinstance(getattr(type(stream), name, None), property):
            raise ControlError(f"{stream!r:.60} has no control {name!r}")
        setattr(stream, name, value)

    def stream_call(self, player: int, name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Calls a method of it; what it gives, but for the stream itself."""
        stream = self._player(player).stream
        return self._plain(getattr(stream, name)(*arguments, **options), stream)

    def place(self, player: int) -> Any:
        """Where its stream is, for the one that it was made of; None for those that do not say."""
        known = self._players.get(player)
        if known is None:  # it has stopped long ago
            return None
        stream = known.stream
        return stream.standing() if hasattr(stream, "standing") else None

    def playing(self) -> list[str]:
        """The names of those that play."""
        return list(roster.players())

    def bpm(self, beat: float, at: float, value: float) -> None:
        """The tempo, and where the beat was at a moment; both processes have one monotonic clock."""
        clock.tempo.adopt(beat, at, value)

    def send_clock(self, port: str | None, virtual: bool, api: str | None) -> None:
        """``ls.clock.send``."""
        clock.send(port, virtual=virtual, api=api)

    def tempo(self) -> tuple[float, float, float]:
        """A beat, its moment and the tempo, as they are here."""
        return clock.tempo.line()

    def hush(self) -> None:
        """``livesketch.hush``."""
        roster.hush()

    def panic(self) -> None:
        """``livesketch.panic``."""
        roster.panic()

    @staticmethod
    def _plain(value: Any, own: Any) -> Any:
        return None if value is own or isinstance(value, Drawing | Piece) else value

    def _player(self, number: int) -> Player:
        player = self._players.get(number)
        if player is None:
            raise ControlError("that player is not in the playing process any more: play the stream again")
        return player
