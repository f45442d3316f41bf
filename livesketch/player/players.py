"""Players by name: what a performer holds in the hand while a stream plays."""

from collections.abc import Sequence
from typing import Literal, Self

from ..errors import ControlError
from ..outputs.base import Output
from ..patterns import Pattern
from .course import Then
from .pace import Pace, Steps, checked_pace, checked_rate
from .place import Place
from .playable import Playable, Stats
from .playing import Playing
from .roster import roster


class Player(Playing):
    """Plays a stream; made by ``livesketch.play``. Also a context manager that stops it at the end.

    Its properties may be set at any time, from any thread; what they change its own thread does, at the next step.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        state = ("paused" if self.paused else "playing") if self.playing else "stopped"
        silent = ", muted" if self.muted else ""
        done = f"{self._loop.tally.steps} steps, {self.pace!r}"
        return f"<Player {self.name!r} {state}{silent}, {done}: {self.stream!r} to {list(self.to)!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *how: object) -> None:
        self.stop()

    @property
    def stream(self) -> Playable:
        """What plays: set its label, latent, temperature, or feed it; each acts on the very next step."""
        return self._course.stream

    @property
    def to(self) -> tuple[Output, ...]:
        """The outputs; set others while it plays: those that go are lifted and closed, those that come are opened.

        ``p.to += (ls.svg("a.svg"),)`` adds one. Raises OutputError for one that cannot be opened; all stays as it was.
        """
        return self.outputs

    @to.setter
    def to(self, outputs: Sequence[Output] | Output) -> None:
        if not self.playing:
            raise ControlError(f"{self.name!r} has stopped; expected a player that plays: play the stream again")
        wanted = roster.free(outputs, self)
        self.choose(wanted)

    @property
    def pace(self) -> Pace:
        """When steps are due: ``ls.pace.steps(60)``, ``speed(0.5)``, ``beats(1/4)``, ``human()``; live."""
        return self._course.pace

    @pace.setter
    def pace(self, pace: Pace) -> None:
        pace = checked_pace(pace)
        self._loop.rate = None
        self._course.pace = pace
        self._loop.wake.set()

    @property
    def rate(self) -> float | None:
        """Steps per second, above 0 up to 10,000, or a function of the beat; None under another pace.

        A change acts on the wait for the next step.
        """
        return self.pace.rate if isinstance(self.pace, Steps) else None

    @rate.setter
    def rate(self, value: float | Pattern) -> None:
        if callable(value):
            self.pace = Steps(value(self._tempo.beat(self._clock.now())))
            self._loop.rate = value
        else:
            self.pace = Steps(checked_rate(value))

    @property
    def then(self) -> Then:
        """What follows a drawing, as ``livesketch.play`` was told."""
        return self._course.how.then

    @property
    def lookahead(self) -> float:
        """Seconds that steps are made before they are due, as ``livesketch.play`` was told."""
        return self._course.how.lookahead

    @property
    def place(self) -> Literal["live"] | Place:
        """Where drawings stand on the stage, as ``livesketch.play`` was told; ``fit`` is ``ls.grid(1, 1)``."""
        return self._course.how.place or "live"

    @property
    def engine(self) -> Literal["thread", "process"]:
        """Where it plays: in a thread of this process, or in the playing process."""
        return "thread"

    @property
    def paused(self) -> bool:
        """Whether it is paused."""
        return self._loop.paused

    def pause(self) -> Self:
        """Pen up, and no step until ``resume``. Twice is harmless, as of all that follows."""
        self.tell("paused", on=True)
        return self

    def resume(self) -> Self:
        """Goes on where it was paused."""
        self.tell("paused", on=False)
        return self

    def mute(self) -> Self:
        """It plays on, but nothing goes out: pen up first. What swaps in under its name is muted too."""
        self.tell("muted", on=True)
        return self

    def unmute(self) -> Self:
        """It goes out again, from the next step on."""
        self.tell("muted", on=False)
        return self

    def solo(self) -> Self:
        """All that are not soloed are silent, until each soloed one is ``unsolo``ed or has stopped.

        What swaps in under its name is soloed too.
        """
        roster.solo(self, on=True)
        return self

    def unsolo(self) -> Self:
        """The way back."""
        roster.solo(self, on=False)
        return self

    @property
    def quiet(self) -> tuple[bool, bool]:
        """Whether it is muted itself, and whether anything silences it: for what takes its place."""
        return self._loop.muted, self._loop.silent

    @quiet.setter
    def quiet(self, switches: tuple[bool, bool]) -> None:
        self._loop.muted, self._loop.silenced = switches

    def silence(self, *, on: bool) -> None:
        """What another player's ``solo`` does to it."""
        self.tell("silenced", on=on)

    def follow_on(self, before: "Player") -> None:
        """It is as silent as the player whose place it takes: muted is a name, not a stream."""
        mine, other = self._loop, before._loop  # noqa: SLF001 - likewise a player
        mine.muted, mine.silenced = other.muted, other.silenced

    def over(self) -> None:
        """Those that its ``solo`` silenced are heard again."""
        roster.heed_end()

    def stats(self) -> Stats:
        """Steps, drawings, lateness and errors so far."""
        outputs, tally = self.to, self._loop.tally
        errors = sum(trouble.count for trouble in list(self._desk.troubles.values()))
        return Stats(
            steps=tally.steps, drawings=tally.drawings, cut=tally.cut, late_p50=tally.late.quantile(0.5),
            late_p99=tally.late.quantile(0.99), late_worst=tally.late.worst, skipped=tally.skipped,
            step_p50=tally.step_time.quantile(0.5), taken_back=self._course.taken_back,
            dropped=sum(getattr(output, "dropped", 0) for output in outputs),
            output_errors=errors + sum(output.errors for output in outputs),
            reconnects=sum(getattr(output, "reconnects", 0) for output in outputs),
            realtime=self._realtime,
        )  # fmt: skip

    def troubles(self) -> list[str]:
        """A line for each output that counted errors."""
        return [repr(output) for output in self.to if output.errors]

    def fault(self) -> BaseException | None:
        """What ended or spoiled the play: the stream's error, or else the first that an output raised."""
        raised = (trouble.first for trouble in self._desk.troubles.values())
        return self.error or next(raised, None)
