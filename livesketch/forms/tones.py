"""The patterns of level (平) and oblique (仄) tones of regulated verse.

Four kinds of line, from Wang Li, 诗词格律 (1962), chapter 2; 中 is free:

====  ==============  ====================
kind  five            ends
====  ==============  ====================
a     中仄中平仄        oblique
A     中仄仄平平        level: rhymes
b     中平平仄仄        oblique; also 平平仄平仄 (特拗)
B     平平中仄平        level: rhymes; also 仄平平仄平 (孤平拗救)
====  ==============  ====================

First, third (and fifth) places are free where that makes neither a lone level tone (孤平) nor three level tones at
the end (三平尾). A line of seven has two places more in front, a free one and the opposite of the line's second
place. In a couplet the second line is the opposite kind (对), and the next couplet begins with the same second place
as the line before it (粘). Of real Tang poems that rhyme, 63 % of 五绝, 69 % of 五律, 87 % of 七绝 and 86 % of 七律
keep one of the four patterns.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import ControlError
from .constraint import keep
from .pingshui import EITHER, LEVEL, OBLIQUE

KINDS = {
    "a": ("中仄中平仄",),
    "A": ("中仄仄平平",),
    "b": ("中平平仄仄", "平平仄平仄"),
    "B": ("平平中仄平", "仄平平仄平"),
}
SIGNS = {"平": LEVEL, "仄": OBLIQUE, "中": EITHER}
_FOLLOWS = {"a": "B", "A": "B", "b": "A", "B": "A"}  # within a couplet
_BEGINS = {"B": "b", "A": "a"}  # the next couplet

_SHORT = {
    "pingqi": "平起",
    "zeqi": "仄起",
    "_buruyun": "不入韵",
    "_ruyun": "入韵",
    "首句": "",
    "韻": "韵",
    "绝句": "",
    "-": "_",
}

KEPT_ANSWERS = 4096

State = tuple[tuple[int, tuple[int, ...]], ...]
"""Per pattern: misfits in the lines before, and those of each alternative of the line that is being written."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """The tones of one poem: for each line its alternatives, as texts of 平, 仄 and 中."""

    name: str
    lines: tuple[tuple[str, ...], ...]


def patterns(lines: int, characters: int) -> tuple[Pattern, ...]:
    """The four patterns of ``lines`` (even) lines of five or seven characters."""
    found = []
    for first in "aAbB":
        kinds = [first]
        while len(kinds) < lines:
            kinds.append(_FOLLOWS[kinds[-1]] if len(kinds) % 2 else _BEGINS[kinds[-1]])
        written = tuple(tuple(_widened(line, characters) for line in KINDS[kind]) for kind in kinds)
        begins = "平起" if written[0][0][1] == "平" else "仄起"
        found.append(Pattern(f"{begins}首句{'入韵' if first in 'AB' else '不入韵'}", written))
    return tuple(found)


def _widened(line: str, characters: int) -> str:
    if characters == 5:
        return line
    return "中" + ("仄" if line[1] == "平" else "平") + line


def chosen(tones: bool | str, lines: int, characters: int) -> tuple[Pattern, ...]:
    """The patterns that ``tones`` asks for: all four (True), those of a name, or the one that is written out.

    Names: 平起 or 仄起, each with 入韵 or 不入韵 behind it (首句 may stand between), or one of these alone;
    ``pingqi_ruyun``, ``zeqi_buruyun`` and so on. Written out: one line after another, with 平, 仄 and 中, punctuation
    or spaces between them.

    Raises:
        ControlError: neither; or lines of other lengths than the form's.
    """
    if tones is True:
        return patterns(lines, characters)
    if not isinstance(tones, str):
        raise ControlError(f"tones {tones!r:.40}: {_expected(lines, characters)}")
    written = re.split(r"[\s,.;/|，。；、]+", tones.strip(" \n,.;/|，。；、"))
    if tones and set("".join(written)) <= SIGNS.keys():
        if [len(line) for line in written] != [characters] * lines:
            raise ControlError(
                f"tones {tones!r:.80} have lines of {', '.join(str(len(line)) for line in written)} places: expected "
                f"{lines} lines of {characters}"
            )
        return (Pattern(tones, tuple((line,) for line in written)),)
    name = tones.strip().casefold()
    for long, short in _SHORT.items():
        name = name.replace(long, short)
    found = tuple(pattern for pattern in patterns(lines, characters) if name and _named(name, pattern.name))
    if not found:
        raise ControlError(f"tones {tones!r:.40}: {_expected(lines, characters)}")
    return found


def _named(name: str, full: str) -> bool:
    begins, _, ends = full.partition("首句")
    return name in {begins, ends, begins + ends}


def _expected(lines: int, characters: int) -> str:
    names = ", ".join(pattern.name for pattern in patterns(lines, characters))
    return f"expected True, False, one of {names}, or {lines} lines of {characters} signs 平仄中 with commas between"


class ToneReader:
    """Which tones a place wants, after the tones so far.

    A pattern stays in play while no other has fewer misfits: what is written chooses, ties keep all, and a line that
    fits none (one that was given) leaves those that it fits best.
    """

    def __init__(self, chosen_patterns: Sequence[Pattern]) -> None:
        self._wants = [
            [[[SIGNS[sign] for sign in line] for line in alternatives] for alternatives in pattern.lines]
            for pattern in chosen_patterns
        ]
        self.start: State = tuple((0, (0,)) for _ in self._wants)
        self._steps: dict[tuple[State, int, int, int], State] = {}
        self._wanted: dict[tuple[State, int, int], int] = {}

    def step(self, state: State, line: int, place: int, tone: int) -> State:
        """The state after a character of ``tone`` at ``place`` of ``line``, both from 0."""
        key = (state, line, place, tone)
        found = self._steps.get(key)
        if found is None:
            found = tuple(
                (done, tuple([old + (not tone & want[place]) for old, want in zip(misfits, wants[line], strict=True)]))
                for (done, misfits), wants in zip(self._at(state, line, place), self._wants, strict=True)
            )
            keep(self._steps, key, found, KEPT_ANSWERS)
        return found

    def wanted(self, state: State, line: int, place: int) -> int:
        """The tones that the best patterns take at a place that is to be written, as bits."""
        key = (state, line, place)
        wanted = self._wanted.get(key, 0)
        if not wanted:
            here = self._at(state, line, place)
            least = min(done + min(misfits) for done, misfits in here)
            for (done, misfits), wants in zip(here, self._wants, strict=True):
                for count, want in zip(misfits, wants[line], strict=True):
                    if done + count == least:
                        wanted |= want[place]
            keep(self._wanted, key, wanted, KEPT_ANSWERS)
        return wanted

    def _at(self, state: State, line: int, place: int) -> State:
        """At the beginning of a line, the line before counts with its best alternative."""
        if place:
            return state
        return tuple(
            (done + min(misfits), (0,) * len(wants[line]))
            for (done, misfits), wants in zip(state, self._wants, strict=True)
        )
