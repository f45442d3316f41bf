"""What a player runs, and what it tells of itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ..errors import ControlError
from ..events import Event
from ..outputs.base import Stage
from ..streams.drawing import Drawing


@runtime_checkable
class Playable(Protocol):
    """What a player runs: a stream, many voices, handwriting, or anything of yours that says the same about itself.

    Behind its last event ``events`` raises StopIteration, as ``next`` does: its player then stops.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - the event's name where none is given
    @property
    def seed(self) -> int: ...  # noqa: D102 - what draws it again
    @property
    def temperature(self) -> float | None: ...  # noqa: D102 - at the start; None where there is none
    @property
    def convention(self) -> str | None: ...  # noqa: D102 - likewise
    @property
    def stage_units(self) -> float: ...  # noqa: D102 - data units across the stage; 1.0 where nothing is drawn

    def events(self) -> Sequence[Event]: ...  # noqa: D102 - one step's: of every voice, and what a human drew since


@runtime_checkable
class Drawable(Playable, Protocol):
    """What ``draw`` draws: one voice, drawing by drawing."""

    def drawing(self) -> Drawing: ...  # noqa: D102 - the rest of the present one, or the next


@dataclass(frozen=True, slots=True)
class Stats:
    """A player's figures so far. Times are seconds."""

    steps: int
    drawings: int
    """Finished ones, of all voices; of a text model its pieces."""
    cut: int
    """Of these, the ones the model did not end by itself."""
    late_p50: float
    """Between when a step was due and when it was sent: half of the steps were at most so late (12 % exact)."""
    late_p99: float
    """99 of 100 were."""
    late_worst: float
    skipped: float
    """Left out because the machine was away for longer than a second."""
    step_p50: float
    """What it took to make a step: half took at most so long."""
    taken_back: int
    """Steps that were made ahead, and made anew as something was changed."""
    dropped: int
    """What outputs dropped, as they may."""
    output_errors: int
    reconnects: int
    """How often ports of outputs came back."""


def stage_of(stream: Playable) -> Stage:
    """What outputs are told about a stream.

    Raises:
        ControlError: it is no stream.
    """
    if not isinstance(stream, Playable):
        raise ControlError(f"{stream!r:.80} is no stream; expected such as ls.sketch('cat') or ls.voices('cat', 8)")
    return Stage(stream.name, stream.seed, stream.stage_units, stream.temperature, stream.convention)
