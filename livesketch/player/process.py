"""``engine="process"``: streams, clock and outputs in a process of their own, which no busy prompt can hold up.

The other process is ``host``. It is started by the first play that wants it, and ends when this one does, however.
"""

import atexit
import contextlib
import logging
import os
import pickle
import secrets
import subprocess
import sys
import threading
from collections.abc import Sequence
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from typing import Any, Final, Literal, Self

from ..errors import BackendUnavailableError, ControlError, LivesketchError
from ..outputs.base import Output
from ..streams.packing import pack
from .clock import LiveClock
from .conductor import clock
from .course import How, Then
from .line import Line, Question
from .place import Place
from .playable import Playable, Stats

START_LIMIT: Final = 60.0
"""Seconds that the other process may take to start: a cold machine compiles the kernels first."""
TELL: Final = 0.05
"""Seconds between two words about the tempo that nobody asked for."""
ANSWER_LIMIT: Final = 30.0
"""Seconds that an answer may take; an output that blocks keeps it 5 s."""
_PROGRAM: Final = "from livesketch.player.host import main; main()"
_ENDING: Final = "the playing process is just being ended; expected none to ask it anything: play again in a moment"

_LOG: Final = logging.getLogger("livesketch")


class Method:
    """What the host answers instead of an attribute that is one."""


class Engine:
    """The other process, and the pipe to it. One question at a time, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        """Held while it starts, and while something is asked, not while that is answered."""
        self._line: Line | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._told = -1
        """How often the tempo had changed when the host was told of it."""
        self._ended: threading.Event | None = None
        """Set where nobody needs to be told any more; a new one for each process."""
        self._changed = threading.Event()
        """Set where there is something to tell."""
        self._closing = threading.RLock()
        """Held until the process is gone, so that whoever ends it too waits for that; taken before ``_lock``."""
        self._closers: list[int] = []
        """One for each that ends it now: nobody is let in meanwhile."""

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.pid is not None

    @property
    def pid(self) -> int | None:
        """Its number; None where it does not run."""
        process = self._process  # which another thread may let go
        return process.pid if process is not None and process.poll() is None and self._line is not None else None

    def ask(self, name: str, *arguments: Any) -> Any:
        """Has the host do something, and gives its answer; starts it where it does not run.

        Raises:
            ControlError: something cannot go to the other process, or it does not answer, or it is being ended.
            BackendUnavailableError: it does not start.
            LivesketchError: what the host raised.
        """
        line = self._ready()
        try:
            message = pickle.dumps((name, arguments))
        except (pickle.PicklingError, TypeError, AttributeError) as err:
            raise ControlError(
                f"{name} with something that cannot go to another process ({err}); expected plain values, and "
                "ls.lfo, ls.ramp, ls.noise or ls.seq instead of functions of your own"
            ) from err
        question = line.ask(message)
        if not question.answered.wait(ANSWER_LIMIT):
            raise ControlError(f"the playing process has not answered for {ANSWER_LIMIT:g} s; wait, or hush")
        if question.lost is not None:
            if self._line is line:  # else somebody is just ending it, and nobody waits for that here
                self._end(line)
            raise ControlError(
                f"the playing process is gone ({question.lost}); what it played has stopped: play it again"
            )
        if not question.done:
            raise question.answer
        return question.answer

    def _ready(self) -> Line:
        """The line to it, which knows the tempo."""
        with self._lock:
            if self._closers:
                raise ControlError(_ENDING)
            if not self.alive:
                self._start()
            line = self._line
            assert line is not None
            self._tell(line)
            return line

    def _tell(self, line: Line) -> Question | None:
        """Under the lock: sends the tempo there, where it has changed, and waits for nothing."""
        changes = clock.tempo.changes
        if self._told == changes:
            return None
        self._told = changes
        return line.ask(pickle.dumps(("bpm", clock.tempo.line())))

    def _keep_telling(self, line: Line, ended: threading.Event, changed: threading.Event) -> None:
        """Tells of each change of the tempo without being asked, but at most 20 times a second."""
        while changed.wait() and not ended.is_set():
            changed.clear()
            with self._lock:
                question = self._tell(line) if self._line is line else None
            if question is not None:
                question.answered.wait()  # one at a time, however long something else takes there
                if question.lost is not None:
                    return
            ended.wait(TELL)

    def close(self) -> None:
        """Ends it: pens up, notes off, outputs closed. Twice is harmless.

        Whoever waits for an answer, or for the start, or asks meanwhile, is told so at once.
        """
        self._closers.append(1)
        try:
            self._end()
        finally:
            self._closers.pop()

    def _end(self, only: Line | None = None) -> None:
        """Ends it, or ``only`` the one of this line: another may have begun. Returns when it is gone."""
        with self._closing:
            with self._lock:
                if only is not None and self._line is not only:
                    return
                line, process = self._let_go()
            _put_down(line, process)

    def _let_go(self) -> tuple[Line | None, "subprocess.Popen[bytes] | None"]:
        """Under the lock: it is none of ours any more."""
        line, self._line = self._line, None
        process, self._process = self._process, None
        if self._ended is not None:
            self._ended.set()
            clock.tempo.unwatch(self._changed)
            self._changed.set()
        return line, process

    def forget(self) -> None:
        """In a forked child: the process belongs to the parent."""
        self.__init__()  # type: ignore[misc]

    def _start(self) -> None:
        """Under the lock."""
        _put_down(*self._let_go())  # what is left of one that ended by itself
        key = secrets.token_bytes(32)
        with Listener(authkey=key) as listener:
            environment = os.environ | {
                "LIVESKETCH_ADDRESS": str(listener.address),
                "LIVESKETCH_KEY": key.hex(),
            }
            command = [sys.executable, "-c", _PROGRAM]
            self._process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)  # noqa: S603 - our own
            self._line = Line(self._accepted(listener))
        self._told = -1
        self._ended, self._changed = threading.Event(), threading.Event()
        clock.tempo.watch(self._changed)
        threading.Thread(
            target=self._keep_telling, args=(self._line, self._ended, self._changed), name="livesketch-tempo",
            daemon=True,
        ).start()  # fmt: skip

    def _accepted(self, listener: Listener) -> "Connection[Any, Any]":
        """The other end, where it comes in time."""
        found: list[Connection[Any, Any]] = []

        def accept() -> None:
            with contextlib.suppress(OSError, EOFError, AuthenticationError):
                found.append(listener.accept())

        waiting = threading.Thread(target=accept, name="livesketch-start", daemon=True)
        waiting.start()
        process = self._process
        assert process is not None
        limit = LiveClock().now() + START_LIMIT
        while waiting.is_alive() and LiveClock().now() < limit and process.poll() is None and not self._closers:
            waiting.join(0.02)
        if found:
            return found[0]
        code = process.poll()
        self._process = None
        process.kill()
        process.wait()
        with contextlib.suppress(OSError, EOFError):  # else that thread would wait for ever
            Client(listener.address).close()
        waiting.join()
        if self._closers:
            raise ControlError(_ENDING)
        raise BackendUnavailableError(
            f"the playing process did not start ({'no answer' if code is None else f'it ended with {code}'}); "
            "expected `python -c 'import livesketch.player.host'` to run; or use engine='thread'"
        )


def _put_down(line: Line | None, process: "subprocess.Popen[bytes] | None") -> None:
    """Hangs up, and waits until the process is gone."""
    if line is not None:
        line.close()
    if process is not None:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


engine: Final = Engine()
"""The one of this process."""


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
        self.name = name
        self._number, self._how = number, how
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
        return engine.ask("get", self._number, name)

    def _call(self, name: str, *arguments: Any) -> Any:
        return engine.ask("call", self._number, name, arguments, {})

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
        engine.ask("put_outputs", self._number, kept, pack(new))
        self._outputs = wanted

    @property
    def rate(self) -> Any:
        """``Player.rate``."""
        return self._get("rate")

    @rate.setter
    def rate(self, value: Any) -> None:
        engine.ask("put", self._number, "rate", value)

    @property
    def pace(self) -> Any:
        """``Player.pace``."""
        return self._get("pace")

    @pace.setter
    def pace(self, value: Any) -> None:
        engine.ask("put", self._number, "pace", value)

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
            return engine.alive and bool(engine.ask("plays", self._number))
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
        engine.ask("call", self._number, "silence", (), {"on": on})

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
            engine.ask("call", self._number, "ask_to_stop", (), {"panic": panic})

    def stop(self, *, within: float | None = None) -> None:
        """``Player.stop``; the stream that was given is then where it was heard last, and can be used again."""
        if self.playing:
            engine.ask("call", self._number, "stop", (), {"within": within})
        self.settle()

    def settle(self) -> None:
        """It has stopped: the stream that was given is this process's again."""
        lent, self._lent = self._lent, None
        come_back = getattr(lent, "come_back", None)
        if come_back is not None:
            come_back(engine.ask("place", self._number) if engine.alive else None)


def silence_there(*, panic: bool) -> None:
    """``performance.hush`` or ``panic`` in the other process, where there is one."""
    if not engine.alive:
        return
    try:
        engine.ask("panic" if panic else "hush")
    except LivesketchError as err:  # what plays here is silenced all the same
        _LOG.error("the playing process does not answer (%s); it is ended", err)
        engine.close()


class RemoteClock:
    """``PulseSender`` in the playing process."""

    def __init__(self, port: str, *, virtual: bool, api: str | None) -> None:
        self._port, self._virtual, self._api = port, virtual, api

    def __repr__(self) -> str:
        return f"MIDI clock to {self._port!r:.60} from {f'process {engine.pid}' if engine.alive else 'a process, gone'}"

    def start(self) -> None:
        """Begins to send there. OutputError, ControlError, MissingExtraError: as ``ls.midi``."""
        engine.ask("send_clock", self._port, self._virtual, self._api)

    def close(self) -> None:
        """Ends it. Twice is harmless."""
        if engine.alive:
            engine.ask("send_clock", None, False, None)


def play_there(
    stream: Playable, outputs: Sequence[Output], asked: dict[str, Any], how: How, *, keep: bool
) -> RemotePlayer:
    """``performance.play`` in the other process; ``keep``: these outputs play there already."""
    number, name = engine.ask("play", pack(stream), None if keep else pack(tuple(outputs)), asked)
    player = RemotePlayer(number, name, stream, outputs, how)
    lend = getattr(stream, "lend", None)
    if lend is not None:
        lend(player.stream)
    return player


atexit.register(engine.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=engine.forget)
