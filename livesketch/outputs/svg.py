"""What is drawn as an SVG file on a page of real size, for plotters and for looking at."""

import errno
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ControlError, OutputError
from ..events import Asked, Cue, Event, PenAction, Token
from ..files import permissions, replacing
from ..paper import Page, Sketch, check_color, make_page, page_svg
from ..strokes import PolylineBuilder
from .base import Stage
from .pacing import due
from .places import Progress, drawable

_SAVE_EVERY = 2.0  # seconds on the player's clock between two saves, both at ends of drawings
_SAVE_SHARE = 0.05  # at most this part of the time is spent saving
_LONGEST_SAVE = 0.1  # seconds; once a save while playing took longer, the page waits for close: the clock must not


class _Voice(Progress):
    """One voice's layer, and the drawing it is at."""

    def __init__(self, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.builder = PolylineBuilder()
        self.play: _Play | None = None
        self.stage: dict[str, str] = {}
        self.asked: dict[str, str] = {}


@dataclass(slots=True)
class _Play:
    """What the metadata say about a play: enough to draw it again."""

    stage: dict[str, str]
    asked: dict[str, str] = field(default_factory=dict)
    """What the stream was asked for beyond its name."""
    first: dict[int, int] = field(default_factory=dict)
    """Of each voice the number of the first drawing seen."""

    def about(self) -> dict[str, str]:
        said, voices = self.stage | self.asked, sorted(self.first)
        if not voices:
            return said
        run = len(voices) > 1 and voices == list(range(voices[0], voices[-1] + 1))
        drawings = [self.first[voice] for voice in voices]
        return said | {
            "voice": f"{voices[0]}-{voices[-1]}" if run else " ".join(map(str, voices)),
            "drawing": " ".join(map(str, drawings if len(set(drawings)) > 1 else drawings[:1])),
        }


class SvgOutput:
    """Collects drawings and writes them as one page, whole or not at all.

    The file is written by ``close``, and for safety also where a drawing ends, at most every 2 seconds and for at most
    a twentieth of the time (not to a pipe or device, which gets the whole page once). A page so full that saving it
    took 0.1 s, some minutes of drawing, is saved by ``close`` only, so that the clock does not stop for it. Opened
    again it goes on: later drawings join the earlier ones on the page. The bytes depend on the drawings, the page, and
    each play's model, seed, first temperature, voices and first drawing numbers; on nothing else.

    The metadata hold those for each play: ``voice`` is one number, a list (``0 2``) or a range (``0-3``); ``drawing``
    the number of the first drawing, or a list of one for each voice where they differ. ``label`` and ``z`` are there
    where the stream was asked for them when a drawing began; a change is another play.

    ``errors`` counts what was left out, points that are no places on any paper and tokens, and saves that failed during
    the performance; ``last_error`` says why in words. A failing save in ``close`` raises OutputError, and ``close`` can
    be tried again.
    """

    paces = False
    may_drop = False

    def __init__(self, path: str | Path, page: Page, colors: Sequence[str]) -> None:
        self.path = Path(path)
        self.page = page
        self.colors = tuple(colors)
        self.errors = 0
        self.last_error = ""
        self._standard = isinstance(path, str) and path == "-"
        self._replaces = not self._standard and _check_writable(path)
        self._voices: dict[tuple[str, int], _Voice] = {}
        self._drawings: list[tuple[int, PolylineBuilder]] = []
        self._plays: list[_Play] = []
        self._playing: dict[str, dict[str, str]] = {}
        self._changed = False
        self._ended = False
        self._saved: float | None = None
        self._rests_until = 0.0

    def __repr__(self) -> str:
        trouble = f", {self.errors} errors, last: {self.last_error}" if self.errors else ""
        return f"<svg {os.fspath(self.path)!r}: {len(self._drawings)} drawings{trouble}>"

    def open(self, name: str, voices: int, stage: Stage) -> None:  # noqa: ARG002 - layers come with what is drawn
        """Notes the model and the seed for the metadata."""
        play = facts_of(stage)
        if all(known.stage != play for known in self._plays):
            self._plays.append(_Play(play))
        self._playing[name] = play
        self._changed = True

    def send(self, event: Event) -> None:
        """Draws pen actions; notes where a drawing ends."""
        try:
            if isinstance(event, PenAction):
                self._draw(event)
            elif isinstance(event, Cue) and event.kind == "drawing/end":
                self._end(event)
            elif isinstance(event, Token):
                self._count("Token left out: a page takes pen actions, which ls.handwrite makes of a text")
        except (TypeError, ValueError, OverflowError) as error:
            self._count(f"{type(event).__name__} left out: {error}")

    def tick(self, now: float) -> None:
        """Saves after the end of a drawing, if the last save is long enough ago; ``now`` in seconds."""
        if not (self._ended and self._changed and self._replaces):
            return
        if due(self._saved, now, _SAVE_EVERY) and time.perf_counter() >= self._rests_until:
            begun = time.perf_counter()
            try:
                self._save()
            except OutputError as error:
                self._count(str(error))
            took = time.perf_counter() - begun  # real time: an offline clock runs ahead of it
            self._rests_until = math.inf if took > _LONGEST_SAVE else begun + took + took / _SAVE_SHARE
            self._saved, self._ended = now, False

    def lift(self) -> None:
        """Nothing: on paper a line that goes on is one line."""

    def close(self) -> None:
        """Writes the file, unless it holds everything already. OutputError: it cannot be written."""
        if self._changed:
            self._save()

    def _draw(self, action: PenAction) -> None:
        key = (action.name, int(action.voice))
        voice = self._voices.get(key)
        if voice is None:
            voice = self._voices[key] = _Voice(len(self._voices))
        begins = voice.begins(action)
        if begins:
            voice.builder = PolylineBuilder()
            self._drawings.append((voice.layer, voice.builder))
            voice.asked = {} if action.asked is None else written(action.asked)
        stage = self._playing.get(action.name)
        if stage is not None and (begins or stage != voice.stage):
            voice.stage = stage
            self._note(voice, stage, action)
        if action.last:
            self._end(action)
        voice.builder.add(drawable(action))
        self._changed = True

    def _note(self, voice: _Voice, stage: dict[str, str], action: PenAction) -> None:
        """The play that a drawing belongs to: the voice's own as long as it is asked for the same, else another."""
        play, number = voice.play, int(action.voice)
        if play is not None and (play.stage, play.asked) == (stage, voice.asked):
            return
        for play in self._plays:
            fits = not play.first or (play.asked == voice.asked and number not in play.first)
            if play.stage == stage and fits:
                break
        else:
            play = _Play(stage)
            self._plays.append(play)
        play.asked, voice.play = voice.asked, play
        play.first[number] = int(action.drawing)

    def _end(self, event: PenAction | Cue) -> None:
        self._ended = True
        voice = self._voices.get((event.name, int(event.voice)))
        if voice is not None:
            voice.over = True

    def _save(self) -> None:
        sketches = [Sketch(builder.polylines, layer) for layer, builder in self._drawings]
        text = page_svg(sketches, self.page, colors=self.colors, about=[play.about() for play in self._plays])
        if self._standard:
            _print(text.encode())
        else:
            with replacing(self.path) as stream:
                stream.write(text.encode())
        self._changed = False

    def _count(self, reason: str) -> None:
        self.errors += 1
        self.last_error = reason


def svg(
    path: str | Path,
    page: str = "a4",
    landscape: bool = False,
    margin: str | float = "10mm",
    pen_width: str | float = "0.3mm",
    color: str | Sequence[str] = "black",
) -> SvgOutput:
    """An output that draws on a page in ``path``: ``ls.svg("cat.svg", page="a3", landscape=True)``.

    ``page`` is a name (a0 to a6, letter, legal) or a size such as ``"200x200mm"``; ``margin`` and ``pen_width`` are
    lengths such as ``"10mm"``, ``"0.5in"`` or a number of mm. ``color`` is a name or ``#rrggbb``, or several, one per
    voice. The path ``"-"`` is standard output. Several drawings share the page on a grid. ControlError: one of these
    cannot be read. OutputError: no file can be written there; that is found out now, before anything is drawn.
    """
    sheet = make_page(page, landscape=landscape, margin=margin, pen_width=pen_width)
    if not isinstance(path, str | os.PathLike):
        raise OutputError(f"svg path {path!r:.60}: expected the name of a file, or '-'; try 'cat.svg'")
    names: Any = [color] if isinstance(color, str) else color
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) for name in names):
        raise ControlError(f"color {color!r:.60}: expected a name, or a list of at least one; try color='black'")
    colors = [check_color(name) for name in names]
    return SvgOutput(path, sheet, colors)


def facts_of(stage: Stage) -> dict[str, str]:
    """What the metadata of a page say of a stage."""
    model = stage.model.replace("\\", "/").rpartition("/")[2]  # no path in the bytes
    play = {"model": model, "seed": str(stage.seed)}
    if stage.temperature is not None:
        play["temperature"] = repr(float(stage.temperature))
    if stage.convention is not None:
        play["convention"] = stage.convention
    return play


def written(asked: Asked) -> dict[str, str]:
    """As attributes: a label as it is, shares and numbers as JSON, which Python reads too."""
    return {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        for key, value in asked.values().items()
    }


def _print(page: bytes) -> None:
    """The page to standard output. OutputError: there is none, or it is closed."""
    try:
        stream = sys.stdout.buffer
        sys.stdout.flush()
        stream.write(page)
        stream.flush()
    except (AttributeError, OSError, ValueError) as error:
        raise OutputError(f"standard output: cannot be written ({error}); give the name of a file") from error


def _check_writable(path: str | os.PathLike[str]) -> bool:
    """Whether the file can be replaced as a whole, which a pipe or device cannot; leaves no trace.

    OutputError: no file can be written at ``path``.
    """
    try:
        target = Path(os.path.realpath(path))
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        if permissions(Path(path)) is None:
            return False
        with tempfile.TemporaryFile(dir=target.parent):
            return True  # only trying tells: permissions do not bind root, and a file system may be read-only
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{path}: no file can be written there ({getattr(error, 'strerror', None) or error}); "
            "give a file in a folder that exists and can be written"
        ) from error
