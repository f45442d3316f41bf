"""SketchStream: a Sketch-RNN decoder as an iterator of pen actions that never runs dry."""

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from .. import sampling
from ..controls import Controls
from ..errors import ControlError, StrokesError
from ..events import Pen, PenAction, Source
from ..latents import Floats
from ..models.catalogue import open_model
from ..models.checkpoint import Checkpoint
from ..sampling import Convention
from ..strokes import rows_of
from ..values import whole
from .condition import Label, given_z, label_mix, label_said, vectors_of
from .drawing import Drawing
from .given import Strokes, Units, are_polylines, data_rows
from .likelihood import LogProb, log_prob
from .model_stream import ModelStream
from .records import pen_action
from .trail import StreamSnapshot, Trail

if TYPE_CHECKING:
    from .guess import Guess, Guesser


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

    __slots__ = ("_guesser", "_trail", "_voice")

    def __init__(
        self, checkpoint: Checkpoint, label: str | None, controls: Controls, seed: int, backend: str, voice: int
    ) -> None:
        self._voice = whole("voice", voice, 0, 2**32 - 1)
        super().__init__(checkpoint, label, controls, seed, backend, range(self._voice, self._voice + 1))
        self._trail = Trail()
        self._guesser: Guesser | None = None

    def __repr__(self) -> str:
        label = self.label
        named = "" if label is None or label == self.name else f" label={label!r}"
        return (
            f"<SketchStream {self.name!r}{named} seed={self._seed} temperature={self.temperature:g} "
            f"({self.convention}) voice={self._voice} on {self.backend}>"
        )

    @property
    def voice(self) -> int:
        """The voice's number in the random counter."""
        return self._voice

    @property
    def label(self) -> str | dict[str, float] | None:
        """What it draws: one of ``labels``, or a mix of them; a change acts on the very next step, also mid-drawing.

        Capitals are forgiven, and spaces, underscores and hyphens count alike. A mix is shares by label, as in
        ``{"cat": 0.7, "pig": 0.3}``: between label vectors as between latents; ``label`` then gives shares that sum to
        1. None for a model without labels. ``name`` stays what the stream was made with: players and OSC addresses go
        by it. Setting raises ControlError, with the nearest labels, and keeps the old value.
        """
        return label_said(self._wanted.mixes[0])

    @label.setter
    def label(self, label: Label) -> None:
        self._want(mixes=(label_mix(self._checkpoint, label),))

    @property
    def z(self) -> Floats:
        """The latent in use, a copy, (z_size,); what is set acts on the very next step, also mid-drawing.

        None, as at first, is the model's own way: zeros where it learnt to draw by the label alone
        (``checkpoint.z_optional``), else one ~ N(0, I) for each drawing, which depends on seed, voice and drawing only.
        It is then that of the drawing just drawn until the next begins, so ``stream.z = stream.z`` holds on to it.
        (0,) for a model without latent. Setting raises ControlError and keeps the old value.
        """
        return np.asarray(self._present_z()[0])

    @z.setter
    def z(self, z: ArrayLike | None) -> None:
        self._want(z=given_z(self._checkpoint, z, 1, each=False))

    def __iter__(self) -> Iterator[PenAction]:
        return self

    def __next__(self) -> PenAction:
        """One decoder step."""
        with self._lock:
            action = self._action(self._records()[0], "model")
            self._trail.add(action)
            self._trail.unsent.clear()
            self._taken = self._batch.steps  # the last: what breaks this off before leaves the action due
            return action

    def events(self) -> list[PenAction]:
        """What a player sends for one step: rows fed since the last step of this drawing, then one new action."""
        with self._lock:
            unsent = self._trail.unsent.copy()
            return [*unsent, next(self)]

    def _action(self, record: Any, source: Source) -> PenAction:
        condition = self._conditioned or self._wanted
        return pen_action(record, self.name, self._voice, self._checkpoint.stage_units, condition, source=source)

    def take(self, n: int) -> list[PenAction]:
        """The next n actions."""
        return [next(self) for _ in range(whole("take", n, 0, 10**9))]

    def drawing(self) -> Drawing:
        """An iterator over the rest of this drawing, or over the next where this is over; Jupyter shows it."""
        return Drawing(self, self._trail)

    @property
    def actions(self) -> list[PenAction]:
        """The present drawing's actions so far, drawn and fed, one that Ctrl-C kept from being handed out included."""
        with self._lock:
            return self._trail.having(self._due())

    def restart(self) -> Self:
        """Back to step 0 of the same drawing: the same seed draws it again."""
        with self._lock:
            self._batch.restart(0)
            self._begin_trail([])
            self._conditioned = None
        return self

    def snapshot(self) -> StreamSnapshot:
        """Takes everything that decides what comes next, label and latent too, but for the temperature."""
        with self._lock:
            self._prepare()  # so that it holds the first state of the label and latent that it names
            trail, due = self._trail, self._batch.actions.copy() if self._due() else None
            drawn = tuple(trail.actions), tuple(trail.unsent)
            return StreamSnapshot(self._origin(), self._batch.snapshot(), self._wanted, *drawn, due)

    def restore(self, snapshot: StreamSnapshot) -> Self:
        """Puts a snapshot back, with the label and latent of then: what followed it then follows it again.

        Raises:
            ControlError: it was taken of a stream of another model, name, seed, voice or backend.
        """
        if not isinstance(snapshot, StreamSnapshot) or snapshot.origin != self._origin():
            taken = (
                f"{snapshot!r:.60}"
                if not isinstance(snapshot, StreamSnapshot)
                else f"a stream with {snapshot.origin[1:]}"
            )
            raise ControlError(f"a snapshot of {taken}; expected one of this stream, {self._origin()[1:]}")
        with self._lock:
            if not snapshot.batch.voices["step"][0]:
                self._vectors[0] = math.nan  # the first state will be of the vector of then, not of the one in use
            self._batch.restore(snapshot.batch)
            self._begin_trail(snapshot.trail, snapshot.unsent)
            if snapshot.due is not None:
                self._batch.actions[:] = snapshot.due
                self._taken -= 1
            self._wanted, self._conditioned = snapshot.condition, None
        return self

    def _origin(self) -> tuple[object, ...]:
        return id(self._checkpoint), self.name, self._seed, self._voice, self.backend

    def _begin_trail(self, actions: Iterable[PenAction], unsent: Iterable[PenAction] = ()) -> None:
        self._trail.begin(actions, unsent)
        self._taken = self._batch.steps

    def _due(self) -> PenAction | None:
        """An action that is drawn, but that Ctrl-C kept from being handed out; under the lock."""
        return None if self._batch.steps == self._taken else self._action(self._batch.actions[0], "model")

    def feed(self, strokes: Strokes, *, units: Units = "data") -> list[PenAction]:
        """The human draws: the rows become the model's own past, and the next step goes on from there.

        Args:
            strokes: stroke-3 rows (n, 3) or a list of polylines [(k, 2), ...], y down. A polyline list starts where
                the pen is: its first point gives no row, unless the pen is up, when it gives a row of no length that
                sets it down. Also a drawing, or the list of its actions.
            units: ``data`` (the numbers of the training drawings) or ``stage`` (1 = the stage's width).

        Returns:
            The rows as actions with ``source="human"``.

        Raises:
            StrokesError: nothing to feed, wrong shape, not finite, or longer than what is left of a drawing.
        """
        rows = data_rows(self._checkpoint, strokes, units)
        with self._lock:
            self._keep_due()
            before = self._trail.present()
            begun = before.step + 1 if before else 0
            if before and before.pen is Pen.UP and are_polylines(strokes):
                rows = np.concatenate([np.zeros((1, 3)), rows])
            room = self._checkpoint.max_steps - begun - 1
            if len(rows) > room:
                raise StrokesError(
                    f"{len(rows)} rows: {self.name!r} draws at most {self._checkpoint.max_steps} steps and {begun} are "
                    f"drawn; expected at most {max(room, 0)}: simplify the strokes or begin a new drawing"
                )
            self._prepare()
            snapshot = self._batch.snapshot()
            try:
                actions = [self._action(record, "human") for record in self._batch.force(0, rows)]
            except BaseException:  # Ctrl-C: all of it is fed, or nothing
                self._batch.restore(snapshot)
                raise
            self._trail.feed(actions)
            return actions

    def _keep_due(self) -> None:
        """Puts an action that is drawn, but that Ctrl-C kept from being delivered, before what a player sends next."""
        due = self._due()
        if due is not None:
            self._trail.keep(due)
            self._taken = self._batch.steps

    def log_prob(self, strokes: Strokes, *, units: Units = "data") -> LogProb:
        """How likely the model finds these strokes as a whole drawing, under the label and the latent in use.

        The stream itself does not move.
        """
        rows = data_rows(self._checkpoint, strokes, units)
        with self._lock:
            present = vectors_of(self._checkpoint, self._wanted, self._seed, self._voices, self._numbers())
        batch = self._open(replace(self._checkpoint, max_steps=len(rows) + 2), present)
        return log_prob(batch, self._checkpoint, rows)

    def guess(
        self, strokes: Strokes | None = None, *, n: int | None = None, ended: bool = False, units: Units = "data"
    ) -> "list[Guess]":
        """What is being drawn: all labels with their probabilities, likeliest first; the stream does not move.

        By Bayes' rule, from how likely the model finds the drawing so far under each of its labels, all of which are
        as likely beforehand; the label in use plays no part. Ask again as the drawing grows: only what is new is run.
        Before anything is drawn all labels are equally likely.

        Args:
            strokes: the drawing so far, as ``feed`` takes it; None: this stream's own, drawn and fed.
            n: how many to give; None for all.
            ended: whether the drawing is complete. While it is not, nobody knows what the pen does after the last
                point, and its lift there, with which every polyline ends, does not count.
            units: ``data`` or ``stage``, as for ``feed``.

        Raises:
            UnsupportedModelError: the model has no labels; or it draws by a latent only and has no encoder.
            StrokesError: as ``feed``.
        """
        from .guess import Guesser  # noqa: PLC0415 - few streams guess

        wanted = None if n is None else whole("n", n, 1, 10**6)
        rows = rows_of(self) if strokes is None else data_rows(self._checkpoint, strokes, units)
        guesser = self._guesser or Guesser(self._backend, self._checkpoint)  # without the lock: what plays goes on
        self._guesser = guesser
        return guesser.guess(rows, self.encode, ended=ended)[:wanted]


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
