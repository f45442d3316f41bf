"""What streams make and outputs receive: frozen, slotted events.

Positions are on the *stage*, the unit square: x right, y down, a live drawing starting at (0.5, 0.5). They are
never clamped: a drawing may leave the stage, and an output may fit it.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal, TypeAlias


class Pen(IntEnum):
    """What the pen does *after* the move: stays down, lifts, or ends the drawing (Sketch-RNN's p1, p2, p3)."""

    DOWN = 0
    UP = 1
    END = 2


Source: TypeAlias = Literal["model", "human"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a stream was asked for beyond what its name says; model, seed and temperature draw it again with this."""

    label: tuple[tuple[str, float], ...] = ()
    """Labels with their shares, which sum to 1."""
    z: tuple[float, ...] = ()
    """The latent that was set."""

    def values(self) -> dict[str, Any]:
        """What was asked for, by the stream's names and as it takes them: a name or shares by name, a list."""
        label = self.label[0][0] if len(self.label) == 1 else dict(self.label)
        return {key: value for key, value in (("label", label), ("z", list(self.z))) if value}


@dataclass(frozen=True, slots=True)
class PenAction:
    """One Sketch-RNN step.

    The END step is an action too: ``pen`` is END, ``last`` and ``ended`` are True, ``ink`` is False, and it stands
    at the pen's present place; no output draws it.
    """

    at: float
    """Seconds on the player's clock when it is due; 0.0 straight from a stream."""
    name: str
    """The player's name, or the stream's where none plays it."""
    voice: int
    drawing: int
    """Which drawing of this voice, from 0."""
    step: int
    """Counts from 0 in each drawing."""
    x: float
    y: float
    """Where the move ends, stage units (1 = the stage's width), never clamped."""
    dx: float
    dy: float
    """The move itself, data units: what the model made or the human fed; 0 at END."""
    ink: bool
    """Whether the move to this point leaves a line. Settled here; nothing downstream reads pen flags for it."""
    pen: Pen
    last: bool
    """The last action of its drawing: END, or cut at the model's maximum length."""
    ended: bool
    """The model ended the drawing by itself; False where it was cut."""
    source: Source
    asked: Asked | None = field(default=None, compare=False)
    """On the first action of a drawing, where there is something beyond the stream's name; equal actions are equal
    whatever they were asked by."""


@dataclass(frozen=True, slots=True)
class Token:
    """One step of a text model.

    The END step is a token too: ``text`` is empty, ``last`` and ``ended`` are True.
    """

    at: float
    name: str
    voice: int
    step: int
    text: str
    log_prob: float
    """Natural logarithm of the token's probability as it was sampled."""
    entropy: float
    """Nats of the distribution it was sampled from."""
    given: bool
    """Given by the user, not chosen by the model."""
    piece: int = 0
    """Which piece (poem, document) of this voice, from 0; ``step`` counts from 0 in each."""
    last: bool = False
    """The last token of its piece: END, or cut at the model's maximum length."""
    ended: bool = False
    """The model ended the piece by itself; False where it was cut."""
    cost: float = 0.0
    """Nats that constraints took: the negative logarithm of the share of probability that they left."""
    softened: bool = False
    """Constraints left too little, and those of them that may yield did."""
    index: int = -1
    """The symbol's place in the model's vocabulary; -1 where it comes from no model."""


CueKind: TypeAlias = Literal["drawing/begin", "stroke/begin", "stroke/end", "drawing/end", "swap", "hush"]


@dataclass(frozen=True, slots=True)
class Cue:
    """An event that adds no point: a stroke or drawing begins or ends, a swap, a hush.

    ``x`` and ``y`` say where the pen is, stage units, so that an output needs no memory of its own.
    """

    at: float
    name: str
    voice: int
    drawing: int
    step: int
    kind: CueKind
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Change:
    """A control that was changed: what this step, and those after it, were made with. Only recordings get it."""

    at: float
    name: str
    voice: int
    drawing: int
    step: int
    """Of the first event that was made with it."""
    control: str
    """``temperature``, ``label``, ``z``, …"""
    value: Any
    """A number, a text, a list of numbers, or shares by name; None where there is none."""


Event: TypeAlias = PenAction | Token | Cue
