"""What a form is to a text stream: rows added to the logits of the next token.

A **rule** is what a person writes (``form("五绝")``, ``without("e")``, ``all_of(...)``): no vocabulary, no state.
Bound to a vocabulary it is a **constraint**, which a stream asks before each token: given the ids of the piece so
far, what may come next? The answer, a :class:`Bias`, depends on those ids alone, so that forking, rewinding and
replaying need nothing of it.

Vocabularies are tuples of texts (V entries): index 0 is END (text ""), what ends a piece; index 1 is UNK (text ""),
which stands for symbols that the vocabulary lacks. END is constrained like any symbol. UNK never counts as a way on.
"""

import math
from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import ControlError
from ..token_sampling import END, LEAST_MASS, SOFTENED, UNK, soft_row

__all__ = ["LEAST_MASS", "SOFTENED", "Bias", "Constraint", "Rule", "Walk", "as_rule", "bias_of", "row_of"]

State = TypeVar("State")
Key = TypeVar("Key")

Row = NDArray[np.float32]
"""(V,) added to logits: 0 = free, negative = penalty in nats, -inf = forbidden."""

KEPT: Final = 64
"""States that a :class:`Walk` keeps at first."""
KEPT_BYTES: Final = 2**25
"""Bytes that its states take at most, about: those of some 30,000 poems, or of a few texts of a million tokens."""
_STATE_BYTES: Final = 1024
"""Bytes of a state, beside four for each token that led to it."""


@dataclass(frozen=True, slots=True, eq=False)
class Bias:
    """What a constraint adds to the logits of the next token. Nobody writes to its arrays once it is made."""

    hard: Row
    """(V,) 0 or -inf: what is forbidden whatever the model says."""
    common: Row | None = None
    """(V,) 0 or negative, -inf: forbidden unless too little mass (:data:`LEAST_MASS`) is left; None: nothing."""
    rare: tuple[int, ...] = ()
    """A few tokens, each once, that lose ``lost`` nats besides: so that rows of many places are one array."""
    lost: float = 0.0
    """0 or more."""

    @property
    def soft(self) -> Row | None:
        """(V,) ``common`` and ``rare`` together; None: nothing."""
        return soft_row(self.common, self.rare, self.lost, len(self.hard))

    def row(self) -> Row:
        """(V,) both together: what is added while enough mass is left."""
        soft = self.soft
        return self.hard if soft is None else self.hard + soft

    def softened(self) -> Row:
        """(V,) the hard row, and the soft one cut off at :data:`SOFTENED` nats: added where too little mass is left."""
        soft = self.soft
        return self.hard if soft is None else self.hard + np.maximum(soft, np.float32(SOFTENED))


class Constraint(Protocol):
    """A rule bound to one vocabulary. It belongs to one stream, or to several that one thread steps."""

    def bias(self, tokens: Sequence[int]) -> Bias | None:
        """What may follow ``tokens``, the ids of the piece so far, given ones included; None: anything.

        The same tokens get the same answer whatever was asked before.

        Raises:
            ControlError: the tokens themselves do not fit, or nothing may follow; the message says which and where.
        """

    def says(self) -> str:
        """What it asks for, in a few words, for messages."""


class Rule(Protocol):
    """What a person asks for, before a vocabulary is known."""

    def bind(self, vocabulary: tuple[str, ...]) -> Constraint:
        """The rule for one vocabulary.

        Raises:
            ControlError: this vocabulary cannot meet it; the message says what it lacks.
        """

    def says(self) -> str:
        """What it asks for, in a few words, for messages."""


def bias_of(constraint: Constraint, tokens: Sequence[int]) -> Bias | None:
    """What a stream asks before each token: the constraint's bias, checked to leave at least one symbol.

    Raises:
        ControlError: the tokens do not fit, or every symbol is forbidden; nothing was changed.
    """
    bias = constraint.bias(tokens)
    if bias is not None and not leaves_some(bias.hard):
        raise ControlError(
            f"{constraint.says()} forbids every symbol at place {len(tokens) + 1} of the piece; loosen it or take it "
            "away, the stream is as it was"
        )
    return bias


def leaves_some(hard: Row) -> bool:
    """Whether END or any known symbol is allowed by the row (V,)."""
    return bool(hard[END] > -math.inf or hard[UNK + 1 :].max(initial=-math.inf) > -math.inf)


def row_of(allowed: NDArray[np.bool_]) -> Row:
    """(V,) 0 where allowed, -inf elsewhere; read-only, so that it can be shared."""
    row = np.where(allowed, np.float32(0), np.float32(-np.inf)).astype(np.float32)
    row.setflags(write=False)
    return row


def checked_vocabulary(vocabulary: Sequence[str]) -> tuple[str, ...]:
    """The vocabulary as a tuple.

    Raises:
        ControlError: it does not begin with END and UNK, both of text "", or has nothing else.
    """
    if isinstance(vocabulary, str) or len(vocabulary) < 3 or any(vocabulary[:2]):
        raise ControlError(
            f"vocabulary {vocabulary[:4]!r:.60}: expected texts, the first two empty (END and UNK), and more"
        )
    return tuple(vocabulary)


def shown(tokens: Sequence[int], vocabulary: tuple[str, ...]) -> str:
    """The end of the text of the tokens, quoted, for messages."""
    text = "".join("?" if token == UNK else vocabulary[token] for token in tokens[-40:])
    return f"'{text}'" if len(text) <= 24 else f"'…{text[-24:]}'"


def keep(known: dict[Key, State], key: Key, found: State, most: int) -> State:
    """Remembers what was found, and gives it; the oldest of ``most`` makes room."""
    if len(known) >= most:
        del known[next(iter(known))]
    known[key] = found
    return found


class Walk(Generic[State]):
    """The state after a sequence of tokens, one step at a time where the sequence grew by one since.

    A state is a function of the tokens alone. The last few are kept so that a stream, its forks and its rewinds cost
    one step each; what is not kept is walked from the start. Where that happens one more is kept from then on, so that
    soon there are as many as there are voices in use.
    """

    def __init__(self, start: State, step: Callable[[State, Sequence[int], int], State]) -> None:
        """``step(state, tokens, place)`` is the state after the token at ``place``, from the one before it."""
        self._start, self._step = start, step
        self._known: OrderedDict[bytes, State] = OrderedDict()
        self._most, self._bytes = KEPT, 0

    def at(self, tokens: Sequence[int]) -> State:
        """The state after ``tokens``; what ``step`` raises is passed on and leaves nothing behind."""
        if not len(tokens):
            return self._start
        key = array("i", tokens).tobytes()
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
            return found
        last = len(tokens) - 1
        before = self._known.get(key[: last * 4]) if last else self._start
        state, begins = (self._start, 0) if before is None else (before, last)
        for place in range(begins, len(tokens)):
            state = self._step(state, tokens, place)
        self._most += begins < last
        return self._keep(key, state)

    def _keep(self, key: bytes, state: State) -> State:
        """Remembers a state, and gives it; those that were not asked for the longest make room."""
        self._known[key] = state
        self._bytes += len(key) + _STATE_BYTES
        while len(self._known) > self._most or (self._bytes > KEPT_BYTES and len(self._known) > 1):
            oldest, _ = self._known.popitem(last=False)
            self._bytes -= len(oldest) + _STATE_BYTES
        return state


def as_rule(thing: Any) -> Rule:
    """A rule as it is; a function as :func:`~livesketch.forms.callable_constraint` takes it.

    Raises:
        ControlError: neither.
    """
    if callable(getattr(thing, "bind", None)) and callable(getattr(thing, "says", None)):
        return thing  # type: ignore[no-any-return]
    if callable(thing):
        from .functions import callable_constraint  # noqa: PLC0415 - functions.py is built on this module

        return callable_constraint(thing)
    raise ControlError(
        f"constraint {thing!r:.60}: expected a rule of livesketch.forms, such as without('e'), or a function "
        "fn(text, symbols)"
    )
