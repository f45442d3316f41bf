"""A user's own function as a constraint."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ControlError
from .constraint import Bias, Constraint, checked_vocabulary, row_of

Answer = Any
"""What such a function may give: see :func:`callable_constraint`."""


def callable_constraint(fn: Callable[[str, tuple[str, ...]], Answer]) -> "Function":
    """``fn(text, symbols)`` as a rule: the text so far and the vocabulary (V texts; 0 is END, 1 the unknown symbol).

    It is asked before each token and gives one of:

    * None: anything may follow;
    * an iterable of symbols, such as ``{"a", "b", ""}``: these may follow, "" being END;
    * a bool array (V,): True where a symbol may follow;
    * a float array (V,) added to the logits: -inf forbids, below 0 is a penalty in nats, above 0 a bonus. Where there
      are bonuses the largest is subtracted everywhere, which changes no probability: a bonus is a penalty on all
      others.

    It must give the same for the same text. What it raises comes out of the stream's step, which then has not happened.

    Raises:
        ControlError: not a function. Later, at the step: an array of another shape or with NaN or +inf, an unknown
            symbol, something else, or an answer that forbids everything.
    """
    if not callable(fn):
        raise ControlError(f"constraint {fn!r:.60}: expected a function fn(text, symbols)")
    return Function(fn)


@dataclass(frozen=True, slots=True)
class Function:
    """The rule that :func:`callable_constraint` gives."""

    fn: Callable[[str, tuple[str, ...]], Answer]

    def says(self) -> str:
        """What it asks for, for messages."""
        return f"the function {getattr(self.fn, '__name__', type(self.fn).__name__)}"

    def bind(self, vocabulary: tuple[str, ...]) -> Constraint:
        """The function with the vocabulary that it is shown."""
        vocabulary = checked_vocabulary(vocabulary)
        indices: dict[str, int] = {}
        for index, text in enumerate(vocabulary):
            indices.setdefault(text, index)  # "" is END, the first
        return BoundFunction(self.fn, self.says(), vocabulary, indices)


@dataclass(frozen=True, slots=True)
class BoundFunction:
    """The same, bound."""

    fn: Callable[[str, tuple[str, ...]], Answer]
    words: str
    vocabulary: tuple[str, ...]
    indices: dict[str, int]

    def says(self) -> str:
        """What it asks for, for messages."""
        return self.words

    def bias(self, tokens: Sequence[int]) -> Bias | None:
        """The function's answer, checked.

        Raises:
            ControlError: see :func:`callable_constraint`.
        """
        answer = self.fn("".join([self.vocabulary[token] for token in tokens]), self.vocabulary)
        if answer is None:
            return None
        return self._of_array(answer) if isinstance(answer, np.ndarray) else self._of_symbols(answer)

    def _of_symbols(self, answer: object) -> Bias:
        if isinstance(answer, str | bytes) or not isinstance(answer, Iterable):
            raise ControlError(
                f"{self.words} gave {answer!r:.60}: expected None, a set of symbols such as {{'a', 'b'}}, or an array "
                f"of shape ({len(self.vocabulary)},)"
            )
        symbols = list(answer)
        unknown = [symbol for symbol in symbols if not isinstance(symbol, str) or symbol not in self.indices]
        if unknown:
            raise ControlError(
                f"{self.words} allowed {', '.join(f'{symbol!r:.20}' for symbol in unknown[:5])}, not in this "
                f"vocabulary of {len(self.vocabulary)} symbols; expected texts out of its second argument"
            )
        allowed = np.zeros(len(self.vocabulary), dtype=np.bool_)
        allowed[[self.indices[symbol] for symbol in symbols]] = True
        return Bias(row_of(allowed))

    def _of_array(self, answer: "np.ndarray[Any, Any]") -> Bias:
        if answer.shape != (len(self.vocabulary),) or answer.dtype.kind not in "bf":
            raise ControlError(
                f"{self.words} gave an array of {answer.dtype} of shape {answer.shape}: expected bool or float of "
                f"shape ({len(self.vocabulary)},)"
            )
        if answer.dtype.kind == "b":
            return Bias(row_of(answer))
        if np.isnan(answer).any() or np.isposinf(answer).any():
            raise ControlError(
                f"{self.words} gave an array with NaN or +inf: expected finite numbers, or -inf to forbid"
            )
        largest = max(float(answer.max()), 0.0)
        penalties = (answer - largest).astype(np.float32)
        hard = row_of(~np.isneginf(answer))
        return Bias(hard, np.where(np.isneginf(answer), np.float32(0), penalties))
