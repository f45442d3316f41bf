"""What a player runs, and what it tells of itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from ..errors import ControlError
from ..events import Event
from ..outputs.base import Output, Stage
from ..streams.drawing import Drawing
from .place import Place

if TYPE_CHECKING:
    from .course import Then


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
    """Steps that were made ahead, and made anew as something was changed or ``stream.actions`` was read."""
    dropped: int
    """What outputs dropped, as they may."""
    output_errors: int
    reconnects: int
    """How often ports of outputs came back."""
    realtime: bool
    """Whether its thread runs before those of other programs: in the playing process, where the system allows it."""


class AnyPlayer(Protocol):
    """What a player can do, whichever process it plays in; ``Player`` says what each thing does."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def stream(self) -> Any: ...  # noqa: D102
    @property
    def to(self) -> tuple[Output, ...]: ...  # noqa: D102
    @property
    def rate(self) -> Any: ...  # noqa: D102
    @rate.setter
    def rate(self, value: Any) -> None: ...
    @property
    def pace(self) -> Any: ...  # noqa: D102
    @pace.setter
    def pace(self, value: Any) -> None: ...
    @property
    def then(self) -> "Then": ...  # noqa: D102
    @property
    def lookahead(self) -> float: ...  # noqa: D102
    @property
    def place(self) -> Literal["live"] | Place: ...  # noqa: D102
    @property
    def engine(self) -> Literal["thread", "process"]: ...  # noqa: D102
    @property
    def playing(self) -> bool: ...  # noqa: D102
    @property
    def paused(self) -> bool: ...  # noqa: D102
    @property
    def muted(self) -> bool: ...  # noqa: D102
    @property
    def error(self) -> BaseException | None: ...  # noqa: D102
    def pause(self) -> Any: ...  # noqa: D102
    def resume(self) -> Any: ...  # noqa: D102
    def mute(self) -> Any: ...  # noqa: D102
    def unmute(self) -> Any: ...  # noqa: D102
    def solo(self) -> Any: ...  # noqa: D102
    def unsolo(self) -> Any: ...  # noqa: D102
    @property
    def quiet(self) -> tuple[bool, bool]: ...  # noqa: D102
    def holding(self) -> tuple[Output, ...]: ...  # noqa: D102
    def silence(self, *, on: bool) -> None: ...  # noqa: D102
    def stats(self) -> Stats: ...  # noqa: D102
    def troubles(self) -> list[str]: ...  # noqa: D102
    def fault(self) -> BaseException | None: ...  # noqa: D102
    def wait(self, timeout: float | None = None) -> bool: ...  # noqa: D102
    def ask_to_stop(self, *, panic: bool = False) -> None: ...  # noqa: D102
    def stop(self, *, within: float | None = None) -> None: ...  # noqa: D102
    def __enter__(self) -> Any: ...
    def __exit__(self, *how: object) -> None: ...


def stage_of(stream: Playable) -> Stage:
    """What outputs are told about a stream.

    Raises:
        ControlError: it is no stream.
    """
    if not isinstance(stream, Playable):
        raise ControlError(f"{stream!r:.80} is no stream; expected such as ls.sketch('cat') or ls.voices('cat', 8)")
    own = getattr(stream, "stage", None)  # a recording's
    return (
        own
        if isinstance(own, Stage)
        else Stage(stream.name, stream.seed, stream.stage_units, stream.temperature, stream.convention)
    )
