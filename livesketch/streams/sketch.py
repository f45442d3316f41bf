"""SketchStream: a Sketch-RNN decoder as an iterator of pen actions that never runs dry."""

import math
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import ArrayLike

from .. import sampling
from ..backends import Precision, precise
from ..controls import Controls
from ..errors import StrokesError
from ..events import Pen, PenAction, Source
from ..latents import Floats
from ..models.catalogue import open_model
from ..models.checkpoint import Checkpoint
from ..sampling import Convention
from ..strokes import rows_of
from ..values import whole
from .condition import Condition, Label, given_z, label_mix, label_said, vectors_of
from .drawing import Drawing
from .given import Strokes, Units, are_polylines, data_rows
from .likelihood import LogProb, log_prob
from .live import live
from .model_stream import ModelStream
from .one_voice import OneVoice
from .past import Past
from .records import pen_action
from .trail import Trail

if TYPE_CHECKING:
    from .guess import Guess, Guesser

_SOURCES: Final[dict[bool, Source]] = {False: "model", True: "human"}


class SketchStream(ModelStream, OneVoice[PenAction]):
    """One voice of a Sketch-RNN decoder: each ``next()`` is one decoder step and gives one ``PenAction``.

    After END, or a cut at the model's maximum length, the next call begins the next drawing. Make one with
    ``livesketch.sketch``.

    >>> import livesketch as ls
    >>> cat = ls.sketch("cat", seed=7)
    >>> first = next(cat)
    >>> first.step, first.ink
    (0, True)
    """

    __slots__ = ("_guesser", "_past", "_trail", "_voice")

    def __init__(
        self, checkpoint: Checkpoint, label: str | None, controls: Controls, seed: int, backend: str, voice: int
    ) -> None:
        self._voice = whole("voice", voice, 0, 2**32 - 1)
        super().__init__(checkpoint, label, controls, seed, backend, range(self._voice, self._voice + 1))
        self._trail: Trail[PenAction] = Trail()
        self._past: Past[PenAction] = Past()
        self._guesser: Guesser | None = None

    def __repr__(self) -> str:
        label = self.label
        named = "" if label is None or label == self.name else f" label={label!r}"
        return (
            f"<SketchStream {self.name!r}{named} seed={self._seed} temperature={self.temperature:g} "
            f"({self.convention}) voice={self._voice} on {self.backend}>"
        )

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
    @live
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
    @live
    def z(self, z: ArrayLike | None) -> None:
        self._want(z=given_z(self._checkpoint, z, 1, each=False))

    def _event(self, record: Any, *, given: bool) -> PenAction:
        condition, source = self._conditioned or self._wanted, _SOURCES[given]
        return pen_action(record, self.name, self._voice, self._checkpoint.stage_units, condition, source=source)

    def drawing(self) -> Drawing:
        """An iterator over the rest of this drawing, or over the next where this is over; Jupyter shows it."""
        return Drawing(self, self._trail)

    def _condition(self, wanted: Condition, some: list[int]) -> None:
        self._past.outdated = True
        super()._condition(wanted, some)

    def _place(self) -> tuple[int, int]:
        voice = self._batch.snapshot().voices[0]
        return int(voice["drawing"]), int(voice["step"])

    def _standing(self) -> Condition:
        return self._wanted

    def _stand(self, standing: Condition) -> None:
        self._wanted, self._conditioned = standing, None
        self._vectors[0] = math.nan  # the first state may be of another vector than the one in use

    def _twin(self, seed: int, voice: int) -> Self:
        twin = type(self)(self._checkpoint, None, self._controls, seed, self.backend, voice)
        twin.name = self.name
        return twin

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
            self.taken_back()
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
            return self._feed(rows)

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
    precision: Precision = "exact",
    voice: int = 0,
) -> SketchStream:
    """A stream of pen actions from a model; nothing moves until it is asked for an action.

    Args:
        name_or_path: a bundled name (``livesketch.catalogue()``), a checkpoint's path, with ``#label`` after it for one
            class of several, or a magenta ``.gen.json``.
        seed: 0 … 2^64 - 1; None takes a fresh one, readable as ``.seed``.
        temperature: 0 (greedy) and up.
        convention: what temperature means: ``js``, ``paper`` or ``magenta``.
        backend: ``auto``, ``cpu``, ``cpu-two`` (with a second thread that works ahead), ``reference`` or ``cuda``; a
            named one is used or refused.
        precision: ``exact``, or ``fast``: products in bfloat16, twice as fast on processors that have it, and other
            drawings, not even the same from one number of voices to another.
        voice: the voice's number in the random counter: same seed, other voice, other drawing.

    Raises:
        ModelNotFoundError, CheckpointError, UnsupportedModelError, BackendUnavailableError, ControlError.
    """
    controls = Controls(temperature, convention)
    checked = sampling.checked_seed(seed)
    checkpoint, label = open_model(name_or_path)
    return SketchStream(checkpoint, label, controls, checked, precise(backend, precision), voice)
