"""The small irregularities of a hand: smooth, bounded, and the same again for the same seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ..errors import ControlError
from ..sampling import uniforms
from ..values import real
from .glyphs import Points

USE_HAND: Final = 5
"""The ``use`` word of the random counter."""

MOST: Final = 0.3
"""Above that nothing can be read."""

_STROKES: Final = 256
"""Counter words a character takes: one for itself, the others for its strokes, over again where it has more."""


def checked_jitter(jitter: float) -> float:
    """A share of the cell.

    Raises:
        ControlError: no number from 0 to ``MOST``.
    """
    expected = f"a share of a character's cell, 0 (none) to {MOST}; try 0.02"
    value = real("jitter", jitter, expected)
    if not 0 <= value <= MOST:
        raise ControlError(f"jitter {jitter!r}: expected {expected}")
    return value


@dataclass(frozen=True, slots=True)
class Jitter:
    """How unsteady a hand is."""

    size: float
    """A share of a character's cell."""
    seed: int

    def shaken(self, strokes: Sequence[Points], voice: int, drawing: int, number: int) -> list[Points]:
        """A character's strokes, each (k, 2) in cells, moved a little; ``number`` counts the characters of a drawing.

        With u uniform in -1 ... 1 and j = ``size``, the whole character shifts by j u along both axes, turns by j u
        radians and grows by the factor 1 + j u, about the middle of its cell; then the beginning of each stroke shifts
        by j u / 2 along both axes and its end by others, what is between in proportion to the way along it. So a stroke
        stays as smooth as it is.
        """
        words = number * _STROKES + np.array([0, *(1 + np.arange(len(strokes)) % (_STROKES - 1))])
        chance = 2 * uniforms(self.seed, words, voice, drawing, USE_HAND) - 1
        across, down, turn, growth = (self.size * chance[0]).tolist()
        factor = (1 + growth) * np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        out = []
        for line, ends in zip(strokes, self.size / 2 * chance[1:], strict=True):
            way = np.concatenate([[0.0], np.hypot(*np.diff(line, axis=0).T).cumsum()])
            share = (way / way[-1] if way[-1] else way)[:, None]
            out.append((line - 0.5) @ factor + 0.5 + [across, down] + ends[:2] * (1 - share) + ends[2:] * share)
        return out
