"""Many drawings of one model: many voices draw them, and one that has ended a drawing takes up the next at once.

Drawing number i of seed s is what ``sketch(model, seed=s)`` draws as its i-th drawing, counted from 0: its chance has
the Philox key s and the counter (step, voice 0, drawing i, use). It begins in the model's own first state, so that
nothing but model, seed, number, temperature, label and latent decides it: not the other drawings, not how many voices
there are, not which process or which part of a range it belongs to.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import backends
from ..backends.protocol import ACTION, Snapshot
from ..controls import Controls
from ..errors import ControlError
from ..events import PenAction
from ..latents import Floats
from ..models.catalogue import open_model
from ..models.checkpoint import Checkpoint
from ..rows import Rows
from ..sampling import Convention, checked_seed
from ..values import whole
from .condition import Condition, Label, draws_z, given_z, label_mix, vectors_of
from .records import pen_action

NUMBERS: Final = 2**32
"""So many drawings has a seed: their number is a word of the random counter."""

_MEMORY: Final = 64 << 20
"""Bytes that the steps of unfinished drawings may take where nobody says how many voices there are."""

_VOICES: Final = 128
"""Voices where nobody says how many, and memory allows: of 1 to 1,024 the fastest, if by little, with 640 units."""

_FEW: Final = 8
"""A batch of so many voices is not made smaller: opening another costs more than it saves."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """What all the drawings have in common; it can be pickled."""

    checkpoint: Checkpoint
    name: str
    seed: int
    controls: Controls
    condition: Condition
    """Of one voice, which is every voice's."""
    backend: str
    """Its name, never ``auto``."""


class FinishedDrawing:
    """One drawing from beginning to end. What takes drawings, such as ``save_strokes``, takes it too."""

    __slots__ = ("_actions", "_subject", "number", "records")

    def __init__(self, number: int, records: NDArray[Any], subject: Subject) -> None:
        self.number = number
        """Which drawing of its seed, from 0."""
        self.records = records
        """What the backend gave, ``backends.protocol.ACTION`` records (steps,)."""
        self._subject = subject
        self._actions: tuple[PenAction, ...] | None = None

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        how = "" if self.ended else ", cut"
        return f"<drawing {self.number} of {self._subject.name!r}, {len(self)} actions{how}>"

    @property
    def ended(self) -> bool:
        """Whether the model ended it by itself; else it was cut at the model's maximum length."""
        return bool(self.records["ended"][-1])

    @property
    def stage_units(self) -> float:
        """Data units across the stage."""
        return self._subject.checkpoint.stage_units

    @property
    def actions(self) -> tuple[PenAction, ...]:
        """Its pen actions, the same that a stream of this seed gives; made when they are first asked for."""
        if self._actions is None:
            own = self._subject
            units, condition = own.checkpoint.stage_units, own.condition
            self._actions = tuple(pen_action(record, own.name, 0, units, condition) for record in self.records)
        return self._actions

    @property
    def rows(self) -> Rows:
        """Stroke-3 rows (n, 3), data units: ``strokes.rows_of`` without making actions; n is 0 where it has no move."""
        moves = self.records[self.records["pen"] != 2]
        out = np.stack([moves["dx"], moves["dy"], moves["pen"] == 1], -1).astype(np.float64)
        out[-1:, 2] = 1.0
        return out

    def _repr_svg_(self) -> str:
        from ..paper import drawing_svg  # noqa: PLC0415 - svgwrite only where a drawing is shown
        from ..strokes import to_polylines  # noqa: PLC0415 - likewise

        return drawing_svg(to_polylines(self.actions))


class _Voices:
    """A batch whose voices draw one number each, with what each has drawn of it so far."""

    def __init__(self, subject: Subject, size: int) -> None:
        self._subject = subject
        self._backend = backends.load(subject.backend)
        self._each = subject.condition.z is None and draws_z(subject.checkpoint)
        """Whether every drawing has a latent of its own."""
        self._vectors = np.repeat(self._vector(0)[None], size, axis=0)
        self._batch = self._open()
        self._ring = np.zeros((subject.checkpoint.max_steps, size), ACTION)
        """Steps by turn, modulo the longest drawing."""
        self._numbers = np.full(size, -1)
        """What each voice draws; -1: nothing."""
        self._begun = np.zeros(size, np.int64)
        self._turn = 0

    def _open(self) -> Any:
        heat = self._subject.controls.heat
        batch = self._backend.open(self._subject.checkpoint, len(self._vectors))
        for k, vector in enumerate(self._vectors):
            batch.heat(k, heat.divisor, heat.spread)
            batch.condition(k, vector)
        return batch

    def _vector(self, number: int) -> Floats:
        own = self._subject
        return np.asarray(vectors_of(own.checkpoint, own.condition, own.seed, [0], np.array([number]))[0])

    @property
    def idle(self) -> list[int]:
        """The voices that draw nothing."""
        found: list[int] = np.flatnonzero(self._numbers < 0).tolist()
        return found

    def give(self, k: int, number: int) -> None:
        """Voice k begins a drawing."""
        if self._each:
            self._vectors[k] = self._vector(number)
            self._batch.condition(k, self._vectors[k])
        self._batch.seat(k, self._subject.seed, 0, number)
        self._numbers[k], self._begun[k] = number, self._turn

    def step(self) -> list[tuple[int, FinishedDrawing]]:
        """One step of all voices; those that ended their drawing, with it, are idle then."""
        records = self._batch.step()
        longest = len(self._ring)
        self._ring[self._turn % longest] = records
        self._turn += 1
        out = []
        for k in np.flatnonzero(records["last"] & (self._numbers >= 0)).tolist():
            turns = np.arange(self._begun[k], self._turn) % longest
            out.append((k, FinishedDrawing(int(self._numbers[k]), self._ring[turns, k], self._subject)))
            self._numbers[k] = -1
        return out

    def shrink(self) -> None:
        """Idle voices go where they are half of many: they would be stepped with the others."""
        kept = np.flatnonzero(self._numbers >= 0)
        if not _FEW < len(self._numbers) >= 2 * len(kept) > 0:
            return
        all_of = self._batch.snapshot()
        parts = (all_of.voices, all_of.hidden, all_of.cell, all_of.given)
        self._vectors, self._ring = self._vectors[kept], np.ascontiguousarray(self._ring[:, kept])
        self._numbers, self._begun = self._numbers[kept], self._begun[kept]
        self._batch = self._open()
        self._batch.restore(Snapshot(*(part[kept] for part in parts)))


class Bulk(Iterator[FinishedDrawing]):
    """The drawings of some numbers, in their order, each as soon as it and those before it are finished.

    Memory is bounded: at any time there are at most as many unfinished drawings as voices, and those finished ones that
    wait for an earlier one, which together have at most so many steps as all voices can make while that one is drawn.
    Ctrl-C loses nothing: what was unfinished is begun again, and becomes the same.
    """

    __slots__ = ("_begun", "_done", "_given", "_numbers", "_size", "_voices", "subject")

    def __init__(self, subject: Subject, numbers: range | NDArray[np.int64], size: int) -> None:
        self.subject = subject
        self._numbers, self._size = numbers, size
        self._given = self._begun = 0
        """Of the numbers in their order, so many are handed out, and begun."""
        self._done: dict[int, FinishedDrawing] = {}
        self._voices: _Voices | None = None

    @property
    def name(self) -> str:
        """What is drawn."""
        return self.subject.name

    @property
    def seed(self) -> int:
        """The 64-bit seed that makes all this again."""
        return self.subject.seed

    @property
    def voices(self) -> int:
        """How many drawings are made at a time, at most."""
        return self._size

    def __repr__(self) -> str:
        return f"<Bulk {self._given} of {len(self._numbers)} drawings of {self.name!r} seed={self.seed}>"

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> FinishedDrawing:
        if self._given:
            self._done.pop(int(self._numbers[self._given - 1]), None)
        while self._given < len(self._numbers):
            found = self._done.get(int(self._numbers[self._given]))
            if found is not None:
                self._given += 1  # the last: what breaks this off before leaves it due
                return found
            try:
                self._advance()
            except BaseException:
                self._voices = None  # whatever they have drawn is drawn again
                raise
        self._voices = None
        self._done.clear()
        raise StopIteration

    def _advance(self) -> None:
        """One step of all voices."""
        voices = self._voices or self._seated()
        for k, drawing in voices.step():
            self._done[drawing.number] = drawing
            if self._begun < len(self._numbers):
                self._begun += 1  # first: a number that is begun and not done is begun again
                voices.give(k, int(self._numbers[self._begun - 1]))
        voices.shrink()
        self._voices = voices

    def _seated(self) -> _Voices:
        """All voices at the beginnings of the first drawings that are not done."""
        begun = (int(number) for number in self._numbers[self._given : self._begun])
        again = [number for number in begun if number not in self._done]
        voices = _Voices(self.subject, min(self._size, len(again) + len(self._numbers) - self._begun))
        for k in voices.idle:
            if not again:
                self._begun += 1
            voices.give(k, again.pop(0) if again else int(self._numbers[self._begun - 1]))
        return voices


def bulk(
    model: str | os.PathLike[str],
    n: int | range,
    *,
    seed: int | None = None,
    temperature: float = 0.65,
    convention: Convention = "js",
    label: Label | None = None,
    z: ArrayLike | None = None,
    backend: str = "auto",
    voices: int | None = None,
) -> Bulk:
    """Many drawings, as fast as many voices make them: an iterator that gives them finished, in order.

    >>> import livesketch as ls
    >>> some = ls.bulk("cat", range(1000, 1003), seed=7)
    >>> [(drawing.number, drawing.rows.shape[1]) for drawing in some]
    [(1000, 3), (1001, 3), (1002, 3)]

    Args:
        model: as for ``sketch``.
        n: how many, or a range of their numbers, as ``range(1000, 2000)``: number i is what ``sketch`` draws as its
            i-th drawing with that seed, however the numbers are split over voices, calls and machines.
        seed: 0 … 2^64 - 1; None takes a fresh one, readable as ``.seed``.
        temperature: 0 (greedy) and up.
        convention: what temperature means: ``js``, ``paper`` or ``magenta``.
        label: another label, or mix of labels, than the model's name says; as ``SketchStream.label``.
        z: the latent of all drawings, (z_size,); None: the model's own way, as ``SketchStream.z``.
        backend: ``auto``, ``cpu``, ``reference`` or ``cuda``; a named one is used or refused.
        voices: how many drawings are made at a time; None chooses.

    Raises:
        ControlError: a number out of range; else as ``sketch``.
    """
    if isinstance(n, range) and not (n.step == 1 and 0 <= n.start < n.stop <= NUMBERS):
        raise ControlError(f"drawings {n!r:.60}: expected a range with at least one number, from 0 up to {NUMBERS}")
    numbers = n if isinstance(n, range) else range(whole("drawings", n, 1, NUMBERS))
    subject = subject_of(model, seed, temperature, convention, label, z, backend)
    return Bulk(subject, numbers, voices_for(subject.checkpoint, voices))


def subject_of(
    model: str | os.PathLike[str],
    seed: int | None,
    temperature: float,
    convention: Convention,
    label: Label | None = None,
    z: ArrayLike | None = None,
    backend: str = "auto",
) -> Subject:
    """What ``bulk`` is asked for, checked. Raises as ``sketch`` does."""
    controls, checked = Controls(temperature, convention), checked_seed(seed)
    checkpoint, own = open_model(model)
    asked = own if label is None else label
    mix = () if asked is None else label_mix(checkpoint, asked)
    return Subject(
        checkpoint=checkpoint,
        name=own or checkpoint.name,
        seed=checked,
        controls=controls,
        condition=Condition((mix,), given_z(checkpoint, z, 1, each=False)),
        backend=backends.load(backend).name,
    )


def voices_for(checkpoint: Checkpoint, asked: int | None) -> int:
    """How many drawings are made at a time: those asked for, or so many that a batch is worth it and memory small.

    Raises:
        ControlError: not a whole number from 1 to 2^20.
    """
    if asked is not None:
        return whole("voices", asked, 1, 2**20)
    return max(1, min(_VOICES, _MEMORY // (checkpoint.max_steps * ACTION.itemsize)))
