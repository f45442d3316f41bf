"""``engine="process"``: streams, clock and outputs in a process of their own, which no busy prompt can hold up.

The other process is ``host``. It is started by the first play that wants it, and ends when this one does, however.
"""

import atexit
import os
import pickle
import secrets
import subprocess
import sys
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection, Listener
from typing import Any, Final, Self

from ..errors import BackendUnavailableError, ControlError
from ..outputs.base import Output
from ..streams.packing import pack
from .clock import LiveClock
from .conductor import clock
from .playable import Playable, Stats

START_LIMIT: Final = 60.0
"""Seconds that the other process may take to start: a cold machine compiles the kernels first."""
METHOD: Final = "<a method>"
"""What the host answers instead of an attribute that is one."""
ANSWER_LIMIT: Final = 30.0
"""Seconds that an answer may take; an output that blocks keeps it 5 s."""


class Engine:
    """The other process, and the pipe to it. One question at a time, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._connection: Connection[Any, Any] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._told = -1

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None and self._connection is not None

    @property
    def pid(self) -> int | None:
        """Its number; None where it does not run."""
        return self._process.pid if self._process is not None and self.alive else None

    def ask(self, name: str, *arguments: Any) -> Any:
        """Has the host do something, and gives its answer; starts it where it does not run.

        Raises:
            ControlError: something cannot go to the other process, or it does not answer.
            BackendUnavailableError: it does not start.
            LivesketchError: what the host raised.
        """
        with self._lock:
            if not self.alive:
                self._start()
            connection = self._connection
            assert connection is not None
            if self._told != clock.tempo.changes and name != "bpm":
                self._told = clock.tempo.changes
                now = LiveClock().now()
                self.ask("bpm", clock.bpm, clock.beat_at(now), now)
            try:
                message = pickle.dumps((name, arguments))
            except (pickle.PicklingError, TypeError, AttributeError) as err:
                raise ControlError(
                    f"{name} with something that cannot go to another process ({err}); expected plain values, and "
                    "ls.lfo, ls.ramp, ls.noise or ls.seq instead of functions of your own"
                ) from err
            try:
                connection.send_bytes(message)
                if not connection.poll(ANSWER_LIMIT):
                    raise ControlError(f"the playing process has not answered for {ANSWER_LIMIT:g} s; wait, or hush")
                done, answer = connection.recv()
            except (EOFError, OSError) as err:
                self.close()
                raise ControlError(
                    f"the playing process is gone ({err or 'it ended'}); what it played has stopped: play it again"
                ) from err
        if not done:
            raise answer
        return answer

    def close(self) -> None:
        """Ends it: pens up, notes off, outputs closed. Twice is harmless."""
        with self._lock:
            connection, self._connection = self._connection, None
            process, self._process = self._process, None
            if connection is not None:
                connection.close()  # its end of the pipe sees that
            if process is not None:
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def forget(self) -> None:
        """In a forked child: the process belongs to the parent."""
        self.__init__()  # type: ignore[misc]

    def _start(self) -> None:
        self.close()
        key = secrets.token_bytes(32)
        with Listener(authkey=key) as listener:
            environment = os.environ | {
                "LIVESKETCH_ADDRESS": str(listener.address),
                "LIVESKETCH_KEY": key.hex(),
            }
            command = [sys.executable, "-c", "from livesketch.player.host import main; main()"]
            self._process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)  # noqa: S603 - our own
            self._connection = self._accepted(listener)
        self._told = -1

    def _accepted(self, listener: Listener) -> "Connection[Any, Any]":
        """The other end, where it comes in time."""
        found: list[Connection[Any, Any]] = []
        waiting = threading.Thread(target=lambda: found.append(listener.accept()), daemon=True)
        waiting.start()
        process = self._process
        assert process is not None
        limit = LiveClock().now() + START_LIMIT
        while waiting.is_alive() and LiveClock().now() < limit and process.poll() is None:
            waiting.join(0.02)
        if not found:
            code = process.poll()
            process.kill()
            self._process = None
            raise BackendUnavailableError(
                f"the playing process did not start ({'no answer' if code is None else f'it ended with {code}'}); "
                "expected `python -c 'import livesketch.player.host'` to run; or use engine='thread'"
            )
        return found[0]


engine: Final = Engine()
"""The one of this process."""


class RemoteStream:
    """A stream in the playing process: its controls are read and set, and its methods called, through the pipe."""

    def __init__(self, player: str, name: str) -> None:
        object.__setattr__(self, "_player", player)
        object.__setattr__(self, "_name", name)

    def __repr__(self) -> str:
        return f"<stream {self._name!r} in the playing process>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        value = engine.ask("stream_get", self._player, name)
        if value != METHOD:
            return value

        def method(*arguments: Any, **options: Any) -> Any:
            return engine.ask("stream_call", self._player, name, arguments, options)

        return method

    def __setattr__(self, name: str, value: Any) -> None:
        engine.ask("stream_put", self._player, name, value)


class RemotePlayer:
    """A player in the playing process; everything that ``Player`` can, through the pipe."""

    def __init__(self, name: str, stream: Playable, outputs: Sequence[Output]) -> None:
        self.name = name
        self._outputs = tuple(outputs)
        self._lent: Any = stream
        self.stream: Any = RemoteStream(name, stream.name)
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
        return engine.ask("get", self.name, name)

    def _call(self, name: str, *arguments: Any) -> Any:
        return engine.ask("call", self.name, name, arguments, {})

    @property
    def to(self) -> tuple[Output, ...]:
        """The outputs as they were given; those that play are in the other process."""
        return self._outputs

    @to.setter
    def to(self, outputs: Sequence[Output] | Output) -> None:
        from .performance import free_outputs  # noqa: PLC0415 - it is built on this module

        wanted = free_outputs(outputs, self)
        kept = [self._outputs.index(output) if output in self._outputs else None for output in wanted]
        new = tuple(output for output, place in zip(wanted, kept, strict=True) if place is None)
        engine.ask("put_outputs", self.name, kept, pack(new))
        self._outputs = wanted

    @property
    def rate(self) -> Any:
        """``Player.rate``."""
        return self._get("rate")

    @rate.setter
    def rate(self, value: Any) -> None:
        engine.ask("put", self.name, "rate", value)

    @property
    def pace(self) -> Any:
        """``Player.pace``."""
        return self._get("pace")

    @pace.setter
    def pace(self, value: Any) -> None:
        engine.ask("put", self.name, "pace", value)

    @property
    def playing(self) -> bool:
        """``Player.playing``."""
        return engine.alive and bool(self._get("playing"))

    @property
    def paused(self) -> bool:
        """``Player.paused``."""
        return bool(self._get("paused"))

    @property
    def muted(self) -> bool:
        """``Player.muted``."""
        return bool(self._get("muted"))

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
        from .performance import solo  # noqa: PLC0415 - it is built on this module

        solo(self, on=True)
        return self

    def unsolo(self) -> Self:
        """``Player.unsolo``."""
        from .performance import solo  # noqa: PLC0415 - likewise

        solo(self, on=False)
        return self

    def silence(self, *, on: bool) -> None:
        """``Player.silence``."""
        engine.ask("call", self.name, "silence", (), {"on": on})

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
        self._take_back()
        return True

    def ask_to_stop(self, *, panic: bool = False) -> None:
        """``Player.ask_to_stop``."""
        if engine.alive:
            engine.ask("call", self.name, "ask_to_stop", (), {"panic": panic})

    def stop(self) -> None:
        """``Player.stop``; the stream that was given is then where it was heard last, and can be used again."""
        if engine.alive:
            self._call("stop")
        self._take_back()

    def _take_back(self) -> None:
        lent, self._lent = self._lent, None
        come_back = getattr(lent, "come_back", None)
        if come_back is not None:
            come_back(engine.ask("place", self.name) if engine.alive else None)


def play_there(stream: Playable, outputs: Sequence[Output], how: dict[str, Any], *, keep: bool) -> RemotePlayer:
    """``performance.play`` in the other process; ``keep``: these outputs play there already."""
    name = engine.ask("play", pack(stream), None if keep else pack(tuple(outputs)), how)
    player = RemotePlayer(name, stream, outputs)
    lend = getattr(stream, "lend", None)
    if lend is not None:
        lend(player.stream)
    return player


atexit.register(engine.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=engine.forget)
