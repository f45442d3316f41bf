"""Which letters may be used at all: ``without`` and ``only``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import ControlError
from ..token_sampling import END, UNK
from .constraint import Bias, Constraint, checked_vocabulary, row_of


def without(letters: str) -> "Letters":
    """No symbol that contains one of ``letters``, large or small: ``without("e")``. END stays free.

    Raises:
        ControlError: no letters.
    """
    return Letters(_checked("without", letters), allowed=False)


def only(letters: str) -> "Letters":
    """Only symbols whose every character is one of ``letters``, as written: ``only("abc ")``. END stays free.

    Raises:
        ControlError: no letters.
    """
    return Letters(_checked("only", letters), allowed=True)


def _checked(name: str, letters: object) -> str:
    if not isinstance(letters, str) or not letters:
        raise ControlError(f"{name}({letters!r:.60}): expected the letters as one text, such as {name}('e')")
    return letters


@dataclass(frozen=True, slots=True)
class Letters:
    """The rule that :func:`without` and :func:`only` give."""

    letters: str
    allowed: bool

    def says(self) -> str:
        """What it asks for, for messages."""
        return f"{'only' if self.allowed else 'without'} {self.letters!r:.40}"

    def bind(self, vocabulary: tuple[str, ...]) -> Constraint:
        """One row for every place.

        Raises:
            ControlError: it leaves nothing of this vocabulary but END.
        """
        vocabulary = checked_vocabulary(vocabulary)
        fits = self._only() if self.allowed else self._without()
        allowed = np.array([bool(text) and fits(text) for text in vocabulary])
        if not allowed.any():
            raise ControlError(f"{self.says()} leaves no symbol of this vocabulary of {len(vocabulary)} but END")
        allowed[END], allowed[UNK] = True, False
        return Everywhere(Bias(row_of(allowed)), self.says())

    def _only(self) -> Callable[[str], bool]:
        letters = set(self.letters)
        return letters.issuperset

    def _without(self) -> Callable[[str], bool]:
        letters = set(self.letters) | set(self.letters.casefold())
        return lambda text: letters.isdisjoint(text) and letters.isdisjoint(text.casefold())


@dataclass(frozen=True, slots=True)
class Everywhere:
    """One row for every place of a piece."""

    row: Bias
    words: str

    def says(self) -> str:
        """What it asks for, for messages."""
        return self.words

    def bias(self, tokens: Sequence[int]) -> Bias:  # noqa: ARG002 - it does not look at them
        """The row, whatever the tokens."""
        return self.row
