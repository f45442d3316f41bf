"""The drawing as characters in the terminal, while it is drawn."""

import atexit
import os
import shutil
import sys
from typing import Final, TextIO

from ..errors import ControlError
from ..events import Cue, Event, PenAction, Token
from ..strokes import PolylineBuilder
from .base import Stage
from .pacing import due
from .places import Progress, drawable
from .raster import Raster, clipped, printable

_FRAME: Final = 1 / 30  # seconds between two pictures
_WIDEST, _HIGHEST = 100, 30  # characters; a larger terminal is not filled, so that each picture is quick
_PLAIN: Final = (60, 20)  # characters where there is no terminal
_PANEL = 20  # characters that a voice needs for a picture of its own
_LINE = 1000  # characters of text that are kept for one line
_SIZES: Final = (4, 1000)
_HIDE, _SHOW, _CLEAR_LINE = "\x1b[?25l", "\x1b[?25h", "\x1b[K"


class _Voice(Progress):
    """One voice's present drawing."""

    def __init__(self) -> None:
        super().__init__()
        self.builder = PolylineBuilder()
        self.drawn: list[int] = []  # of each polyline, how many points are in the picture


class TerminalOutput:
    """Draws in braille, redrawn in place at most 30 times a second; voices stand side by side as far as they fit.

    The view is the stage, and widens when a drawing leaves it. Where the file is no terminal, each finished drawing is
    printed once, without escape codes; where its encoding has no braille, ``#`` stands for it. ``errors`` counts what
    could not be drawn or written, ``last_error`` says why; after a failed write nothing is written until the next
    ``open``.
    """

    paces = False
    may_drop = False

    def __init__(self, file: TextIO | None = None, width: int | None = None, height: int | None = None) -> None:
        self._file = file
        self._size = (_length("width", width), _length("height", height))
        self.errors = 0
        self.last_error = ""
        self._number_of_voices = 1
        self._voices: dict[tuple[str, int], _Voice] = {}
        self._panels: list[Raster] = []
        self._panels_for: tuple[int, int, int] | None = None
        self._shown: list[str] = []
        self._caption = ""
        self._text = ""
        self._dirty = False
        self._hidden = False
        self._gone = False
        self._framed: float | None = None

    def __repr__(self) -> str:
        width, height = self._measure()
        kind = "in place" if self._live() else "plain lines"
        return f"<terminal {width} x {height}, {kind}, {'braille' if self._braille() else '#'}, {self.errors} errors>"

    def open(self, name: str, voices: int, stage: Stage) -> None:  # noqa: ARG002 - the events name themselves
        """A player starts, on a clear picture."""
        self._number_of_voices = max(self._number_of_voices, voices)
        self._gone = False

    def send(self, event: Event) -> None:
        """Draws pen actions into the picture, which ``tick`` shows; prints a finished drawing where there is no tty."""
        try:
            self._take(event)
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            self._count(f"{type(event).__name__} not drawn: {error}")

    def tick(self, now: float) -> None:
        """Shows the picture, if it changed and the last one is old enough; ``now`` in seconds."""
        if self._dirty and self._live() and due(self._framed, now, _FRAME):
            self._framed = now
            self._show()

    def lift(self) -> None:
        """Shows the picture as it is."""
        if self._dirty and self._live():
            self._show()

    def close(self) -> None:
        """Shows the last picture and gives the cursor back; where there is no tty, prints what was not finished."""
        if self._live():
            if self._dirty:
                self._show()
            if self._hidden:
                self._write(_SHOW)
                self._hidden = False
                atexit.unregister(self.close)
            self._shown = []  # what comes later does not draw over this
        else:
            for (name, number), voice in self._voices.items():
                self._print(name, number, voice)
            self._say_text()
        self._number_of_voices = 1

    def _take(self, event: Event) -> None:
        if isinstance(event, PenAction):
            self._draw(event)
        elif isinstance(event, Token):
            self._text = (self._text + event.text)[-_LINE:]
            self._dirty = True
            if "\n" in self._text and not self._live():
                self._say_text()
        elif isinstance(event, Cue):
            if event.kind == "drawing/end":
                self._end(event.name, event.voice)
        else:
            raise TypeError(f"expected PenAction, Cue or Token, got {event!r:.80}")

    def _draw(self, action: PenAction) -> None:
        voice = self._voices.setdefault((action.name, action.voice), _Voice())
        if voice.begins(action):
            voice.builder, voice.drawn = PolylineBuilder(), []
            self._clear(action.voice)
        voice.builder.add(drawable(action))
        self._caption = f"{action.name}  drawing {voice.drawing}  step {voice.step}"
        self._dirty = True
        if action.last:
            self._end(action.name, action.voice)

    def _end(self, name: str, number: int) -> None:
        voice = self._voices.get((name, number))
        if voice is not None:
            if not self._live():
                self._print(name, number, voice)
            voice.over = True

    def _clear(self, number: int) -> None:
        """Empties the panel of a voice; what other voices drew there is drawn again."""
        if self._panels:
            self._panels[number % len(self._panels)].clear()
            for (_, other), voice in self._voices.items():
                if other % len(self._panels) == number % len(self._panels):
                    voice.drawn = []

    def _fill(self) -> None:
        """Brings the panels up to date with what is drawn."""
        width, height = self._measure()
        count = max(1, min(self._number_of_voices, width // _PANEL))
        if self._panels_for != (width, height, count):
            self._panels_for = (width, height, count)
            each = (width - (count - 1)) // count
            self._shown = []  # a resized terminal has moved what was shown
            self._panels = [Raster(each, height, braille=self._braille()) for _ in range(count)]
            for voice in self._voices.values():
                voice.drawn = []
        for index, panel in enumerate(self._panels):
            sharing = [voice for (_, number), voice in self._voices.items() if number % count == index]
            while not all(_draw_new(panel, voice) for voice in sharing):
                for voice in sharing:  # the view grew, and the picture is empty
                    voice.drawn = []

    def _show(self) -> None:
        self._dirty = False
        self._fill()
        lines = [" ".join(parts).rstrip() for parts in zip(*(panel.lines() for panel in self._panels), strict=True)]
        words = self._caption + (f"  {self._text[-40:]}" if self._text else "") + self._remark()
        lines.append(clipped(words, self._measure()[0]))
        out = []
        if not self._hidden:
            out.append(_HIDE)
            self._hidden = True
            atexit.register(self.close)
        if len(self._shown) == len(lines):
            out.append(f"\x1b[{len(lines)}A")
            before = self._shown
        else:
            before = [""] * len(lines)
        out += ["\n" if line == old else f"\r{line}{_CLEAR_LINE}\n" for line, old in zip(lines, before, strict=True)]
        self._shown = lines
        self._write("".join(out))

    def _print(self, name: str, number: int, voice: _Voice) -> None:
        """One finished drawing as plain lines."""
        if voice.over or not voice.builder.polylines:
            return
        voice.over, voice.drawn = True, []
        width, height = self._measure()
        raster = Raster(width, height, braille=self._braille())
        while not _draw_new(raster, voice):
            voice.drawn = []
        lines = [line.rstrip() for line in raster.lines()]
        inked = [index for index, line in enumerate(lines) if line]
        lines = lines[inked[0] : inked[-1] + 1]
        who = f"{name}/{number}" if self._number_of_voices > 1 else name
        words = f"{who}  drawing {voice.drawing}  {voice.step + 1} steps{self._remark()}"
        self._write("\n".join([clipped(words, width), *lines, ""]))

    def _say_text(self) -> None:
        if self._text:
            self._write(printable(self._text.rstrip("\n")) + "\n")
            self._text = ""

    def _write(self, text: str) -> None:
        if self._gone:
            return
        stream = self._stream()
        try:
            encoding = getattr(stream, "encoding", None) or "utf-8"
            stream.write(text.encode(encoding, "replace").decode(encoding))
            stream.flush()
        except (AttributeError, OSError, ValueError) as error:  # AttributeError: there is no standard output
            self._gone = True
            self._count(f"not written: {error}")

    def _count(self, reason: str) -> None:
        self.errors += 1
        self.last_error = reason

    def _stream(self) -> TextIO:
        return self._file if self._file is not None else sys.stdout

    def _live(self) -> bool:
        try:
            return self._stream().isatty() and os.environ.get("TERM") != "dumb"
        except (AttributeError, ValueError):  # none, or closed
            return False

    def _braille(self) -> bool:
        try:
            "\u28ff".encode(getattr(self._stream(), "encoding", None) or "utf-8")
        except (UnicodeEncodeError, LookupError):
            return False
        return True

    def _remark(self) -> str:
        return "" if self._braille() else f"  ({self._stream().encoding}: no braille)"

    def _measure(self) -> tuple[int, int]:
        """Columns and rows of the picture."""
        width, height = _PLAIN
        if self._live():
            try:
                terminal = os.get_terminal_size(self._stream().fileno())
            except (OSError, ValueError):
                terminal = os.terminal_size((0, 0))
            if terminal.columns <= 0:  # a terminal that does not know its size
                terminal = shutil.get_terminal_size()
            # The last column and row stay free: writing there makes some terminals wrap or scroll.
            width, height = min(terminal.columns - 1, _WIDEST), min(terminal.lines - 2, _HIGHEST)
        return self._size[0] or max(width, _SIZES[0]), self._size[1] or max(height, _SIZES[0])


def terminal(file: TextIO | None = None, width: int | None = None, height: int | None = None) -> TerminalOutput:
    """An output that shows the drawing in the terminal while it is drawn.

    ``file`` is standard output unless another text stream is given; ``width`` and ``height`` count characters, 4 to
    1000, and follow the terminal's size where they are not given. ControlError: a size outside that range.
    """
    return TerminalOutput(file, width, height)


def _draw_new(raster: Raster, voice: _Voice) -> bool:
    """Draws what is not in the picture yet. False where the view had to grow, which wiped the picture."""
    lines = voice.builder.polylines
    voice.drawn += [0] * (len(lines) - len(voice.drawn))
    fresh = [point for line, done in zip(lines, voice.drawn, strict=True) for point in line[done:]]
    if not all(raster.shows(*point) for point in fresh):
        raster.grow(fresh)
        return False
    for index, line in enumerate(lines):
        done = voice.drawn[index]
        if done < len(line):
            points = line[max(done - 1, 0) :]
            for start, end in zip(points, points[1:] or points, strict=False):
                raster.line(start, end)
            voice.drawn[index] = len(line)
    return True


def _length(what: str, value: int | None) -> int | None:
    low, high = _SIZES
    if value is not None and not (isinstance(value, int) and low <= value <= high):
        raise ControlError(f"terminal {what} {value!r:.60}: expected {low} to {high} characters; try {what}=80")
    return value
