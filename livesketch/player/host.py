"""The process that plays: it does what the performer's process asks for through one pipe, and ends with it.

Started by ``process``. Here no prompt can be busy, so that steps are not late; where the other end of the pipe goes
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
from ..streams.drawing import Drawing, Piece
from ..streams.packing import unpack
from . import performance
from .conductor import clock
from .process import METHOD

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
        performance.hush()


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


class Host:
    """What can be asked for: each method is a message."""

    def play(self, stream: bytes, outputs: bytes | None, how: dict[str, Any]) -> str:
        """``performance.play``; the player's name."""
        to = None if outputs is None else unpack(outputs)
        return performance.play(unpack(stream), to, **how).name

    def get(self, player: str, name: str) -> Any:
        """A property of a player."""
        return getattr(self._player(player), name)

    def put(self, player: str, name: str, value: Any) -> None:
        """Sets one."""
        setattr(self._player(player), name, value)

    def put_outputs(self, player: str, kept: list[int | None], outputs: bytes) -> None:
        """Sets a player's outputs: places of those that stay, and those that come where that is None."""
        played, new = self._player(player), iter(unpack(outputs))
        before = played.to
        played.to = tuple(next(new) if place is None else before[place] for place in kept)

    def call(self, player: str, name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Calls a method of one; what it gives, but for the player itself."""
        played = self._player(player)
        return self._plain(getattr(played, name)(*arguments, **options), played)

    def stream_get(self, player: str, name: str) -> Any:
        """An attribute of its stream; ``METHOD`` for a method."""
        value = getattr(self._player(player).stream, name)
        return METHOD if callable(value) else value

    def stream_put(self, player: str, name: str, value: Any) -> None:
        """Sets one."""
        stream = self._player(player).stream
        if not isinstance(getattr(type(stream), name, None), property):
            raise ControlError(f"{stream!r:.60} has no control {name!r}")
        setattr(stream, name, value)

    def stream_call(self, player: str, name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Calls a method of it; what it gives, but for the stream itself."""
        stream = self._player(player).stream
        return self._plain(getattr(stream, name)(*arguments, **options), stream)

    def place(self, player: str) -> Any:
        """Where its stream is, for the one that it was made of; None for those that do not say."""
        stream = self._player(player).stream
        return stream.standing() if hasattr(stream, "standing") else None

    def playing(self) -> list[str]:
        """The names of those that play."""
        return list(performance.players())

    def bpm(self, value: float, beat: float, at: float) -> None:
        """The tempo, and where the beat was at a moment; both processes have one monotonic clock."""
        clock.tempo.align(beat, at, value)

    def hush(self) -> None:
        """``performance.hush``."""
        performance.hush()

    def panic(self) -> None:
        """``performance.panic``."""
        performance.panic()

    @staticmethod
    def _plain(value: Any, own: Any) -> Any:
        return None if value is own or isinstance(value, Drawing | Piece) else value

    @staticmethod
    def _player(name: str) -> Any:
        player = performance.known(name)
        if player is None:
            raise ControlError(f"no player {name!r} in the playing process any more")
        return player
