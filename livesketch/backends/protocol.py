"""What a backend does: one step of one model for N voices, from weights to sampled pen actions or tokens.

A backend knows arrays only: no events, no stage, no clock. It works in data units and makes its own randomness.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..models.checkpoint import Checkpoint, TextCheckpoint

ACTION: Final = np.dtype(
    [
        ("drawing", "i8"),
        ("step", "i8"),
        ("x", "f8"),  # data units from the start of the drawing
        ("y", "f8"),
        ("dx", "f8"),  # data units; 0 at END
        ("dy", "f8"),
        ("component", "i4"),  # which mixture component was chosen; -1 for a forced row
        ("pen", "i1"),  # 0 down, 1 up, 2 end: what the pen does after the move
        ("ink", "?"),
        ("last", "?"),
        ("ended", "?"),
    ]
)
"""One voice's pen action."""

VOICE: Final = np.dtype(
    [
        ("key_low", "u4"),
        ("key_high", "u4"),
        ("voice", "u4"),
        ("drawing", "i8"),
        ("step", "i8"),  # of the next action
        ("x", "f8"),
        ("y", "f8"),
        ("pen", "i1"),  # before the next move
        ("done", "?"),  # the drawing is over: the next step begins another
    ]
)
"""One voice's counters, pen and place."""

TOKEN: Final = np.dtype(
    [
        ("piece", "i8"),
        ("step", "i8"),
        ("token", "i4"),
        ("log_prob", "f8"),  # nats; -inf for a forced token that could not have been drawn
        ("entropy", "f8"),  # nats
        ("mass", "f8"),  # the share of probability that the bias left; 1 without one
        ("last", "?"),
        ("ended", "?"),
        ("softened", "?"),  # the soft bias was held above its limit
        ("given", "?"),  # not drawn: forced, or one of ``tokens`` of ``step``
    ]
)
"""One voice's token."""

WRITER: Final = np.dtype(
    [
        ("key_low", "u4"),
        ("key_high", "u4"),
        ("voice", "u4"),
        ("piece", "i8"),
        ("step", "i8"),  # of the next token
        ("token", "i8"),  # the last one, which is the next input
        ("done", "?"),  # the piece is over: the next step begins another
    ]
)
"""One voice's counters in a text model."""

Steer: TypeAlias = Callable[[NDArray[Any]], None]
"""Changes the head's outputs, shape (voices, 3 + 6M), or the logits (voices, V), in place before sampling."""


Mark: TypeAlias = bytes
"""One voice's counters, place and next input, as ``mark`` gives: what a step changes but for the recurrent state."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that steps change, for the voices it was taken of; immutable. Not what is set: condition and heat."""

    voices: NDArray[Any]
    """VOICE records, shape (n,)."""
    hidden: NDArray[Any]
    """h, shape (n, S), a hyper cell's smaller one behind, in the backend's precision; ``cell`` (n, S) and ``given``,
    the next input (n, 5), likewise."""
    cell: NDArray[Any]
    given: NDArray[Any]


class Batch(Protocol):
    """N voices of one model on one backend. Voice k is bit-equal to the same voice alone."""

    backend: str
    size: int
    actions: NDArray[Any]
    """What the last ``step`` gave, ACTION records (N,); a stream that goes back to an earlier one writes it there."""

    @property
    def steps(self) -> int:
        """How many times ``step`` came to its end. An interruption (Ctrl-C) leaves a step whole or not begun."""

    def seat(self, k: int, seed: int, voice: int, drawing: int = 0) -> None:
        """Puts voice k at the beginning of a drawing, with a 64-bit seed and the voice's number in the counter."""

    def condition(self, k: int, vector: NDArray[np.float64]) -> None:
        """Gives voice k its vector [z; label], shape (C,), from the very next step on.

        What a step needs of it is computed here, once. In the middle of a drawing the recurrent state stays as it is;
        the first state that the vector gives is that of the next drawing, and of ``restart``. At step 0, where nothing
        of the drawing has come yet, it is put in place at once.

        Raises:
            ControlError: another shape.
        """

    def heat(self, k: int, divisor: float, spread: float) -> None:
        """Temperature of voice k (``sampling.heat``); used from the next step on."""

    def restart(self, k: int) -> None:
        """Voice k goes back to step 0 of its present drawing."""

    def step(
        self,
        *,
        uniforms: NDArray[np.float64] | None = None,
        steer: Steer | None = None,
        density: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """One pen action for every voice, ACTION records (N,), valid until the next call.

        A voice whose drawing is over begins the next one first. ``uniforms`` (N, 4) replace the backend's own;
        ``steer`` may change the density; ``density`` (N, 3 + 6M), where given, receives it as sampled.
        """

    def force(
        self, k: int, rows: NDArray[np.float64], density: NDArray[Any] | None = None, *, end: bool = False
    ) -> NDArray[Any]:
        """Voice k takes these stroke-3 rows (n, 3), data units, as its own: teacher forcing. ACTION records (n,).

        ``density`` (n, 3 + 6M), or (n + 1, 3 + 6M) with ``end``, receives the density before each row and before what
        comes after the last; looking at the latter changes nothing else.
        """

    def follow(self, rows: NDArray[np.float64], density: NDArray[Any] | None = None) -> None:
        """Every voice takes these stroke-3 rows (n, 3), data units, as its own: ``force`` for all, the same bits.

        ``density`` (n, N, 3 + 6M), where given, receives each voice's density before each row. ``actions`` stay as they
        are; an interruption (Ctrl-C) leaves every voice as it was before.
        """

    def mark(self, k: int) -> Mark:
        """Where voice k is, cheaply; with a snapshot of before, ``redo`` brings it back."""

    def redo(self, k: int, marks: Sequence[Mark]) -> None:
        """Voice k goes through the steps again that led to these marks, from where it was before the first of them.

        Its state is then what it was at the last one, bit for bit, if its condition is what it was.
        """

    def rekey(self, k: int, seed: int, voice: int) -> None:
        """Voice k goes on from where it is with other chance: this seed and number."""

    def snapshot(self) -> Snapshot:
        """Takes everything, so that ``restore`` can put it back."""

    def restore(self, snapshot: Snapshot) -> None:
        """Puts back what ``snapshot`` took of a batch of the same model and backend.

        It has this batch's size, or its rows are those of some voices of another, picked and put together row by row.
        """


@dataclass(frozen=True, slots=True)
class TextSnapshot:
    """Everything that steps change in a text model; immutable. Not what is set: condition, settings, constraints."""

    writers: NDArray[Any]
    """WRITER records, shape (n,)."""
    state: tuple[NDArray[Any], ...]
    """What the model remembers, (n, ...) each, as the backend keeps it."""


class TextBatch(Protocol):
    """N voices of one text model on one backend. Voice k is bit-equal to the same voice alone."""

    backend: str
    size: int
    actions: NDArray[Any]
    """What the last ``step`` gave, TOKEN records (N,)."""
    writers: NDArray[Any]
    """The voices' counters, WRITER records (N,), to be read."""

    @property
    def steps(self) -> int:
        """As in ``Batch``."""

    def seat(self, k: int, seed: int, voice: int, piece: int = 0) -> None:
        """Puts voice k at the beginning of a piece, with a 64-bit seed and the voice's number in the counter."""

    def condition(self, k: int, vector: NDArray[np.float64]) -> None:
        """Gives voice k its label vector, shape (label_size,), from the very next step on; its state stays.

        Raises:
            ControlError: another shape.
        """

    def settle(
        self,
        k: int,
        divisor: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        unknown: bool = False,
    ) -> None:
        """How voice k draws its tokens from the next step on: ``token_sampling.TextSettings``.

        Raises:
            ControlError: a value out of its range, or with them the voice's bias forbids everything; nothing changed.
        """

    def constrain(
        self,
        k: int,
        bias: NDArray[np.float32] | None,
        soft: NDArray[np.float32] | None = None,
        rare: Sequence[int] = (),
        lost: float = 0.0,
    ) -> None:
        """Adds a bias (V,), nats, to the logits of voice k at every following step; -inf forbids; None takes it away.

        ``soft`` (V,), of numbers up to 0, is added too, as far as enough is left: where both together leave less than
        ``token_sampling.LEAST_MASS`` of the probability, it is held above ``token_sampling.SOFTENED``, and the record's
        ``softened`` says so. A few tokens, ``rare``, each once, lose ``lost`` nats more in it. A row that is read-only
        is taken to stay as it is.

        Raises:
            ControlError: another shape, a NaN or +inf, or it forbids every token; nothing changed.
        """

    def restart(self, k: int) -> None:
        """Voice k goes back to step 0 of its present piece."""

    def finish(self, k: int) -> None:
        """Voice k's piece is over where it has begun: its next step begins another."""

    def step(
        self,
        *,
        uniforms: NDArray[np.float64] | None = None,
        steer: Steer | None = None,
        density: NDArray[Any] | None = None,
        tokens: NDArray[np.int64] | None = None,
    ) -> NDArray[Any]:
        """One token for every voice, TOKEN records (N,), valid until the next call.

        A voice whose piece is over begins the next one first. ``uniforms`` (N,) replace the backend's own; ``steer``
        may change the logits; ``density`` (N, V), where given, receives them as sampled, without bias or temperature.
        ``tokens`` (N,), where given, says what each voice takes as its own, as ``force`` does, -1 where it draws.

        Raises:
            ControlError: ``tokens`` of another shape, or none of the vocabulary; nothing changed.
        """

    def force(
        self, k: int, tokens: NDArray[np.int64], density: NDArray[Any] | None = None, *, end: bool = False
    ) -> NDArray[Any]:
        """Voice k takes these tokens (n,) as its own. TOKEN records (n,), under its settings without its bias.

        ``density`` (n, V), or (n + 1, V) with ``end``, receives the logits before each token and before what comes
        after the last; looking at the latter changes nothing else.

        Raises:
            ControlError: no token of the vocabulary; nothing changed.
        """

    def mark(self, k: int) -> Mark:
        """Where voice k is, cheaply; with a snapshot of before, ``redo`` brings it back."""

    def redo(self, k: int, marks: Sequence[Mark]) -> None:
        """Voice k goes through the steps again that led to these marks, from where it was before the first of them.

        Its state is then what it was at the last one, bit for bit, if its condition is what it was.
        """

    def rekey(self, k: int, seed: int, voice: int) -> None:
        """Voice k goes on from where it is with other chance: this seed and number."""

    def snapshot(self) -> TextSnapshot:
        """Takes everything, so that ``restore`` can put it back."""

    def restore(self, snapshot: TextSnapshot) -> None:
        """Puts back what ``snapshot`` took of a batch of the same model, backend and size."""


class Backend(Protocol):
    """The arithmetic of one device."""

    name: str

    def open(self, checkpoint: Checkpoint, size: int) -> Batch:
        """N voices of a model, each seated at drawing 0 with seed 0 and voice number 0, temperature 1.

        Raises:
            BackendUnavailableError: it cannot run here, and why.
            UnsupportedModelError: it cannot run this model, and why.
        """

    def open_text(self, checkpoint: TextCheckpoint, size: int) -> TextBatch:
        """N voices of a text model, each seated at piece 0 with seed 0 and voice number 0, temperature 1, no label.

        Raises:
            BackendUnavailableError, UnsupportedModelError: as ``open``.
        """
