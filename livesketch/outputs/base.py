"""What a player asks of an output."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ..events import Event


@dataclass(frozen=True, slots=True)
class Stage:
    """What an output may want to know about what will be drawn."""

    model: str
    """The model's name, such as ``cat``."""
    seed: int
    """The 64-bit seed that draws it again."""
    units: float
    """Data units across the stage: x = 0.5 + (sum of dx) / units."""
    temperature: float | None = None
    """At the start; None where there is no such control."""
    convention: str | None = None
    """What the temperature means; None likewise."""


@runtime_checkable
class Output(Protocol):
    """Carries events somewhere. All methods are called from one thread at a time.

    ``send``, ``tick`` and ``lift`` do not raise for a receiver that is away: losses are counted, not thrown into the
    performance. What they do raise the player counts and survives.

    An output belongs to one player at a time: a player that ends closes it, also under another that still plays into
    it. Give each player its own, such as two ``osc`` outputs to one receiver; of two players of one name the later
    takes over those that both have.

    It may also have ``panic()``, silence now; ``next_tick``, when it wants the next ``tick`` at the latest (seconds on
    the player's clock, or None); and ``follow_tempo(tempo)``, which is told the players' beat before ``open``:
    ``tempo.beat(at)`` and ``tempo.time(beat)``. Where it has ``queues = True``, nothing leaves it before the next
    ``tick``: it is given events a moment before they are due, so that only the sending is left to do then.
    """

    paces: bool
    """True where ``send`` returns only when the machine is ready for more (a plotter): it sets the pace."""
    may_drop: bool
    """True where a point inside a line may be lost under load; lifts, ends, tokens and note-offs never may."""
    errors: int
    """How often something could not be sent or written."""
    last_error: str
    """Why, in words; empty where nothing went wrong."""

    def open(self, name: str, voices: int, stage: Stage) -> None:
        """A player starts to send. Called again, by the next player of the same name, it goes on."""

    def send(self, event: Event) -> None:
        """One event; all events of one step are followed by one ``tick``."""

    def tick(self, now: float) -> None:
        """The player's clock, seconds: after each step, and at least every 50 ms while it waits."""

    def lift(self) -> None:
        """Pen up, notes off, pending events out; more may follow."""

    def close(self) -> None:
        """Finishes: files complete, sockets shut. Twice is harmless."""
