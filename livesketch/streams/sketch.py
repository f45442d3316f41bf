"""SketchStream: a Sketch-RNN decoder as an iterator of pen actions that never runs dry."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, TypeAlias

import numpy as np

from .. import sampling
from ..backends.protocol import Snapshot
from ..controls import Controls
from ..errors import ControlError, StrokesError
from ..events import Pen, PenAction, Source
from ..models.catalogue import open_model
from ..models.checkpoint import Checkpoint
from ..sampling import Convention
from ..strokes import to_rows
from ..values import whole
from .drawing import Drawing
from .model_stream import ModelStream

Units: TypeAlias = Literal["data", "stage"]
Strokes: TypeAlias = Any
"""Stroke-3 rows (n, 3), or a list of polylines, each (k, 2): arrays or nested lists of numbers, y down."""
PENS = (Pen.DOWN, Pen.UP, Pen.END)


@dataclass(frozen=True, slots=True)
class LogProb:
    """Teacher-forced nats per step: negative log density in model units, at temperature 1; lower is likelier."""

    unmasked: float
    """All n rows and one END, divided by n + 1."""
    masked: float
    """Without the END's pen term, divided by n."""
    steps: int
    """n, the rows."""


@dataclass(frozen=True, slots=True)
class StreamSnapshot:
    """Everything that decides what a stream draws next, but for its controls."""

    origin: tuple[object, ...]
    """Model, label, seed, voice and backend of the stream it was taken of: only there it can be put back."""
    batch: Snapshot
    trail: tuple[PenAction, ...]
    fed: tuple[PenAction, ...]
    """Rows that no player has sent yet."""


def data_rows(checkpoint: Checkpoint, strokes: Strokes, units: Units) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Stroke-3 rows (n, 3) in data units."""
    if units not in ("data", "stage"):
        raise ControlError(f"units {units!r}: expected 'data' (the training drawings' numbers) or 'stage' (0 … 1)")
    rows = to_rows(strokes)
    if units == "stage":
        rows = rows * np.array([checkpoint.stage_units, checkpoint.stage_units, 1.0])
    return rows


class SketchStream(ModelStream):
    """One voice of a Sketch-RNN decoder: each ``next()`` is one decoder step and gives one ``PenAction``.

    After END, or a cut at the model's maximum length, the next call begins the next drawing. Make one with
    ``livesketch.sketch``.

    >>> import livesketch as ls
    >>> cat = ls.sketch("cat", seed=7)
    >>> first = next(cat)
    >>> first.step, first.ink
    (0, True)
    """

    __slots__ = ("_fed", "_trail", "_voice")

    def __init__(
        self, checkpoint: Checkpoint, label: str | None, controls: Controls, seed: int, backend: str, voice: int
    ) -> None:
        self._voice = whole("voice", voice, 0, 2**32 - 1)
        super().__init__(checkpoint, label, controls, seed, backend, range(self._voice, self._voice + 1))
        self._trail: list[PenAction] = []
        self._fed: list[PenAction] = []

    def __repr__(self) -> str:
        return (
            f"<SketchStream {self.name!r} seed={self._seed} temperature={self.temperature:g} ({self.convention}) "
            f"voice={self._voice} on {self.backend}>"
        )

    @property
    def voice(self) -> int:
        """The voice's number in the random counter."""
        return self._voice

    def __iter__(self) -> Iterator[PenAction]:
        return self

    def __next__(self) -> PenAction:
        """One decoder step."""
        with self._lock:
            action = self._action(self._records()[0], "model")
            self._remember(action)
            self._fed.clear()
            self._taken = self._batch.steps  # the last: what breaks this off before leaves the action due
            return action

    def events(self) -> list[PenAction]:
        """What a player sends for one step: rows fed since the last step of this drawing, then one new action."""
        with self._lock:
            fed = self._fed.copy()
            return [*fed, next(self)]

    def _action(self, record: Any, source: Source) -> PenAction:
        drawing, step, x, y, dx, dy, _, pen, ink, last, ended = record.item()
        units = self._checkpoint.stage_units
        return PenAction(
            0.0, self.name, self._voice, drawing, step, 0.5 + x / units, 0.5 + y / units, dx, dy,
            ink, PENS[pen], last, ended, source,
        )  # fmt: skip

    def _remember(self, action: PenAction) -> None:
        if self._trail and (self._trail[-1].drawing, self._trail[-1].step) == (action.drawing, action.step):
            return  # Ctrl-C came after it was remembered and before it was handed out
        if not action.step:
            self._trail = []  # a new list: whoever holds the old one has the old drawing, whole
        self._trail.append(action)

    def take(self, n: int) -> list[PenAction]:
        """The next n actions."""
        return [next(self) for _ in range(whole("take", n, 0, 10**9))]

    def drawing(self) -> Drawing:
        """An iterator over the rest of this drawing, or over the next where this is over; Jupyter shows it."""
        return Drawing(self)

    @property
    def actions(self) -> list[PenAction]:
        """The present drawing's actions so far, drawn and fed; a new list for each drawing."""
        return self._trail

    def restart(self) -> Self:
        """Back to step 0 of the same drawing: the same seed draws it again."""
        with self._lock:
            self._batch.restart(0)
            self._begin_trail([])
        return self

    def snapshot(self) -> StreamSnapshot:
        """Takes everything that decides what comes next, but for the controls."""
        with self._lock:
            return StreamSnapshot(self._origin(), self._batch.snapshot(), tuple(self._trail), tuple(self._fed))

    def restore(self, snapshot: StreamSnapshot) -> Self:
        """Puts a snapshot back: what followed it then follows it again.

        Raises:
            ControlError: it was taken of a stream of another model, label, seed, voice or backend.
        """
        if not isinstance(snapshot, StreamSnapshot) or snapshot.origin != self._origin():
            taken = (
                f"{snapshot!r:.60}"
                if not isinstance(snapshot, StreamSnapshot)
                else f"a stream with {snapshot.origin[1:]}"
            )
            raise ControlError(f"a snapshot of {taken}; expected one of this stream, {self._origin()[1:]}")
        with self._lock:
            self._batch.restore(snapshot.batch)
            self._begin_trail([*snapshot.trail])
            self._fed = [*snapshot.fed]
        return self

    def _origin(self) -> tuple[object, ...]:
        return id(self._checkpoint), self.name, self._seed, self._voice, self.backend

    def _begin_trail(self, actions: list[PenAction]) -> None:
        self._trail, self._fed, self._taken = actions, [], self._batch.steps

    def feed(self, strokes: Strokes, *, units: Units = "data") -> list[PenAction]:
        """The human draws: the rows become the model's own past, and the next step goes on from there.

        Args:
            strokes: stroke-3 rows (n, 3) or a list of polylines [(k, 2), ...], y down. A polyline list starts where
                the pen is: its first point gives no row, unless the pen is up, when it gives a row of no length that
                sets it down.
            units: ``data`` (the numbers of the training drawings) or ``stage`` (1 = the stage's width).

        Returns:
            The rows as actions with ``source="human"``.

        Raises:
            StrokesError: nothing to feed, wrong shape, not finite, or longer than what is left of a drawing.
        """
        rows = data_rows(self._checkpoint, strokes, units)
        with self._lock:
            if self._batch.steps != self._taken:  # drawn, but Ctrl-C kept it from being delivered
                self._fed = [*self._fed, self._action(self._batch.actions[0], "model")]
                self._remember(self._fed[-1])
                self._taken = self._batch.steps
            before = self._trail[-1] if self._trail and not self._trail[-1].last else None
            begun = before.step + 1 if before else 0
            if before and before.pen is Pen.UP and np.ndim(strokes[0]) == 2:  # polylines
                rows = np.concatenate([np.zeros((1, 3)), rows])
            room = self._checkpoint.max_steps - begun - 1
            if len(rows) > room:
                raise StrokesError(
                    f"{len(rows)} rows: {self.name!r} draws at most {self._checkpoint.max_steps} steps and {begun} are "
                    f"drawn; expected at most {max(room, 0)}: simplify the strokes or begin a new drawing"
                )
            snapshot = self._batch.snapshot()
            try:
                actions = [self._action(record, "human") for record in self._batch.force(0, rows)]
            except BaseException:  # Ctrl-C: all of it is fed, or nothing
                self._batch.restore(snapshot)
                raise
            if begun:
                self._trail.extend(actions)
            else:
                self._trail = [*actions]
            self._fed = [*self._fed, *actions] if begun else [*actions]
            return actions

    def log_prob(self, strokes: Strokes, *, units: Units = "data") -> LogProb:
        """How likely the model finds these strokes as a whole drawing; the stream itself does not move."""
        rows = data_rows(self._checkpoint, strokes, units)
        unbounded = replace(self._checkpoint, max_steps=len(rows) + 2)
        batch = self._open(unbounded, range(self._voice, self._voice + 1))
        density = np.empty((len(rows) + 1, 3 + 6 * self._checkpoint.mixtures))
        batch.force(0, rows, density, end=True)
        dx, dy = rows[:, :2].T / self._checkpoint.scale_factor
        offset, pen = sampling.nats(density[:-1], dx, dy, rows[:, 2])
        end = sampling.nats(density[-1], 0.0, 0.0, 2)[1]
        drawn = float(offset.sum() + pen.sum())
        return LogProb((drawn + float(end)) / (len(rows) + 1), drawn / len(rows), len(rows))


def sketch(
    name_or_path: str | os.PathLike[str],
    *,
    seed: int | None = None,
    temperature: float = 0.65,
    convention: Convention = "js",
    backend: str = "auto",
    voice: int = 0,
) -> SketchStream:
    """A stream of pen actions from a model; nothing moves until it is asked for an action.

    Args:
        name_or_path: a bundled name (``livesketch.catalogue()``), a checkpoint's path, with ``#label`` after it for one
            class of several, or a magenta ``.gen.json``.
        seed: 0 … 2^64 - 1; None takes a fresh one, readable as ``.seed``.
        temperature: 0 (greedy) and up.
        convention: what temperature means: ``js``, ``paper`` or ``magenta``.
        backend: ``auto``, ``cpu`` or ``reference``; a named one is used or refused.
        voice: the voice's number in the random counter: same seed, other voice, other drawing.

    Raises:
        ModelNotFoundError, CheckpointError, UnsupportedModelError, BackendUnavailableError, ControlError.
    """
    controls = Controls(temperature, convention)
    checked = sampling.checked_seed(seed)
    checkpoint, label = open_model(name_or_path)
    return SketchStream(checkpoint, label, controls, checked, backend, voice)
