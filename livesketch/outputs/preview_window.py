"""The preview window: a program of its own, started by ``preview_link``, fed through standard input.

It ends when its window is closed, when the player closes it, and when the player's process is gone, however that ended.
Its standard output belongs to the player, so that what a driver prints goes elsewhere.
"""

import contextlib
import os
import threading
import time
from collections import deque
from typing import Any, BinaryIO, Final

from ..events import Token
from .preview_scene import MAX_PIECES, MAX_SLOTS, Look, Scene
from .preview_text import Lines
from .preview_wire import Frame, Frames, Kind, WireError, pen_of, picture, point_of, said, say

_MOST_READ: Final = 1 << 14
"""Frames read ahead; the player then waits for none of them, but drops some."""
_LAST_WORDS: Final = 0.5
"""Seconds that a window has to end by itself once the player is gone."""
_ALIVE: Final = 0.5  # seconds between two reports of the pictures per second


class Inbox:
    """Reads frames in a thread of its own; ``over`` is True once the player is gone or has closed the window."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._frames: deque[Frame] = deque()
        self._room = threading.Semaphore(_MOST_READ)
        self._first = threading.Event()
        self.over = False
        threading.Thread(target=self._read, name="livesketch-inbox", daemon=True).start()

    def first(self) -> dict[str, Any]:
        """The settings, with which everything begins. WireError: something else came, or nothing."""
        self._first.wait()
        if not self._frames:
            raise WireError("the player was gone before it said what to show")
        kind, payload = self._frames.popleft()
        self._room.release()
        values = said(payload) if kind == Kind.SAY else {"say": kind.name}
        if values["say"] != "settings":
            raise WireError(f"settings come first, got {values['say']}")
        return values

    def take(self) -> list[Frame]:
        """What has come, in its order."""
        frames = []
        while self._frames:
            frames.append(self._frames.popleft())
            self._room.release()
        return frames

    def _read(self) -> None:
        frames = Frames()
        with contextlib.suppress(OSError, WireError):
            while data := self._stream.read(1 << 16):
                for frame in frames.feed(data):
                    self._room.acquire()
                    self._frames.append(frame)
                    self._first.set()
        self.over = True
        self._first.set()
        time.sleep(_LAST_WORDS)
        os._exit(0)  # the window, or a driver, hangs


class Show:
    """The window and what is in it.

    Whatever pyglet raises where there is no screen or no OpenGL comes from here.
    """

    def __init__(self, settings: dict[str, Any], inbox: Inbox, answer: BinaryIO) -> None:
        import pyglet  # noqa: PLC0415 - only this process has a window

        pyglet.options["shadow_window"] = False
        from .preview_gl import Painter  # noqa: PLC0415 - likewise

        self._pyglet, self._inbox, self._answer = pyglet, inbox, answer
        self._parent = os.getppid()  # another one later: the player is gone, though its end of the pipe lives on
        fade = float("inf") if settings["fade"] is None else float(settings["fade"])
        look = Look(
            [tuple(color) for color in settings["colors"]], tuple(settings["background"]),
            float(settings["line_width"]), fade, bool(settings["grid"]),
        )  # fmt: skip
        self._scene = Scene(look)
        self._lines: Lines | None = None
        self._font = settings["font"]
        self._name = "livesketch"
        self._window = self._open(settings)
        self._painter = Painter(MAX_PIECES, MAX_SLOTS)
        self._period = 1.0 / float(settings["fps"])
        self._dirty = True
        self._asked: list[int] = []
        self._pictures, self._counted = 0, time.monotonic()
        self.farewell = "the player closed it"

    def run(self) -> None:
        """Until the window or the player is gone."""
        width, height = self._window.get_framebuffer_size()
        self.say("alive", fps=0.0, size=[width, height])
        self.say("ready")
        self._pyglet.clock.schedule_interval(self._frame, self._period)
        self._pyglet.app.run(None)

    def say(self, what: str, **values: Any) -> None:
        """Tells the player; it may be gone already."""
        with contextlib.suppress(OSError):
            self._answer.write(say(what, **values))

    def _open(self, settings: dict[str, Any]) -> Any:
        pyglet = self._pyglet
        screens = pyglet.display.get_display().get_screens()
        number, screen = settings["screen"], None
        if number is not None:
            if number >= len(screens):
                raise ValueError(f"screen {number}: this display has {len(screens)}, numbered from 0")
            screen = screens[number]
        full = bool(settings["fullscreen"])
        size = {} if full else {"width": int(settings["width"]), "height": int(settings["height"])}
        window = pyglet.window.Window(
            **size, caption="livesketch", resizable=True, fullscreen=full, screen=screen, vsync=False
        )
        if full:  # to this it goes back
            window._windowed_size = (int(settings["width"]), int(settings["height"]))  # noqa: SLF001 - pyglet has no other way
        window.push_handlers(
            on_key_press=self._key, on_close=self._close, on_resize=self._changed, on_expose=self._changed,
            on_show=self._changed,
        )  # fmt: skip
        return window

    def _frame(self, _: float) -> None:
        """Takes what has come, and paints where something changed."""
        now = time.monotonic()
        for kind, payload in self._inbox.take():
            self._take(kind, payload, now)
        if self._inbox.over or os.getppid() != self._parent:
            self._leave("the player is gone")
            return
        if self._dirty or self._asked or self._scene.moving():
            self._dirty = False
            self._paint(now)
        self._report(now)

    def _paint(self, now: float) -> None:
        window = self._window
        window.switch_to()
        width, height = window.get_framebuffer_size()
        self._painter.paint(self._scene, now, width, height)
        if self._lines is not None:
            self._lines.draw(*window.get_size(), alone=self._scene.drawings == 0)
        for number in self._asked:
            with contextlib.suppress(OSError):
                self._answer.write(picture(number, self._painter.picture(width, height)))
        self._asked.clear()
        window.flip()
        self._pictures += 1

    def _report(self, now: float) -> None:
        passed = now - self._counted
        if passed < _ALIVE:
            return
        fps = self._pictures / passed
        self._pictures, self._counted = 0, now
        self.say("alive", fps=fps, size=list(self._window.get_framebuffer_size()))
        self._window.set_caption(f"{self._name}  {fps:.0f} fps")

    def _take(self, kind: Kind, payload: bytes, now: float) -> None:
        scene = self._scene
        self._dirty = True
        if kind == Kind.LINE:
            scene.line(*point_of(payload), now)
        elif kind == Kind.MOVE:
            scene.move(*point_of(payload), now)
        elif kind == Kind.DRAWING:
            scene.drawing(pen_of(payload), now)
        elif kind == Kind.SAY:
            self._hear(said(payload), now)

    def _hear(self, values: dict[str, Any], now: float) -> None:
        what = values["say"]
        if what == "open":
            self._scene.open(int(values["voices"]), now)
            self._name, self._lines = str(values["name"]), None
            self._window.set_caption(self._name)
        elif what == "pen":
            self._scene.pen(int(values["pen"]), int(values["voice"]))
        elif what == "token":
            self._write(values)
        elif what == "fullscreen":
            self._full(bool(values["on"]))
        elif what == "picture":
            self._asked.append(int(values["number"]))

    def _write(self, values: dict[str, Any]) -> None:
        if self._lines is None:
            look = self._scene.look
            self._lines = Lines(self._pyglet, look.colors[0], self._font, lambda why: self.say("trouble", why=why))
        name, voice, step = str(values["name"]), int(values["voice"]), int(values["step"])
        text = str(values["text"])
        self._lines.add(Token(0.0, name, voice, step, text, 0.0, 0.0, given=False, last=bool(values["last"])))

    def _key(self, symbol: int, _: int) -> bool:
        key = self._pyglet.window.key
        if symbol == key.F:
            self._full(not self._window.fullscreen)
        elif symbol == key.ESCAPE:
            self._full(False)
        return True  # pyglet's own handler would close the window at Esc

    def _full(self, on: bool) -> None:
        if self._window.fullscreen != on:
            self._window.set_fullscreen(on)
        self._window.set_mouse_visible(not on)
        self._dirty = True

    def _changed(self, *_: int) -> None:
        self._dirty = True

    def _close(self) -> bool:
        self._leave("the window was closed")
        return True

    def _leave(self, why: str) -> None:
        self.farewell = why
        self._pyglet.clock.unschedule(self._frame)
        self._pyglet.app.exit()


def main() -> None:
    """The program. What goes wrong is told to the player, in words; the exit code is 0 where it was told."""
    answer = _take_standard_output()
    inbox = Inbox(os.fdopen(os.dup(0), "rb", buffering=0))
    why = ""
    try:
        show = Show(inbox.first(), inbox, answer)
        _forget_standard_error()
        show.run()
        why = show.farewell
    except Exception as error:  # noqa: BLE001 - whatever a window system raises, the player must hear of it
        why = f"{type(error).__name__}: {' '.join(str(error).split())}"[:400]
    with contextlib.suppress(OSError):
        answer.write(say("gone", why=why))
    os._exit(0)  # drivers have been seen to crash when Python takes them down in its own order


def _take_standard_output() -> BinaryIO:
    """Standard output for the player alone; what others print goes to standard error."""
    answer = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return answer


def _forget_standard_error() -> None:
    """From here on nobody reads it, and a driver that complains at every picture would fill the disk."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
