"""What both own backends share of text models: counters, settings, constraints, and going back."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import ControlError, UnsupportedModelError
from ..models.checkpoint import TextCheckpoint
from ..models.text_model import ARCHITECTURES, END
from ..token_sampling import TextSettings, check_bias, check_soft, soft_row
from .protocol import TOKEN, WRITER, Mark, TextSnapshot

SETTINGS: Final = np.dtype(
    [
        ("divisor", "f8"),
        ("top_k", "i8"),
        ("top_p", "f8"),
        ("min_p", "f8"),
        ("unknown", "?"),
        ("biased", "?"),
        ("soft", "?"),
        ("masked", "?"),  # the bias is one of ``text_masks``
        ("rare", "i8"),  # how many rare tokens it has
        ("lost", "f8"),
    ]
)
"""One voice's ``TextSettings``, whether it has a bias, and a soft one beside it, and what these are."""


def check_architecture(checkpoint: TextCheckpoint) -> None:
    """Refuses what this version does not know.

    Raises:
        UnsupportedModelError: another architecture.
    """
    if checkpoint.architecture not in ARCHITECTURES:
        raise UnsupportedModelError(
            f"model {checkpoint.name!r} is a {checkpoint.architecture}; expected one of "
            f"{', '.join(ARCHITECTURES)}; try a newer livesketch"
        )


class TextNumpyBatch:
    """``TextBatch`` but for the arithmetic: counters and controls of N voices in NumPy arrays."""

    state: tuple[NDArray[Any], ...]
    """What the model remembers, (N, ...) each."""
    rings: tuple[int, ...]
    """Of each state the axis that is a ring of ``window`` places, one a token; 0 where it is none."""

    def __init__(self, checkpoint: TextCheckpoint, size: int) -> None:
        self.size, self.tokens = size, len(checkpoint.vocabulary)
        self.label_size, self.window = checkpoint.label_size, checkpoint.window
        self.max_steps = checkpoint.max_steps
        self.writers = np.zeros(size, WRITER)
        self.settings = np.zeros(size, SETTINGS)
        self._unknown, self._biased = self.settings["unknown"], self.settings["biased"]  # the same memory
        self._soft = self.settings["soft"]
        self.bias = np.zeros((0, self.tokens), np.float32)  # rows for the voices with the first constraint
        self.soft = np.zeros((0, self.tokens), np.float32)  # likewise
        self.actions = np.zeros(size, TOKEN)
        self.count = np.zeros(1, np.int64)
        for k in range(size):
            self.settle(k)
            self.condition(k, np.zeros(self.label_size))
            self.seat(k, 0, 0)

    def seat(self, k: int, seed: int, voice: int, piece: int = 0) -> None:
        """``TextBatch.seat``."""
        self.writers[k] = (seed & 0xFFFFFFFF, seed >> 32, voice, piece, 0, END, False)
        self.restart(k)

    def condition(self, k: int, vector: NDArray[np.float64]) -> None:
        """``TextBatch.condition``."""
        if vector.shape != (self.label_size,):
            raise ControlError(
                f"a label vector of shape {vector.shape}; expected ({self.label_size},), as the model has"
            )
        self.label(k, vector)

    def label(self, k: int, vector: NDArray[np.float64]) -> None:
        """Keeps what a step needs of a label vector (label_size,)."""
        raise NotImplementedError

    def settle(
        self,
        k: int,
        divisor: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        unknown: bool = False,
    ) -> None:
        """``TextBatch.settle``."""
        new, own = TextSettings(divisor, top_k, top_p, min_p, unknown), self.settings[k]
        if own["biased"] and not own["masked"]:
            check_bias(self.bias[k], unknown=new.unknown)
        self.settings[k] = (new.divisor, new.top_k, new.top_p, new.min_p, new.unknown, *own.item()[5:])

    def constrain(
        self,
        k: int,
        bias: NDArray[np.float32] | None,
        soft: NDArray[np.float32] | None = None,
        rare: Sequence[int] = (),
        lost: float = 0.0,
    ) -> None:
        """``TextBatch.constrain``."""
        if bias is None:
            self._biased[k] = self._soft[k] = False
            return
        for row in (bias,) if soft is None else (bias, soft):
            self.check_shape(row)
        check_bias(bias, unknown=bool(self._unknown[k]))
        self.check_rare(rare, lost)
        soft = soft_row(soft, rare, lost, self.tokens)
        if soft is not None:
            check_soft(soft)
        if not len(self.bias):
            self.bias = np.zeros((self.size, self.tokens), np.float32)
        if soft is not None:
            if not len(self.soft):
                self.soft = np.zeros((self.size, self.tokens), np.float32)
            self.soft[k] = soft
        self.bias[k] = bias
        self._biased[k], self._soft[k] = True, soft is not None

    def check_shape(self, row: NDArray[np.float32]) -> None:
        """Refuses what is no row (V,).

        Raises:
            ControlError: as said.
        """
        if row.shape != (self.tokens,):
            raise ControlError(f"a bias of shape {row.shape}; expected ({self.tokens},): nats for every token")

    def check_rare(self, rare: Sequence[int], lost: float) -> None:
        """Refuses tokens that are not in the vocabulary, and what is no loss.

        Raises:
            ControlError: as said.
        """
        if rare and not (min(rare) >= 0 and max(rare) < self.tokens and lost >= 0):
            raise ControlError(
                f"rare tokens {rare!r:.60} that lose {lost!r}: expected tokens 0 to {self.tokens - 1}, and nats from 0"
            )

    def finish(self, k: int) -> None:
        """``TextBatch.finish``."""
        self.writers["done"][k] = self.writers["step"][k] > 0

    def restart(self, k: int) -> None:
        """``TextBatch.restart``."""
        writer = self.writers[k]
        writer["step"], writer["token"], writer["done"] = 0, END, False
        for values, ring in zip(self.state, self.rings, strict=True):
            if not ring:  # the places of a ring are counted by the step
                values[k] = 0

    @property
    def steps(self) -> int:
        """``TextBatch.steps``."""
        return int(self.count[0])

    @contextmanager
    def whole(self, some: slice = slice(None)) -> Iterator[None]:
        """Puts back what one step changes of some voices, where an interruption breaks the block off."""
        before = self.kept(some)
        try:
            yield
        except BaseException:
            self.put_back(some, before)
            raise

    def kept(self, some: slice) -> tuple[NDArray[Any], ...]:
        """What one step changes of some voices. A ring's place is not: what it holds, no step from here on looks at."""
        states = (values[some].copy() for values, ring in zip(self.state, self.rings, strict=True) if not ring)
        return self.writers[some].copy(), *states

    def put_back(self, some: slice, kept: tuple[NDArray[Any], ...]) -> None:
        """Undoes one step of some voices."""
        self.writers[some] = kept[0]
        states = (values for values, ring in zip(self.state, self.rings, strict=True) if not ring)
        for values, before in zip(states, kept[1:], strict=True):
            values[some] = before

    def mark(self, k: int) -> Mark:
        """``TextBatch.mark``."""
        return self.writers[k : k + 1].tobytes()

    def redo(self, k: int, marks: Sequence[Mark]) -> None:
        """``TextBatch.redo``."""
        for mark in marks:
            self.look(k)
            self.writers[k] = np.frombuffer(mark, WRITER, 1)[0]

    def look(self, k: int) -> None:
        """Runs the model of voice k on its next input."""
        raise NotImplementedError

    def rekey(self, k: int, seed: int, voice: int) -> None:
        """``TextBatch.rekey``."""
        own = self.writers[k]
        own["key_low"], own["key_high"], own["voice"] = seed & 0xFFFFFFFF, seed >> 32, voice

    def snapshot(self) -> TextSnapshot:
        """``TextBatch.snapshot``; of a ring only the places that some voice has filled."""
        used = min(int(self.writers["step"].max(initial=0)), self.window)
        parts = (values[_places(ring, used)].copy() for values, ring in zip(self.state, self.rings, strict=True))
        return TextSnapshot(self.writers.copy(), tuple(parts))

    def restore(self, snapshot: TextSnapshot) -> None:
        """``TextBatch.restore``."""
        self.writers[:] = snapshot.writers
        for values, ring, part in zip(self.state, self.rings, snapshot.state, strict=True):
            values[_places(ring, part.shape[ring])] = part

    def checked(self, tokens: NDArray[np.int64]) -> list[int]:
        """Tokens (n,) that are given.

        Raises:
            ControlError: one is not in the vocabulary.
        """
        given: list[int] = np.asarray(tokens).tolist()
        for token in given:
            if not isinstance(token, int) or not 0 <= token < self.tokens:
                raise ControlError(f"token {token!r:.60}: expected a whole number from 0 to {self.tokens - 1}")
        return given

    def checked_step(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """Tokens (N,) for a step, -1 where one is drawn.

        Raises:
            ControlError: another shape, or one is not in the vocabulary.
        """
        given = np.array(tokens, np.int64)  # a kernel takes it as it is: whole, and writable
        if given.shape != (self.size,):
            raise ControlError(f"tokens of shape {given.shape}; expected ({self.size},): one for each voice, or -1")
        self.checked(given[given != -1])
        return given


def _places(ring: int, used: int) -> tuple[slice, ...]:
    """The first places of a ring; all of what is none."""
    return (*(slice(None),) * ring, slice(used)) if ring else (slice(None),)
