"""The playing process, and the pipe to it: streams, clock and outputs there, which no busy prompt can hold up.

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
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from typing import Any, Final

from ..errors import BackendUnavailableError, ControlError, LivesketchError
from .clock import LiveClock
from .conductor import clock
from .line import Line, Question

START_LIMIT: Final = 60.0
"""Seconds that the other process may take to start: a cold machine compiles the kernels first."""
TELL: Final = 0.05
"""Seconds between two words about the tempo that nobody asked for."""
ANSWER_LIMIT: Final = 30.0
"""Seconds that an answer may take; an output that blocks keeps it 5 s."""
_PROGRAM: Final = "from livesketch.player.host import main; main()"
_ENDING: Final = "the playing process is just being ended; expected none to ask it anything: play again in a moment"
_LOG: Final = logging.getLogger("livesketch")


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

    def silence(self, *, panic: bool) -> None:
        """``hush`` or ``panic`` there, where it runs; where it does not answer it is ended."""
        if not self.alive:
            return
        try:
            self.ask("panic" if panic else "hush")
        except LivesketchError as err:  # what plays here is silenced all the same
            _LOG.error("the playing process does not answer (%s); it is ended", err)
            self.close()

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

atexit.register(engine.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=engine.forget)
