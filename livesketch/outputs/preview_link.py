"""The wire to a preview window: a child process, a queue that never makes its filler wait, and two threads.

The player's thread puts frames into the queue and goes on. A thread writes them into the child's standard input,
another reads what the child says. A child that is slow, stopped or gone therefore stops nobody.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from typing import IO, Any, Final, Protocol

from ..errors import OutputError
from .preview_wire import Frames, Kind, WireError, picture_of, said, say

MAX_WAITING: Final = 1 << 13
"""Frames in the queue above which points inside lines are dropped; some seconds of a hundred voices."""
MAX_QUEUE: Final = 1 << 16
"""Frames in the queue, now all such as may not be dropped, with which the window is given up."""
PATIENCE: Final = 20.0
"""Seconds until a window must be open; loading a graphics driver the first time may take some."""
GRACE: Final = 1.0
"""Seconds that a child has to end by itself."""
THREADS: Final = "livesketch-preview-"
_BATCH: Final = 1 << 16  # bytes written at once
HINT: Final = (
    "a window needs a screen and OpenGL 3.3; without a screen run it under Xvfb (xvfb-run -a python ...), "
    "or show it on another machine over OSC: to=[ls.osc('host:9000')]"
)
_BOOT: Final = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from livesketch.outputs.preview_window import main; main()"
)


class Child(Protocol):
    """A process at the other end of two pipes, or what stands for one in a test."""

    reads: IO[bytes]
    """Unbuffered; what it gets."""
    says: IO[bytes]
    """Unbuffered; what comes from it."""

    def wait(self, seconds: float | None) -> int | None:
        """Its exit code, or None where it still runs after so long."""

    def kill(self) -> None:
        """Ends it now, however it is."""

    def complaint(self) -> str:
        """The end of what it wrote to standard error."""


class WindowProcess:
    """A Python of its own with the window: its main thread is free for it, as macOS wants.

    It is in a process group of its own, so that Ctrl-C in a terminal reaches the performer's Python only.

    Raises:
        OutputError: no process could be started.
    """

    def __init__(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the last who asks
        path = json.dumps([entry for entry in sys.path if isinstance(entry, str)])
        new_group = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)  # Windows has another way to say it
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this very Python
                [sys.executable, "-P", "-c", _BOOT, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=self._errors, bufsize=0, process_group=None if new_group else 0, creationflags=new_group,
            )  # fmt: skip
        except (OSError, TypeError, ValueError) as error:
            self._errors.close()
            raise OutputError(f"no process for a window could be started ({error}); {HINT}") from error
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        self.reads: IO[bytes] = stdin
        self.says: IO[bytes] = stdout
        self.pid = self._process.pid

    def wait(self, seconds: float | None) -> int | None:
        """Its exit code, or None where it still runs after so long."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """Ends it now, also where it was stopped."""
        with contextlib.suppress(OSError):
            self._process.kill()

    def complaint(self) -> str:
        """The last line that it wrote to standard error, such as a driver's; once."""
        with self._errors as file:
            file.seek(0)
            lines = file.read(1 << 16).decode("utf-8", "replace").strip().splitlines()
        return lines[-1].strip()[:300] if lines else ""


class Link:
    """One window, from its opening until it is gone, for whatever reason.

    ``report`` is told, from another thread, what went wrong: once when the window is gone without having been closed
    from here, and what the window itself reports.

    Raises:
        OutputError: it did not open; the child is gone.
    """

    def __init__(
        self, start: Callable[[], Child], settings: dict[str, Any], report: Callable[[str], None],
        patience: float = PATIENCE,
    ) -> None:  # fmt: skip
        self.gone = ""
        """Why there is no window any more; empty as long as there is one."""
        self.fps = 0.0
        self.size = (0, 0)
        """Of the window, pixels."""
        self._report, self._owner = report, os.getpid()
        self._queue: deque[bytes] = deque([say("settings", **settings)])
        self._work, self._opened, self._over = threading.Event(), threading.Event(), threading.Event()
        self._ready = self._closing = False
        self._pictures: dict[int, bytes | None] = {}  # those that somebody waits for
        self._pictured = threading.Condition()
        self._asked = 0
        self.child = start()
        threads = [(self._write, "write"), (self._read, "read")]
        for act, name in threads:
            threading.Thread(target=act, name=THREADS + name, daemon=True).start()
        self._work.set()
        try:
            in_time = self._opened.wait(patience)
        except BaseException:  # Ctrl-C
            self._closing = True
            self.child.kill()
            raise
        if not self._ready:
            why = (self.gone or "its process ended") if in_time else f"nothing after {patience:g} s"
            self._closing = True
            self.child.kill()
            self._work.set()
            raise OutputError(f"no preview window: {why}; {HINT}")

    @property
    def alive(self) -> bool:
        """Whether there is a window, of this very process: a forked one has none."""
        return not self.gone and not self._closing and self._owner == os.getpid()

    def put(self, frame: bytes, *, droppable: bool = False) -> bool:
        """Queues a frame, which ``wake`` sends; never waits. False: it is lost, the queue full or the window gone."""
        waiting = len(self._queue)
        if not self.alive or (droppable and waiting >= MAX_WAITING):
            return False
        if waiting >= MAX_QUEUE:
            self._end(f"it has taken nothing for {waiting} lines, and was given up")
            self.child.kill()
            return False
        self._queue.append(frame)
        return True

    def wake(self) -> None:
        """Sends what is queued."""
        if self._queue:
            self._work.set()

    def picture(self, patience: float) -> bytes:
        """What is seen now, as a PNG file. OutputError: no window, or no answer within ``patience`` seconds."""
        with self._pictured:
            self._asked += 1
            number = self._asked
            self._pictures[number] = None
        if self.put(say("picture", number=number)):
            self.wake()
        with self._pictured:
            self._pictured.wait_for(lambda: self._pictures[number] or not self.alive, patience)
            png = self._pictures.pop(number)
        if png:
            return png
        why = self.gone or ("it does not answer" if self.alive else "it is closed")
        raise OutputError(f"no picture of the preview window: {why}; open another, such as with to=[ls.preview()]")

    def close(self) -> None:
        """Closes the window; does not wait for it. Where it does not end within a second, it is ended."""
        if not self._closing and self._owner == os.getpid():
            threading.Thread(target=self._enforce, name=THREADS + "close", daemon=True).start()
        self._closing = True
        self._work.set()

    def ended(self, seconds: float | None = None) -> bool:
        """Waits until the child is gone; False where it is still there after so long."""
        return self._over.wait(seconds)

    def _enforce(self) -> None:
        if not self._over.wait(GRACE):
            self.child.kill()

    def _write(self) -> None:
        try:
            while not (self._closing or self.gone):
                self._work.wait()
                self._work.clear()
                while self._queue and not self.gone:
                    self._send(self._batch())
            self.child.reads.close()
        except (OSError, ValueError):  # broken: the reader finds out why
            with contextlib.suppress(OSError, ValueError):
                self.child.reads.close()

    def _batch(self) -> bytes:
        parts, size = [], 0
        while self._queue and size < _BATCH:
            parts.append(self._queue.popleft())
            size += len(parts[-1])
        return b"".join(parts)

    def _send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self.child.reads.write(rest) or 0 :]

    def _read(self) -> None:
        frames, why = Frames(), ""
        try:
            while data := self.child.says.read(_BATCH):
                for kind, payload in frames.feed(data):
                    self._hear(kind, payload)
        except (OSError, KeyError, TypeError, ValueError, IndexError) as error:
            why = f"it says what nobody understands ({error})"
        code = None if why else self.child.wait(GRACE)
        if code is None:
            self.child.kill()
            code = self.child.wait(None)
        complaint = self.child.complaint()
        self._end(why or f"its process ended with {code}" + (f": {complaint}" if complaint else ""))
        self._over.set()
        self.child.says.close()

    def _hear(self, kind: Kind, payload: bytes) -> None:
        if kind == Kind.PICTURE:
            number, png = picture_of(payload)
            with self._pictured:
                if number in self._pictures:
                    self._pictures[number] = png
                    self._pictured.notify_all()
            return
        if kind != Kind.SAY:
            raise WireError(f"a frame of kind {kind.name} from a window")
        values = said(payload)
        if values["say"] == "ready":
            self._ready = True
            self._opened.set()
        elif values["say"] == "gone":
            self._end(str(values.get("why", ""))[:500])
        elif values["say"] == "trouble":
            self._report(str(values.get("why", ""))[:500])
        elif values["say"] == "alive":
            self.fps, self.size = float(values["fps"]), (int(values["size"][0]), int(values["size"][1]))

    def _end(self, why: str) -> None:
        """The window is gone; the first reason is the one that counts."""
        if not self.gone:
            self.gone = why or "it is closed"
            if self._ready and not self._closing:
                more = "the player goes on, to=[ls.preview()] opens another"
                self._report(f"the preview window is gone: {self.gone}; {more}")
        self._queue.clear()
        self._opened.set()
        self._work.set()
        with self._pictured:
            self._pictured.notify_all()
