"""What text models write, as lines for a terminal."""

import unicodedata
from collections import deque
from typing import Final

from ..events import Token
from .raster import printable

_LINE: Final = 1000
"""Characters that are kept of a line."""
_LINES: Final = 100
"""Lines that are kept of a voice."""


class _Voice:
    """One voice's last lines."""

    def __init__(self) -> None:
        self.over: deque[str] = deque(maxlen=_LINES)
        self.open = ""


class Writing:
    """The lines of all voices. A piece ends a line, as a line break does."""

    def __init__(self) -> None:
        self._voices: dict[tuple[str, int], _Voice] = {}

    def add(self, token: Token, *, several: bool) -> str:
        """Takes a token; gives the lines that are complete with it, ``several``: with the names of their voices."""
        voice = self._voices.setdefault((token.name, token.voice), _Voice())
        begun = "\n" if token.step == 0 and voice.open else ""  # the piece before was left
        *lines, rest = (voice.open + begun + token.text.replace("\t", "    ")).split("\n")
        if token.last and rest:
            lines, rest = [*lines, rest], ""
        voice.over.extend(lines)
        voice.open = rest[-_LINE:]
        return "".join(_named(token.name, token.voice, line, several=several) for line in lines)

    def rest(self, *, several: bool) -> str:
        """What is not complete, which is forgotten."""
        begun = [(key, voice.open) for key, voice in self._voices.items() if voice.open]
        self._voices.clear()
        return "".join(_named(*key, line, several=several) for key, line in begun)

    def rows(self, width: int, height: int) -> list[str]:
        """``height`` rows of at most ``width`` columns: the end of what was written, each voice below the one before.

        Where there are more voices than rows, the first ones.
        """
        voices = list(self._voices.values())[:height]
        rows: list[str] = []
        for voice in voices:
            texts = [*voice.over, *([voice.open] if voice.open else [])]
            own = [row for text in texts[-height:] for row in wrapped(text, width)]
            rows += own[-(height // len(voices)) :]
        return rows + [""] * (height - len(rows))


def wrapped(text: str, width: int) -> list[str]:
    """A line in rows of at most ``width`` columns, in printable characters; at least one row."""
    rows, used = [""], 0
    for c in printable(text):
        columns = 2 if unicodedata.east_asian_width(c) in "WF" else 1
        if used + columns > width and rows[-1]:
            rows.append("")
            used = 0
        rows[-1] += c
        used += columns
    return rows


def _named(name: str, voice: int, line: str, *, several: bool) -> str:
    return printable(f"{name}/{voice}  {line}" if several else line) + "\n"
