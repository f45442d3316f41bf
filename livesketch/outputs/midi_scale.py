"""Notes of a scale over some octaves, and which of them is meant by a height on the stage."""

import bisect
import math
from collections.abc import Sequence
from typing import Any, Final

from ..errors import ControlError
from ..midi_ports.notes import note_number
from ..values import whole

SCALES: Final[dict[str, tuple[int, ...]]] = {
    "chromatic": tuple(range(12)),
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "locrian": (0, 1, 3, 5, 6, 8, 10),
    "pentatonic": (0, 2, 4, 7, 9),
    "minor pentatonic": (0, 3, 5, 7, 10),
    "blues": (0, 3, 5, 6, 7, 10),
    "whole tone": (0, 2, 4, 6, 8, 10),
    "hirajoshi": (0, 2, 3, 7, 8),
}
"""Semitones above the root, as music theory names them."""


class Scale:
    """The notes of a scale from ``root`` up over ``octaves``; the root again is the highest.

    A height is 0 at the bottom of the stage, where the root is, and 1 at its top.
    """

    def __init__(self, degrees: tuple[int, ...], root: int, octaves: int) -> None:
        top = min(127, root + 12 * octaves)
        self.root = root
        self.span = 12 * octaves
        self.degrees = degrees
        self.notes = tuple(note for note in range(root, top + 1) if (note - root) % 12 in degrees)

    def pitch(self, height: float) -> float:
        """The exact pitch, a MIDI note number with a fraction; not held to the scale, nor to the stage."""
        return self.root + self.span * height

    def note(self, height: float) -> int:
        """The nearest note of the scale, the lower one where two are as near; beyond the stage its first or last."""
        target = self.pitch(min(1.0, max(0.0, height)))
        at = bisect.bisect_left(self.notes, target)
        near = self.notes[max(0, at - 1) : at + 1]
        return min(near, key=lambda note: abs(note - target))

    def degree(self, number: int) -> int:
        """Its n-th note, beginning again after the last."""
        return self.notes[number % len(self.notes)]


def make_scale(scale: str | Sequence[int], root: int | str, octaves: int) -> Scale:
    """A scale by name or as semitones above the root; the root is a note number or a name such as ``"C3"``.

    Raises:
        ControlError: one of these cannot be read.
    """
    return Scale(_degrees(scale), note_number("root", root), whole("octaves", octaves, 1, 10))


def _degrees(scale: Any) -> tuple[int, ...]:
    if isinstance(scale, str):
        found = SCALES.get(" ".join(scale.casefold().replace("_", " ").split()))
        if found is None:
            raise ControlError(f"scale {scale!r:.40}: expected {', '.join(SCALES)}, or a list such as [0, 3, 7]")
        return found
    try:
        degrees = sorted({whole("scale", degree, 0, 11) for degree in scale})
    except (TypeError, ControlError):
        degrees = []
    if not degrees:
        raise ControlError(
            f"scale {scale!r:.60}: expected a name such as 'minor', or semitones from 0 to 11: [0, 3, 7]"
        )
    return tuple(degrees)


def unit(value: float) -> float:
    """Held between 0 and 1."""
    return min(1.0, max(0.0, value))


def seven_bits(value: float) -> int:
    """0 to 1 as 0 to 127."""
    return math.floor(127 * unit(value) + 0.5)
