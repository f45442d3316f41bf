"""A Chinese verse form bound to a vocabulary: which row a place gets.

Rows are computed once for each kind of place; per step a state moves on by one token, a row is looked up, and the
characters that the poem has already are made less likely in a copy.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ControlError
from ..token_sampling import END, UNK
from .classical import COMMA, STOP, Form
from .constraint import Bias, Row, Walk, checked_vocabulary, keep, row_of
from .pingshui import EITHER, LEVEL, OBLIQUE, is_ideograph, pingshui
from .tones import State as Tones
from .tones import ToneReader

KEPT_ROWS: Final = 256
"""Rows that are kept for different sets of rhyme groups."""


class Written(NamedTuple):
    """What the poem so far means for what follows."""

    groups: int
    """Rhyme groups that are still possible, as bits."""
    ends: tuple[int, ...]
    """Tokens that no rhyme word may repeat: the first line's last character and the rhyme words."""
    tones: Tones
    before: tuple[int, ...]
    """The characters before the last one, each once."""
    last: int
    """The last character, marks not counted; -1 where there is none."""


class Verse:
    """A :class:`~livesketch.forms.classical.Form` as a constraint."""

    def __init__(self, form: Form, vocabulary: tuple[str, ...]) -> None:
        """Raises ControlError where the vocabulary cannot hold a poem of this form."""
        self._form = form
        self._vocabulary = checked_vocabulary(vocabulary)
        indices = {text: index for index, text in enumerate(self._vocabulary) if text}
        lacking = [mark for mark in (COMMA, STOP) if mark not in indices]
        self._inside = np.array([is_ideograph(text) for text in self._vocabulary])
        if lacking or self._inside.sum() < form.lines * form.characters:
            raise ControlError(
                f"{form.says()} needs a vocabulary of Chinese characters with ， and 。: this one has "
                f"{int(self._inside.sum())} characters, and lacks {' and '.join(lacking) or 'no mark'}"
            )
        self._marks = [indices[form.mark(line)] for line in range(form.lines)]
        self._ends = {index: Bias(self._only(index)) for index in {END, *self._marks}}
        self._free = row_of(self._inside)
        self._tones = ToneReader(form.tones)
        self._rhymes = np.zeros(len(self._vocabulary), dtype=np.int64)
        self._tone = np.full(len(self._vocabulary), EITHER, dtype=np.uint8)
        self._first_groups = 0
        if form.rhyme or form.tones:
            self._read_tables()
        self._codes = bytes(self._tone)
        self._rhyme_rows: dict[int, Row] = {}
        self._tone_rows = {bits: row_of((self._tone & bits) > 0) for bits in (LEVEL, OBLIQUE, EITHER)}
        self._first_end_rows: dict[int, Row] = {}
        self._walk = Walk(Written(self._first_groups, (), self._tones.start, (), -1), self._step)

    def says(self) -> str:
        """What it asks for, for messages."""
        return self._form.says()

    def bias(self, tokens: Sequence[int]) -> Bias:
        """The rows of the place after ``tokens``.

        Raises:
            ControlError: the tokens are no beginning of such a poem (the message says where), or END is among them.
        """
        written = self._walk.at(tokens)
        form = self._form
        line, within = divmod(len(tokens), form.width)
        if line == form.lines:
            return self._ends[END]
        if within == form.characters:
            return self._ends[self._marks[line]]
        hard = self._rhyme_row(written) if form.rhymes_at(len(tokens)) else self._free
        soft = self._tone_row(written, line, within) if form.tones else None
        rare = self._repeated(written, within) if form.repeat and written.last >= 0 else ()
        return Bias(hard, soft, rare, form.repeat) if soft is not None or rare else Bias(hard)

    def _repeated(self, written: Written, within: int) -> tuple[int, ...]:
        """The characters that lose by repetition: all so far, but the last one may be doubled within its line, once."""
        last, before = written.last, written.before
        return before if within or last in before else (*before, last)

    def _step(self, written: Written, tokens: Sequence[int], place: int) -> Written:
        """The state after one more token, which is checked to fit."""
        form, token = self._form, tokens[place]
        line, within = divmod(place, form.width)
        if line >= form.lines or within == form.characters:
            if line >= form.lines or token != self._marks[line]:
                raise self._wrong(tokens[: place + 1])
            return written
        if token != UNK and not self._inside[token]:
            raise self._wrong(tokens[: place + 1])
        groups, ends = written.groups, written.ends
        tones = self._tones.step(written.tones, line, within, self._codes[token]) if form.tones else written.tones
        if form.rhymes_at(place):
            groups = self._narrowed(written, token, line) if token not in ends else 0
            if not groups:
                raise self._wrong(tokens[: place + 1])
            ends = (*ends, token)
        elif form.rhyme and line == 0 and within == form.characters - 1:
            ends = (token,)
            groups = self._from_first_line(token, tones)
        before, last = written.before, written.last
        before = before if last < 0 or last in before else (*before, last)
        return Written(groups, ends, tones, before, token)

    def _narrowed(self, written: Written, token: int, line: int) -> int:
        """The groups that are possible after a rhyme word."""
        mine = int(self._rhymes[token])
        found = written.groups & mine
        # A second line that was given need not keep to what the first line's end proposed.
        return found if found or line > 1 else self._first_groups & mine

    def _from_first_line(self, token: int, tones: Tones) -> int:
        """The groups after the first line: its own, where its pattern has it rhyme."""
        form = self._form
        if not form.tones or not self._codes[token] & LEVEL:
            return self._first_groups
        misfits = [done + min(here) for done, here in tones]
        best = [pattern for pattern, count in zip(form.tones, misfits, strict=True) if count == min(misfits)]
        if not all(line[-1] == "平" for pattern in best for line in pattern.lines[0]):
            return self._first_groups
        return self._first_groups & int(self._rhymes[token]) or self._first_groups

    def _rhyme_row(self, written: Written) -> Row:
        """(V,) characters of the possible groups that end no line yet."""
        found = self._rhyme_rows.get(written.groups)
        if found is None:
            found = keep(self._rhyme_rows, written.groups, row_of((self._rhymes & written.groups) != 0), KEPT_ROWS)
        row = found.copy()
        row[list(written.ends)] = -np.inf
        return row

    def _tone_row(self, written: Written, line: int, within: int) -> Row:
        """(V,) characters of the wanted tone; at the end of the first line those of level tone must rhyme too."""
        form = self._form
        bits = self._tones.wanted(written.tones, line, within)
        if not form.rhyme or line or within < form.characters - 1 or not bits & LEVEL:
            return self._tone_rows[bits]
        found = self._first_end_rows.get(bits)
        if found is None:
            rhyming = (self._rhymes & self._first_groups) != 0
            oblique = (self._tone & bits & OBLIQUE) > 0
            found = self._first_end_rows[bits] = row_of(rhyming | oblique)
        return found

    def _read_tables(self) -> None:
        """Readings of the vocabulary, and the rhyme groups with enough characters in it."""
        form, table = self._form, pingshui()
        for index in np.flatnonzero(self._inside).tolist():
            self._rhymes[index] = table.rhymes_of(self._vocabulary[index])
            self._tone[index] = table.tone_of(self._vocabulary[index])
        if not form.rhyme:
            return
        needed = form.lines // 2 + 1  # the first line may rhyme too, and no word comes twice
        asked = 1 << table.group(form.group) if form.group else (1 << len(table.groups)) - 1
        for number in range(len(table.groups)):
            bit = 1 << number
            if asked & bit and int(((self._rhymes & bit) != 0).sum()) >= needed:
                self._first_groups |= bit
        if not self._first_groups:
            raise ControlError(
                f"{form.says()} needs a rhyme group with at least {needed} characters in this vocabulary of "
                f"{len(self._vocabulary)}; " + (f"{form.group} has fewer" if form.group else "none has as many")
            )

    def _wrong(self, tokens: Sequence[int]) -> ControlError:
        """Why the tokens are no beginning of such a poem."""
        symbols = [self._vocabulary[token] for token in tokens]
        if END in tokens:
            return ControlError(
                f"{self.says()}: END after {tokens.index(END)} symbols, expected after {self._form.length}"
            )
        try:
            self._form.check_given(symbols)
        except ControlError as error:
            return error
        return ControlError(
            f"{self.says()}: the rhyme word {symbols[-1]!r} is of no group with enough characters in this vocabulary"
        )

    def _only(self, index: int) -> Row:
        allowed: NDArray[np.bool_] = np.zeros(len(self._vocabulary), dtype=np.bool_)
        allowed[index] = True
        return row_of(allowed)
