"""What stands for a preview window in tests: it speaks the same frames, in a thread, and shows nothing."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from livesketch.outputs.preview import PreviewOutput, preview
from livesketch.outputs.preview_wire import Frame, Frames, Kind, pen_of, picture, point_of, said, say

Line = list[tuple[float, float]]


class FakeWindow:
    """The other end of a link; ``heard`` are the frames that it was sent.

    ``answer`` is what it says at first; ``reads_on`` cleared stalls it.
    """

    def __init__(self, answer: bytes = say("ready"), complaint: str = "", dies_after: int | None = None) -> None:
        self.heard: list[Frame] = []
        self.reads_on = threading.Event()
        self.reads_on.set()
        self.over = threading.Event()
        self.more = threading.Condition()
        self.killed = False
        self._complaint, self._answer, self._dies_after = complaint, answer, dies_after
        near_in, self._in = socket.socketpair()
        near_out, self._out = socket.socketpair()
        near_in.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 14)
        self.reads = near_in.makefile("wb", buffering=0)
        self.says = near_out.makefile("rb", buffering=0)
        near_in.close()  # the files have them now
        near_out.close()
        threading.Thread(target=self._run, name="livesketch-fake-window", daemon=True).start()

    def wait(self, seconds: float | None) -> int | None:
        return (-9 if self.killed else 0) if self.over.wait(seconds) else None

    def kill(self) -> None:
        self.killed = True
        self.reads_on.set()
        self._shut()

    def complaint(self) -> str:
        return self._complaint

    def wait_for(self, there: Callable[[list[Frame]], bool], seconds: float = 20.0) -> None:
        with self.more:
            assert self.more.wait_for(lambda: there(self.heard), seconds), self.heard[-5:]

    def says_now(self, data: bytes) -> None:
        self._out.sendall(data)

    def leaves(self) -> None:
        """As where a person closes it."""
        self.says_now(say("gone", why="the window was closed"))
        self._shut()

    def _shut(self) -> None:
        for end in (self._in, self._out):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        frames = Frames()
        with contextlib.suppress(OSError):
            self._out.sendall(self._answer)
            while self.reads_on.wait() and (data := self._in.recv(4096)):
                for frame in frames.feed(data):
                    self._hear(frame)
        self._shut()
        self._in.close()
        self._out.close()
        self.over.set()

    def _hear(self, frame: Frame) -> None:
        with self.more:
            self.heard.append(frame)
            self.more.notify_all()
        if frame[0] == Kind.SAY and said(frame[1])["say"] == "picture":
            self._out.sendall(picture(said(frame[1])["number"], b"PNG"))
        if self._dies_after is not None and len(self.heard) > self._dies_after:
            self._shut()


class FakeWindows:
    """Makes one after another, all alike."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.made: list[FakeWindow] = []

    def __call__(self) -> FakeWindow:
        self.made.append(FakeWindow(**self.options))
        return self.made[-1]

    @property
    def last(self) -> FakeWindow:
        return self.made[-1]


def fake_preview(windows: FakeWindows | None = None, *, stay: bool = False, **options: Any) -> PreviewOutput:
    """A preview whose windows are made up."""
    return PreviewOutput(preview(**options)._settings, stay=stay, start=windows or FakeWindows())


def polylines(heard: Iterable[Frame]) -> list[list[Line]]:
    """What would be drawn: for each drawing its lines, points in float32."""
    drawings: list[list[Line]] = []
    open_for: dict[int, list[Line]] = {}
    for kind, payload in heard:
        if kind == Kind.DRAWING:
            open_for[pen_of(payload)] = []
            drawings.append(open_for[pen_of(payload)])
        elif kind in {Kind.MOVE, Kind.LINE}:
            pen, x, y = point_of(payload)
            if kind == Kind.MOVE:
                open_for[pen].append([])
            open_for[pen][-1].append((x, y))
    return drawings


def said_of(heard: Iterable[Frame], what: str) -> list[dict[str, Any]]:
    """The JSON frames about one thing."""
    told = [said(payload) for kind, payload in heard if kind == Kind.SAY]
    return [values for values in told if values["say"] == what]


def pid_is_there(pid: int) -> bool:
    """Whether a process lives; one that ended and was not waited for does not."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return stat.rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
