"""What stands here for a stream and a player in the playing process (``host``): what is asked of them goes there."""

import threading
from collections.abc import Sequence
from typing import Any, Final, Literal, Self

from ..errors import ControlError
from ..outputs.base import Output
from ..streams.packing import pack
from .clock import LiveClock
from .course import How, Then
from .engine import engine
from .place import Place
from .playable import AnyPlayer, Playable, Stats
from .roster import roster
from .wish import Wish


class Method:
    """What the host answers instead of an attribute that is one."""


class RemoteStream:
    """A stream in the playing process: its controls are read and set, and its methods called, through the pipe."""

    def __init__(self, player: int, name: str) -> None:
        object.__setattr__(self, "_player", player)
        object.__setattr__(self, "_name", name)

    def __repr__(self) -> str:
        return f"<stream {self._name!r} in the playing process>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        value = engine.ask("stream_get", self._player, name)
        if not isinstance(value, Method):
            return value

        def method(*arguments: Any, **options: Any) -> Any:
            return engine.ask("stream_call", self._player, name, arguments, options)

        return method

    def __setattr__(self, name: str, value: Any) -> None:
        engine.ask("stream_put", self._player, name, value)


class RemotePlayer:
    """A player in the playing process; everything that ``Player`` can, through the pipe."""

    def __init__(self, number: int, name: str, stream: Playable, outputs: Sequence[Output], how: How) -> None:
        self._name = name
        self.number: Final = number
        """Its number there."""
        self._how = how
        self._outputs = tuple(outputs)
        self._lent: Any = stream
        self.stream: Any = RemoteStream(number, stream.name)
        """What plays there."""

    def __repr__(self) -> str:
        if not engine.alive:
            return f"<RemotePlayer {self.name!r}, gone with its process>"
        return f"<in process {engine.pid}: {self._call('__repr__')}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _get(self, name: str) -> Any:
        return engine.ask("get", self.number, name)

    def _call(self, name: str, *arguments: Any) -> Any:
        return engine.ask("call", self.number, name, arguments, {})

    @property
    def name(self) -> str:
        """``Player.name``."""
        return self._name

    @property
    def to(self) -> tuple[Output, ...]:
        """The outputs as they were given; those that play are in the other process."""
        return self._outputs

    @to.setter
    def to(self, outputs: Sequence[Output] | Output) -> None:
        wanted = roster.free(outputs, self)
        engine.ask("put_outputs", self.number, *_sorted(wanted, self._outputs))
        self._outputs = wanted

    def holding(self) -> tuple[Output, ...]:
        """``Player.holding``."""
        return self._outputs

    @property
    def rate(self) -> Any:
        """``Player.rate``."""
        return self._get("rate")

    @rate.setter
    def rate(self, value: Any) -> None:
        engine.ask("put", self.number, "rate", value)

    @property
    def pace(self) -> Any:
        """``Player.pace``."""
        return self._get("pace")

    @pace.setter
    def pace(self, value: Any) -> None:
        engine.ask("put", self.number, "pace", value)

    @property
    def then(self) -> Then:
        """``Player.then``."""
        return self._how.then

    @property
    def lookahead(self) -> float:
        """``Player.lookahead``."""
        return self._how.lookahead

    @property
    def place(self) -> Literal["live"] | Place:
        """``Player.place``."""
        return self._how.place or "live"

    @property
    def engine(self) -> Literal["thread", "process"]:
        """``Player.engine``."""
        return "process"

    @property
    def playing(self) -> bool:
        """``Player.playing``."""
        try:
            return engine.alive and bool(engine.ask("plays", self.number))
        except ControlError:  # it has just gone, or does not answer
            return engine.alive

    @property
    def paused(self) -> bool:
        """``Player.paused``."""
        return bool(self._get("paused"))

    @property
    def muted(self) -> bool:
        """``Player.muted``."""
        return bool(self._get("muted"))

    @property
    def quiet(self) -> tuple[bool, bool]:
        """``Player.quiet``."""
        found: tuple[bool, bool] = self._get("quiet")
        return found

    @property
    def error(self) -> BaseException | None:
        """``Player.error``."""
        found: BaseException | None = self._get("error")
        return found

    def pause(self) -> Self:
        """``Player.pause``, and so on."""
        self._call("pause")
        return self

    def resume(self) -> Self:
        """``Player.resume``."""
        self._call("resume")
        return self

    def mute(self) -> Self:
        """``Player.mute``."""
        self._call("mute")
        return self

    def unmute(self) -> Self:
        """``Player.unmute``."""
        self._call("unmute")
        return self

    def solo(self) -> Self:
        """``Player.solo``."""
        roster.solo(self, on=True)
        return self

    def unsolo(self) -> Self:
        """``Player.unsolo``."""
        roster.solo(self, on=False)
        return self

    def silence(self, *, on: bool) -> None:
        """``Player.silence``."""
        engine.ask("call", self.number, "silence", (), {"on": on})

    def stats(self) -> Stats:
        """``Player.stats``."""
        found: Stats = self._call("stats")
        return found

    def troubles(self) -> list[str]:
        """``Player.troubles``."""
        found: list[str] = self._call("troubles")
        return found

    def fault(self) -> BaseException | None:
        """``Player.fault``."""
        found: BaseException | None = self._call("fault")
        return found

    def wait(self, timeout: float | None = None) -> bool:
        """``Player.wait``: asks twenty times a second, so that others can ask meanwhile."""
        now = LiveClock().now
        limit = None if timeout is None else now() + timeout
        never = threading.Event()
        while self.playing:
            if limit is not None and now() >= limit:
                return False
            never.wait(0.05 if limit is None else max(0.0, min(0.05, limit - now())))
        self.settle()
        return True

    def ask_to_stop(self, *, panic: bool = False) -> None:
        """``Player.ask_to_stop``."""
        if engine.alive:
            engine.ask("call", self.number, "ask_to_stop", (), {"panic": panic})

    def stop(self, *, within: float | None = None) -> None:
        """``Player.stop``; the stream that was given is then where it was heard last, and can be used again."""
        if self.playing:
            engine.ask("call", self.number, "stop", (), {"within": within})
        self.settle()

    def settle(self) -> None:
        """It has stopped: the stream that was given is this process's again."""
        lent, self._lent = self._lent, None
        come_back = getattr(lent, "come_back", None)
        if come_back is not None:
            come_back(self._standing())

    def _standing(self) -> Any:
        """Where the stream is there; None where nobody can say any more."""
        try:
            return engine.ask("place", self.number) if engine.alive else None
        except ControlError:  # it has just gone
            return None


def play_there(
    stream: Playable, outputs: Sequence[Output], wish: Wish, how: How, before: AnyPlayer | None
) -> RemotePlayer:
    """``performance.start`` in the other process; what ``before`` has there of these outputs is kept.

    Where ``before`` plays here, it is stopped as soon as nothing is in the way of what takes its place.
    """
    quiet = False, False
    if isinstance(before, RemotePlayer) and getattr(stream, "lent", None) is before.stream:  # it plays this one
        quiet = before.quiet
        before.stop()
    elif before is not None and not isinstance(before, RemotePlayer):
        _sorted(outputs, before.holding())  # before anything is stopped for it
        pack(stream)
        pack(wish)
        engine.ask("playing")  # so that it has started
        quiet = before.quiet
        before.stop()
    there, held = (before.number, before.to) if isinstance(before, RemotePlayer) else (None, ())
    number, name = engine.ask("play", pack(stream), there, *_sorted(outputs, held), pack(wish), quiet)
    player = RemotePlayer(number, name, stream, outputs, how)
    lend = getattr(stream, "lend", None)
    if lend is not None:
        lend(player.stream)
    return player


def _sorted(wanted: Sequence[Output], held: Sequence[Output]) -> tuple[list[int | None], bytes]:
    """The place of each output among those that are held there, None: it is new; and the new ones, packed."""
    places = {id(output): place for place, output in enumerate(held)}
    kept = [places.get(id(output)) for output in wanted]
    return kept, pack(tuple(output for output, place in zip(wanted, kept, strict=True) if place is None))
