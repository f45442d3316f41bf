"""What is drawn as light on a screen: a window in a process of its own."""

import math
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

from ..errors import ControlError, OutputError
from ..events import Cue, Event, Pen, PenAction, Token
from ..files import replacing
from ..paper import check_color
from ..strokes import START
from ..values import real, whole
from .base import Stage
from .places import Progress, drawable
from .preview_link import Child, Link, WindowProcess
from .preview_wire import Kind, drawing, point, say

Layout: TypeAlias = Literal["grid", "over"]

COLORS: Final = ("white", "#ff6b6b", "#4dabf7", "#ffd43b", "#69db7c", "#da77f2", "#ffa94d", "#63e6be")
"""One for each voice, where none are given."""
_SIDES: Final = (64, 16_384)
_PICTURE_PATIENCE: Final = 5.0  # seconds


class _Pen(Progress):
    """One voice: which pen of the window draws for it, and whether that is down."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.down = False
        self.next: tuple[int, int] | None = None
        """Drawing and step that go on from where the pen is."""


class PreviewOutput:
    """Shows drawings in a window, and goes on when that is closed, killed or slow.

    ``open`` opens the window, in a process of its own, and waits for it; a player that takes over from another finds
    it open. Nothing else here ever waits for it. Where it cannot follow, points inside lines are dropped, never where a
    line begins or ends; ``dropped`` counts them and what came while there was no window, ``sent`` what the window was
    sent. ``errors`` counts windows that were closed by hand or died, and events that cannot be drawn; ``last_error``
    says why. A window that is gone stays so until the next player opens this output anew.

    In the window, ``f`` goes to the whole screen and back, ``Esc`` back.
    """

    paces = False
    may_drop = True

    def __init__(self, settings: dict[str, Any], stay: bool = False, start: Callable[[], Child] | None = None) -> None:
        self._settings, self._stay = settings, stay
        self._start: Callable[[], Child] = WindowProcess if start is None else start
        self._link: Link | None = None
        self._opened: tuple[str, int] | None = None
        self._told: tuple[str, int] | None = None
        self._pens: dict[tuple[str, int], _Pen] = {}
        self._lock = threading.Lock()
        self.sent = 0
        self.dropped = 0
        self.errors = 0
        self.last_error = ""

    def __repr__(self) -> str:
        link = self._link
        if link is None or not link.alive:
            state = "no window"
        else:
            width, height = link.size
            state = f"{width} x {height} pixels, {link.fps:.0f} pictures/s"
        trouble = f", last error: {self.last_error[:120]}" if self.last_error else ""
        return f"<preview, {state}: {self.sent} sent, {self.dropped} dropped, {self.errors} errors{trouble}>"

    def __getstate__(self) -> dict[str, Any]:
        """For another process, which opens a window of its own."""
        return self.__dict__ | {"_link": None, "_opened": None, "_told": None, "_pens": {}, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    @property
    def alive(self) -> bool:
        """Whether there is a window."""
        return self._link is not None and self._link.alive

    def open(self, name: str, voices: int, stage: Stage) -> None:  # noqa: ARG002 - the window needs no stage
        """Opens the window, unless there is one. OutputError: there can be none here, and what to try."""
        if self._opened is None and not self.alive:
            self._link = Link(self._start, self._settings, self._count)
            self._told = None
        self._opened = (name, voices)
        if self._told != self._opened:
            self._told = self._opened
            self._pens.clear()
            self._put(say("open", name=name, voices=voices))
            self._wake()

    def send(self, event: Event) -> None:
        """Draws pen actions and writes tokens; ``tick`` sends them."""
        try:
            self._take(event)
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            self._count(f"{type(event).__name__} not drawn: {error}")

    def tick(self, now: float) -> None:  # noqa: ARG002 - the window has a clock of its own
        """Sends what has come since the last time."""
        self._wake()

    def lift(self) -> None:
        """Sends what has come; a line that goes on is one line."""
        self._wake()

    def close(self) -> None:
        """Closes the window, without waiting for it; where it is to stay, leaves it as it is."""
        self._opened = None
        if not self._stay:
            self.shut()

    def shut(self) -> None:
        """Closes the window also where it is to stay."""
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def fullscreen(self, on: bool = True) -> None:
        """The whole screen, or no longer."""
        self._put(say("fullscreen", on=bool(on)))
        self._wake()

    def screenshot(self, path: str | Path) -> None:
        """Writes what the window shows now as a PNG file.

        Raises:
            OutputError: there is no window, it does not answer within 5 s, or no file can be written.
        """
        link = self._link
        if link is None:
            raise OutputError("no picture: there is no preview window; play into it first: ls.play(..., to=[preview])")
        png = link.picture(_PICTURE_PATIENCE)
        with replacing(path) as stream:
            stream.write(png)

    def _take(self, event: Event) -> None:
        if isinstance(event, PenAction):
            self._draw(event)
        elif isinstance(event, Token):
            self._write(event)
        elif isinstance(event, Cue):
            self._end(event)
        else:
            raise TypeError(f"expected PenAction, Cue or Token, got {event!r:.80}")

    def _draw(self, action: PenAction) -> None:
        action = drawable(action)
        pen = self._pen(action.name, int(action.voice))
        if pen.begins(action):
            pen.down, pen.next = False, None
            self._put(drawing(pen.number))
        drawing_number, step = int(action.drawing), int(action.step)
        down = pen.down and pen.next == (drawing_number, step)
        pen.down, pen.next = action.pen == Pen.DOWN and not action.last, (drawing_number, step + 1)
        pen.over = bool(action.last)
        if action.pen == Pen.END:
            return
        if action.ink and step == 0:
            self._put(point(Kind.MOVE, pen.number, *START))
        elif not (action.ink and down):  # where its move came from is not known, or leaves no line
            self._put(point(Kind.MOVE, pen.number, action.x, action.y))
            return
        self._put(point(Kind.LINE, pen.number, action.x, action.y), droppable=pen.down)

    def _write(self, token: Token) -> None:
        values = {"name": str(token.name), "voice": int(token.voice), "step": int(token.step), "text": str(token.text)}
        self._put(say("token", last=bool(token.last), **values))

    def _end(self, cue: Cue) -> None:
        pen = self._pens.get((cue.name, int(cue.voice)))
        if pen is not None and cue.kind == "drawing/end":
            pen.over = True

    def _pen(self, name: str, voice: int) -> _Pen:
        pen = self._pens.get((name, voice))
        if pen is None:
            pen = self._pens[name, voice] = _Pen(len(self._pens))
            self._put(say("pen", pen=pen.number, name=name, voice=voice))
        return pen

    def _put(self, frame: bytes, *, droppable: bool = False) -> None:
        if self._opened is not None and self._link is not None and self._link.put(frame, droppable=droppable):
            self.sent += 1
        else:
            self.dropped += 1

    def _wake(self) -> None:
        if self._link is not None:
            self._link.wake()

    def _count(self, reason: str) -> None:
        with self._lock:  # the window's end is told by another thread
            self.errors += 1
            self.last_error = reason


def preview(
    width: int = 960,
    height: int = 720,
    fade: float = 2.0,
    fullscreen: bool = False,
    fps: float = 60.0,
    color: str | Sequence[str] = COLORS,
    background: str = "black",
    layout: Layout = "grid",
    line_width: float = 0.006,
    screen: int | None = None,
    font: str | None = None,
    stay: bool = False,
) -> PreviewOutput:
    """An output that shows what is drawn in a window: ``ls.play(cat, to=[ls.preview(fade=10)])``.

    The window opens with the player. It is a process of its own: nothing that happens to it stops the player.

    Args:
        width: of the window, 64 to 16,384; on a screen with scaled pixels these are the larger ones.
        height: likewise.
        fade: seconds until a drawing is gone after the next of its voice began; 0: at once, ``float("inf")``: it stays.
        fullscreen: begins on the whole screen; the key f goes there and back.
        fps: pictures per second at most, above 0 up to 1000; none are made while nothing changes.
        color: a name or ``#rrggbb``, or several, one per voice.
        background: likewise.
        layout: ``"grid"``: each voice has its own cell; ``"over"``: all share the window.
        line_width: of the shorter side of a voice's cell, above 0 up to 0.5.
        screen: which one, from 0; None: where the desktop puts it.
        font: of texts, by its name; None: one that has the characters, where there is one.
        stay: after ``hush`` the window stays, with the last picture, for the next player; ``shut()`` closes it.

    Raises:
        ControlError: one of these is out of range.
    """
    names: Any = [color] if isinstance(color, str) else color
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) for name in names):
        raise ControlError(f"color {color!r:.60}: expected a name, or a list of at least one; try color='white'")
    if layout not in get_args(Layout):
        raise ControlError(f"layout {layout!r:.60}: expected 'grid' (each voice a cell) or 'over' (all together)")
    if font is not None and not isinstance(font, str):
        raise ControlError(f"font {font!r:.60}: expected the name of a font, such as 'Noto Sans CJK SC', or None")
    seconds = _within("fade", fade, 0.0, math.inf, "seconds, 0 or more; float('inf') keeps every drawing")
    rate = _within("fps", fps, 1e-3, 1e3, "pictures per second, above 0 up to 1000; 60 is smooth")
    thick = _within("line_width", line_width, 1e-6, 0.5, "a part of a cell, above 0 up to 0.5; try 0.006")
    settings = {
        "width": whole("preview width", width, *_SIDES), "height": whole("preview height", height, *_SIDES),
        "fade": None if math.isinf(seconds) else seconds, "fullscreen": bool(fullscreen), "fps": rate,
        "colors": [rgb(name) for name in names], "background": rgb(background), "grid": layout == "grid",
        "line_width": thick, "screen": None if screen is None else whole("screen", screen, 0, 63), "font": font,
    }  # fmt: skip
    return PreviewOutput(settings, stay=bool(stay))


def rgb(color: str) -> tuple[float, float, float]:
    """Red, green and blue, 0 to 1, of a colour's name or ``#rrggbb``. ControlError: it is none."""
    from svgelements import Color  # noqa: PLC0415 - takes a while to load

    known = Color(check_color(color))
    return known.red / 255, known.green / 255, known.blue / 255


def _within(what: str, value: Any, least: float, most: float, wanted: str) -> float:
    number = real(f"preview {what}", value, wanted)
    if not least <= number <= most:
        raise ControlError(f"preview {what} {value!r:.60}: expected {wanted}")
    return number
