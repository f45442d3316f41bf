"""The drawing as characters in the terminal, while it is drawn; or the text, while it is written."""

import io
from typing import Any, Final, TextIO

import numpy as np

from ..errors import ControlError, OutputError
from ..events import Cue, Event, PenAction, Token
from ..strokes import PolylineBuilder
from .base import Stage
from .pacing import due
from .places import Progress, drawable
from .raster import Raster, clipped
from .screen import Screen
from .writing import Writing

_FRAME: Final = 1 / 30  # seconds between two pictures
_WIDEST, _HIGHEST = 100, 30  # characters; a larger terminal is not filled, so that each picture is quick
_PLAIN: Final = (60, 20)  # characters where there is no terminal
_PANEL = 20  # characters that a voice needs for a picture of its own
_SIZES: Final = (4, 1000)


class _Voice(Progress):
    """One voice's present drawing."""

    def __init__(self) -> None:
        super().__init__()
        self.builder = PolylineBuilder()
        self.drawn: list[int] = []  # of each polyline, how many points are in the picture


class TerminalOutput:
    """Draws in braille, redrawn in place at most 30 times a second; voices stand side by side as far as they fit.

    The view is the stage, and widens when a drawing leaves it. Where there is only text, its last lines stand there
    instead. At Python's prompt the picture stands in the top half of the screen, and the prompt scrolls below it until
    ``close``. Where the file is no terminal, each finished drawing or line of text is printed once, without escape
    codes; where its encoding has no braille, ``#`` stands for it.

    No write waits for the reader: where a terminal is stalled, pictures are dropped until it goes on, and of plain
    lines up to 1 MiB waits. ``dropped`` counts those pictures and lines; ``errors`` counts each time this began and
    what could not be drawn or written, ``last_error`` says why. After a failed write nothing is written until the
    next ``open``.
    """

    paces = False
    may_drop = False

    def __init__(self, file: TextIO | None = None, width: int | None = None, height: int | None = None) -> None:
        self._screen = Screen(_text_stream(file), self._count)
        self._size = (_length("width", width), _length("height", height))
        self.errors = 0
        self.last_error = ""
        self._number_of_voices = 1
        self._voices: dict[tuple[str, int], _Voice] = {}
        self._panels: list[Raster] = []
        self._panels_for: tuple[int, int, int] | None = None
        self._caption = ""
        self._writing: Writing | None = None
        self._dirty = False
        self._framed: float | None = None

    def __repr__(self) -> str:
        width, height = self._measure()
        kind = ("above the prompt" if self._screen.at_prompt else "in place") if self._screen.live else "plain lines"
        how = "braille" if self._braille() else "#"
        return f"<terminal {width} x {height}, {kind}, {how}, {self.dropped} dropped, {self.errors} errors>"

    @property
    def dropped(self) -> int:
        """How many pictures or plain texts nobody was ready to take."""
        return self._screen.dropped

    def open(self, name: str, voices: int, stage: Stage) -> None:  # noqa: ARG002 - the events name themselves
        """A player starts, on a clear picture."""
        self._number_of_voices = max(self._number_of_voices, voices)
        self._screen.again()

    def send(self, event: Event) -> None:
        """Draws pen actions into the picture, which ``tick`` shows; prints a finished drawing where there is no tty."""
        try:
            self._take(event)
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            self._count(f"{type(event).__name__} not drawn: {error}")

    def tick(self, now: float) -> None:
        """Shows the picture, if it changed and the last one is old enough; ``now`` in seconds."""
        self._screen.push()
        if self._dirty and self._screen.live and due(self._framed, now, _FRAME):
            self._framed = now
            self._show()

    def lift(self) -> None:
        """Shows the picture as it is."""
        if self._dirty and self._screen.live:
            self._show()

    def close(self) -> None:
        """Shows the last picture and gives the terminal back; where there is no tty, prints what was not finished.

        It waits at most 50 ms for a terminal or reader that is stalled.
        """
        if self._screen.live:
            if self._dirty:
                self._show()
        else:
            for (name, number), voice in self._voices.items():
                self._print(name, number, voice)
            self._say(self._writing.rest(several=self._number_of_voices > 1) if self._writing else "")
        self._screen.close()
        self._writing = None
        self._number_of_voices = 1

    def _take(self, event: Event) -> None:
        if isinstance(event, PenAction):
            self._draw(event)
        elif isinstance(event, Token):
            self._write(event)
        elif isinstance(event, Cue):
            if event.kind == "drawing/end":
                self._end(event.name, event.voice)
        else:
            raise TypeError(f"expected PenAction, Cue or Token, got {event!r:.80}")

    def _write(self, token: Token) -> None:
        if self._writing is None:
            self._writing = Writing()
        done = self._writing.add(token, several=self._number_of_voices > 1)
        if not self._voices:
            self._caption = f"{token.name}  piece {token.piece}  step {token.step}"
        self._dirty = True
        if not self._screen.live:
            self._say(done)

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
            if not self._screen.live:
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
            self._panels = [Raster(each, height, braille=self._braille()) for _ in range(count)]
            for voice in self._voices.values():
                voice.drawn = []
        for index, panel in enumerate(self._panels):
            sharing = [voice for (_, number), voice in self._voices.items() if number % count == index]
            while not all(_draw_new(panel, voice) for voice in sharing):
                for voice in sharing:  # the view grew, and the picture is empty
                    voice.drawn = []

    def _show(self) -> None:
        width, height = self._measure()
        if self._writing is not None and not self._voices:
            lines, words = self._writing.rows(width, height), self._caption
        else:
            self._fill()
            lines = [" ".join(parts).rstrip() for parts in zip(*(panel.lines() for panel in self._panels), strict=True)]
            written = f"  {self._writing.rows(40, 1)[0]}" if self._writing is not None else ""
            words = self._caption + written + self._remark()
        lines.append(clipped(words, width))
        self._dirty = not self._screen.show(lines)

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
        self._screen.say("\n".join([clipped(words, width), *lines, ""]))

    def _say(self, text: str) -> None:
        if text:
            self._screen.say(text)

    def _count(self, reason: str) -> None:
        self.errors += 1
        self.last_error = reason

    def _braille(self) -> bool:
        try:
            "\u28ff".encode(self._screen.encoding)
        except (UnicodeEncodeError, LookupError):
            return False
        return True

    def _remark(self) -> str:
        return "" if self._braille() else f"  ({self._screen.encoding}: no braille)"

    def _measure(self) -> tuple[int, int]:
        """Columns and rows of the picture."""
        width, height = _PLAIN
        if self._screen.live:
            columns, rows = self._screen.room()
            width, height = min(columns, _WIDEST), min(rows - 1, _HIGHEST)  # the caption has a row, too
            if self._screen.at_prompt:  # nothing may wrap or leave the rows that are reserved
                height = max(min(self._size[1] or rows // 2, rows - 1), 1)
                return min(self._size[0] or width, columns), height if self._size[1] else min(height, _HIGHEST)
        return self._size[0] or max(width, _SIZES[0]), self._size[1] or max(height, _SIZES[0])


def terminal(file: TextIO | None = None, width: int | None = None, height: int | None = None) -> TerminalOutput:
    """An output that shows the drawing in the terminal while it is drawn.

    ``file`` is standard output unless another text stream is given; ``width`` and ``height`` count characters, 4 to
    1000, and follow the terminal's size where they are not given. ControlError: a size outside that range. OutputError:
    a file that is no text stream.
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


def _length(what: str, value: Any) -> int | None:
    low, high = _SIZES
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
        raise ControlError(f"terminal {what} {value!r:.60}: expected {low} to {high} characters; try {what}=80")
    return int(value)


def _text_stream(file: Any) -> TextIO | None:
    """``file``, where text can be written to it. OutputError: anything else, binary files too."""
    binary = isinstance(file, io.RawIOBase | io.BufferedIOBase)
    if file is not None and (binary or not (hasattr(file, "write") and hasattr(file, "flush"))):
        raise OutputError(f"terminal file {file!r:.60}: expected a text stream; try file=sys.stderr, or leave it out")
    stream: TextIO | None = file
    return stream
