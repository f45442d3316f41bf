"""Players by name: a stream on a clock, sent to outputs from a background thread."""

import logging
import threading
from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Literal, Protocol, Self, TypeAlias, runtime_checkable

from ..errors import ControlError
from ..events import CueKind, Event, PenAction, Token
from ..outputs.base import Output, Stage
from ..streams.drawing import Drawing
from ..values import real
from .clock import Clock
from .desk import Desk

Then: TypeAlias = Literal["next", "stop"]

TICK: Final = 0.02
"""Longest wait between two ticks, seconds."""
MAX_RATE: Final = 10_000.0
THREADS: Final = "livesketch-player-"
"""What the names of players' threads begin with."""
STOP_LIMIT: Final = 5.0
"""Longest wait for a player to stop, seconds: an output that blocks must not hang the performer."""
LATE: Final = 1.0
"""Seconds of lateness after which the missed time is skipped instead of made up for."""
_LOG: Final = logging.getLogger("livesketch")


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
    """A player's figures so far."""

    steps: int
    drawings: int
    """Finished ones, of all voices; of a text model its pieces."""
    cut: int
    """Of these, the ones the model did not end by itself."""
    late_worst: float
    """Seconds between when a step was due and when it was sent, at worst."""
    skipped: float
    """Seconds left out because the machine was away for longer than a second."""
    output_errors: int


def stage_of(stream: Playable) -> Stage:
    """What outputs are told about a stream.

    Raises:
        ControlError: it is no stream.
    """
    if not isinstance(stream, Playable):
        raise ControlError(f"{stream!r:.80} is no stream; expected such as ls.sketch('cat') or ls.voices('cat', 8)")
    return Stage(stream.name, stream.seed, stream.stage_units, stream.temperature, stream.convention)


class Player:
    """Plays a stream; made by ``livesketch.play``. Also a context manager that stops it at the end."""

    __slots__ = (
        "__weakref__", "_before", "_clock", "_cut", "_desk", "_done", "_drawings", "_farewell", "_finished", "_keep",
        "_late_worst", "_rate", "_sent", "_shared", "_skipped", "_stage", "_steps", "_stop", "_then", "_thread",
        "_voices", "error", "name", "stream",
    )  # fmt: skip

    def __init__(
        self, stream: Playable, outputs: Sequence[Output], rate: float, name: str, then: Then, clock: Clock
    ) -> None:
        self.stream, self.name = stream, name
        self.error: BaseException | None = None
        """What the stream raised, where that ended the play."""
        self._rate, self._then, self._clock = checked_rate(rate), then, clock
        self._desk = Desk(name, tuple(outputs))
        self._voices = len(stream) if isinstance(stream, Sized) else 1
        self._stage = stage_of(stream)
        self._stop, self._finished = threading.Event(), threading.Event()
        self._keep: tuple[Output, ...] = ()
        self._farewell: CueKind = "hush"
        self._steps = self._drawings = self._cut = 0
        self._late_worst = self._skipped = self._sent = 0.0
        self._done: set[int] = set()
        self._before: Player | None = None
        self._shared: tuple[Output, ...] = ()
        self._thread = threading.Thread(target=self._run, name=f"{THREADS}{name}", daemon=True)

    def __repr__(self) -> str:
        state = "playing" if self.playing else "stopped"
        done = f"{self._steps} steps at {self._rate:g}/s"
        return f"<Player {self.name!r} {state}, {done}: {self.stream!r} to {list(self.to)!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def to(self) -> tuple[Output, ...]:
        """The outputs."""
        return tuple(self._desk.outputs)

    @property
    def rate(self) -> float:
        """Steps per second, above 0 up to 10,000; a change acts on the wait for the next step."""
        return self._rate

    @rate.setter
    def rate(self, value: float) -> None:
        self._rate = checked_rate(value)

    @property
    def playing(self) -> bool:
        """Whether it still plays."""
        return self._thread.ident is not None and not self._finished.is_set()

    def stats(self) -> Stats:
        """Steps, drawings, lateness and errors so far."""
        errors = sum(trouble.count for trouble in list(self._desk.troubles.values()))
        errors += sum(output.errors for output in self.to)
        return Stats(self._steps, self._drawings, self._cut, self._late_worst, self._skipped, errors)

    def troubles(self) -> list[str]:
        """A line for each output that counted errors."""
        return [repr(output) for output in self.to if output.errors]

    def fault(self) -> BaseException | None:
        """What ended or spoiled the play: the stream's error, or else the first that an output raised."""
        raised = (trouble.first for trouble in self._desk.troubles.values())
        return self.error or next(raised, None)

    def start(self, before: "Player | None" = None) -> Self:
        """Opens the outputs and begins to play; ``livesketch.play`` does it.

        ``before`` gives way: outputs that both have stay open and are handed over by its own thread, so that no output
        is ever in two threads. Nothing here waits.

        Raises:
            OutputError: an output that cannot be opened; then ``before`` plays on and what was opened is closed.
        """
        kept = () if before is None else before.to
        self._desk.open([output for output in self.to if not is_among(output, kept)], self._voices, self._stage)
        self._before, self._shared = before, kept
        if before is not None:
            before.give_way(self.to)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Pen up, outputs closed, thread gone; returns when that is done, or after 5 s where an output blocks.

        Called by an output or stream from within a player's thread, it asks and returns at once. Twice is harmless.
        """
        self._stop.set()
        if self._thread.ident is None or in_player_thread():
            return
        if self._finished.wait(STOP_LIMIT):
            self._thread.join()
        else:
            _LOG.error("%s: an output has not returned for %g s; not waited for any longer", self.name, STOP_LIMIT)

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until it stops by itself or is stopped; False where the timeout (seconds) came first."""
        # Not Thread.join: interrupted by Ctrl-C, Python 3.11's takes a running thread for ended; its files are lost.
        seconds = None if timeout is None else real("timeout", timeout, "seconds, or None for no limit")
        return self._finished.wait(None if seconds is None else min(seconds, threading.TIMEOUT_MAX))

    def give_way(self, keep: Sequence[Output]) -> None:
        """Asks to stop for the next player of the same name, which goes on with the outputs ``keep``."""
        self._keep, self._farewell = tuple(keep), "swap"
        self._stop.set()

    def disown(self, taken: Sequence[Output]) -> None:
        """Sends nothing more to these outputs, though one of them has not returned yet."""
        self._desk.disown(taken)

    def ask_to_stop(self) -> None:
        """Like ``stop``, but returns at once."""
        self._stop.set()

    def _run(self) -> None:
        try:
            self._take_over()
            self._play()
        except BaseException as err:  # noqa: BLE001 - whatever a stream raises must leave pen up and files complete
            self.error = err
            _LOG.error("%s: stopped: %s", self.name, err)
        finally:
            try:
                self._desk.finish(self._clock.now(), self._farewell, self._keep)
            finally:
                self._finished.set()

    def _take_over(self) -> None:
        before, self._before = self._before, None
        if before is None:
            return
        if not before.wait(STOP_LIMIT):
            before.disown(self.to)
            _LOG.error("%s: an output has not returned for %g s; taken over all the same", self.name, STOP_LIMIT)
        self._desk.open([output for output in self.to if is_among(output, self._shared)], self._voices, self._stage)

    def _play(self) -> None:
        self._sent, rate = self._clock.now(), self._rate
        due = self._wait(self._sent, rate)
        while due is not None:
            due += self._lateness(self._clock.now() - due)
            try:
                events = self.stream.events()
            except StopIteration:
                return
            for event in events:
                if event.voice not in self._done:
                    self._desk.send(event, due)
                    self._count(event)
            self._steps += 1
            self._desk.tick(self._clock.now())
            if len(self._done) == self._voices:
                return
            self._sent, rate = due, self._rate
            due = self._wait(due + 1 / rate, rate)

    def _lateness(self, late: float) -> float:
        """Seconds to leave out: all of it where an output sets the pace, or the machine was away; else none."""
        if self._desk.paced:
            return late
        self._late_worst = max(self._late_worst, late)
        if late <= LATE:
            return 0.0
        self._skipped += late
        return late

    def _count(self, event: Event) -> None:
        if isinstance(event, PenAction | Token) and event.last:
            self._drawings += 1
            self._cut += not event.ended
            if self._then == "stop":
                self._done.add(event.voice)

    def _wait(self, due: float, rate: float) -> float | None:
        """Until due, ticking the outputs meanwhile; gives when it was due, since a new rate moves that. None: stop."""
        while not self._stop.is_set():
            now = self._clock.now()
            if rate != self._rate and self._steps:
                rate = self._rate
                due = max(now, self._sent + 1 / rate)
            if now >= due:
                return due
            self._clock.wait_until(min(due, now + TICK), self._stop)
            if self._clock.now() < due:
                self._desk.tick(self._clock.now())
        return None


def is_among(output: Output, outputs: Iterable[Output]) -> bool:
    """Whether it is one of these very objects."""
    return any(output is other for other in outputs)


def in_player_thread() -> bool:
    """Whether this is the thread of a player: it may ask players to stop, but not wait for them."""
    return threading.current_thread().name.startswith(THREADS)


def checked_rate(rate: float) -> float:
    """A rate in steps per second.

    Raises:
        ControlError: not a number above 0 and up to 10,000.
    """
    wanted = f"steps per second, above 0 and up to {MAX_RATE:g}; 60 is lively"
    value = real("rate", rate, wanted)
    if not 0 < value <= MAX_RATE:
        raise ControlError(f"rate {rate!r}: expected {wanted}")
    return value
