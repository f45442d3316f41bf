"""Latin letters from the Hershey fonts: single lines, made for plotters.

A. V. Hershey, National Bureau of Standards, 1967; in the public domain. The data come from the package Hershey-Fonts
(extra ``handwriting``, MIT licence), which holds 32 fonts of ASCII characters.
"""

import difflib
from functools import lru_cache
from typing import Any, Final

import numpy as np

from ..errors import ControlError, DataError, MissingExtraError
from .glyphs import Glyph, Points, pen_curve

DEFAULT_FONT: Final = "futural"
"""Plain letters of one line each."""

EM: Final = 32.0
"""Font units in a cell's side: capitals are 21 high, lines are 28 to 33."""

CAP_LINE, CAP_HEIGHT = -12.0, 21.0
"""Where capitals begin and how high they are, font units, y down; all the fonts have these."""

_TOP: Final = 0.15
"""Where capitals begin in the cell: their baseline, at 0.81, is near the foot of Chinese characters beside them."""

_AIR: Final = 2.0
"""On both sides of a letter, font units, where the font does not say."""

_LARGEST: Final = 1000.0
"""Larger numbers are no places of a font, whose data are printable characters."""

SUBSTITUTES: Final = {
    "‘": "'", "’": "'", "‚": ",", "“": '"', "”": '"', "„": '"', "‹": "<", "›": ">", "‐": "-", "‑": "-", "‒": "-",
    "–": "-", "—": "-", "―": "-", "…": "...", "−": "-", "×": "x", "°": "\x7f",
}  # fmt: skip
"""Typographic characters that ASCII has a plain form of; 0x7f is the degree circle in these fonts."""


class Hershey:
    """One font."""

    attribution = "Hershey fonts (A. V. Hershey, National Bureau of Standards, 1967), public domain"

    def __init__(self, font: str = DEFAULT_FONT) -> None:
        self.font = font
        self._glyphs = _load(font)

    def __repr__(self) -> str:
        return f"hershey:{self.font}"

    def glyph(self, character: str) -> Glyph | None:
        """The character's strokes; None where the font lacks it.

        Raises:
            DataError: the installed package holds something else than points there.
        """
        letters = SUBSTITUTES.get(character, character)
        if any(letter not in self._glyphs for letter in letters):
            return None
        found = [self._glyphs[letter] for letter in letters]
        strokes, width = [], 0.0
        for letter in found:
            lines, left, wide = self._measured(character, letter)
            place = np.array([width - left / EM, _TOP - CAP_LINE / EM])
            strokes += [pen_curve(line / EM + place) for line in lines]
            width += wide / EM
        return Glyph(tuple(strokes), width, wide=False)

    def _measured(self, character: str, letter: Any) -> tuple[list[Points], float, float]:
        """A letter's lines, where its room begins and how wide it is, font units."""
        try:
            lines = [np.array(line, np.float64).reshape(-1, 2) for line in letter.strokes if len(line)]
            left, wide = float(letter.left_offset), float(letter.char_width)
        except (TypeError, ValueError) as err:
            raise DataError(f"{self!r}: {character!r} holds no points ({err}); install Hershey-Fonts anew") from err
        if lines and wide <= 0:  # four letters of two fonts say nothing about their room
            every = np.concatenate(lines)[:, 0]
            left, wide = float(every.min()) - _AIR, float(np.ptp(every)) + 2 * _AIR
        if not 0 <= wide <= _LARGEST or any((np.abs(line) > _LARGEST).any() for line in lines):
            raise DataError(f"{self!r}: {character!r} is too large; install Hershey-Fonts anew")
        return lines, left, wide


def fonts() -> list[str]:
    """The names of all fonts, sorted.

    Raises:
        MissingExtraError: Hershey-Fonts is not installed.
    """
    return sorted(_package().default_font_names)


@lru_cache(maxsize=8)
def _load(font: str) -> dict[str, Any]:
    package = _package()
    names = sorted(package.default_font_names)
    if font not in names:
        near = difflib.get_close_matches(font, names, 1)
        hint = f"; did you mean 'hershey:{near[0]}'?" if near else ""
        raise ControlError(f"strokes 'hershey:{font:.40}': expected one of the fonts {', '.join(names)}{hint}")
    package.load_default_font(font)
    return dict(package.all_glyphs)


def _package() -> Any:
    try:
        from HersheyFonts import HersheyFonts  # noqa: PLC0415 - an extra, and it takes 40 ms to load
    except ModuleNotFoundError as err:
        raise MissingExtraError(
            "strokes 'hershey' needs the package Hershey-Fonts; pip install \"livesketch[handwriting]\""
        ) from err
    return HersheyFonts()
