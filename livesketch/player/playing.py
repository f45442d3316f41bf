"""A player's thread: it starts, takes over from the one before it, plays, and leaves everything at a clean place."""

import logging
import threading
from collections.abc import Iterable, Sequence
from typing import Final, Literal, Self

from ..errors import OutputError
from ..events import CueKind
from ..outputs.base import Output
from ..values import real
from . import urgency
from .choice import Choice
from .clock import Clock
from .course import Course, How
from .desk import Desk
from .loop import Loop
from .playable import Playable
from .relay import Handover, Quant, Relay
from .tempo import Tempo

THREADS: Final = "livesketch-player-"
"""What the names of players' threads begin with."""
STOP_LIMIT: Final = 5.0
"""Longest wait for a player to stop, seconds: an output that blocks must not hang the performer."""
_TURN: Final = 0.05
_LOG: Final = logging.getLogger("livesketch")


class Playing:
    """A stream on a clock, sent to outputs from a thread of its own; what a performer sees of it is ``Player``."""

    __slots__ = (
        "__weakref__", "_before", "_choice", "_clock", "_course", "_desk", "_finished", "_keep", "_loop", "_name",
        "_panics", "_realtime", "_relay", "_shared", "_tempo", "_thread", "_urgent", "error",
    )  # fmt: skip

    def __init__(
        self, stream: Playable, outputs: Sequence[Output], how: How, name: str, clock: Clock, tempo: Tempo, *,
        urgent: bool = False,
    ) -> None:  # fmt: skip
        """``urgent``: the system is asked to run its thread before others."""
        self._name = name
        self._urgent, self._realtime = urgent, False
        self.error: BaseException | None = None
        """What the stream raised, where that ended the play."""
        self._clock, self._tempo = clock, tempo
        self._desk = Desk(name, tuple(outputs), tempo=tempo)
        self._course = Course(stream, how, tempo, clock.now())
        self._choice, self._relay = Choice(self._desk), Relay(tempo)
        self._loop = Loop(self._course, self._desk, self._choice, self._relay, clock, tempo)
        self._finished = threading.Event()
        self._panics = False
        self._before: Playing | None = None
        """The player of this name that it waits for."""
        self._shared: tuple[Output, ...] = ()
        """Outputs that come from there."""
        self._keep: tuple[Output, ...] = ()
        """Outputs that the next player of this name goes on with."""
        self._thread = threading.Thread(target=self._run, name=f"{THREADS}{name}", daemon=True)

    @property
    def name(self) -> str:
        """The performance's, for good: another plays under it in its place, or beside it under another."""
        return self._name

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Those it sends to, or shall from the next step on."""
        return self._choice.outputs

    @property
    def playing(self) -> bool:
        """Whether it still plays; also while it is paused."""
        return self._thread.ident is not None and not self._finished.is_set()

    @property
    def muted(self) -> bool:
        """Whether nothing of it goes out, by ``mute`` or another player's ``solo``."""
        return self._loop.silent

    @property
    def handed(self) -> Handover | None:
        """What it left to the player that follows it; None: it began nothing, or failed."""
        return self._relay.handed

    @property
    def turns(self) -> int:
        """Grows as long as its thread is alive."""
        return self._loop.turns

    def start(self, before: "Playing | None" = None, quant: Quant = "stroke") -> Self:
        """Opens the outputs and begins to play; ``livesketch.play`` does it.

        ``before`` gives way, at the end of what ``quant`` says: outputs that both have stay open and are handed over by
        its own thread, so that no output is ever in two threads. Nothing here waits.

        Raises:
            OutputError: an output that cannot be opened; then ``before`` plays on and what was opened is closed.
        """
        kept = () if before is None else before.holding()
        new = [output for output in self.outputs if not is_among(output, kept)]
        self._desk.open(new, self._course.voices, self._course.stage)
        self._before, self._shared = before, kept
        try:
            self._thread.start()
        except RuntimeError as err:  # the system has no room for another thread
            self._desk.close(new)
            raise OutputError(f"{self.name!r} cannot be played ({err}); stop others first") from err
        if before is not None:
            before.give_way(self.outputs, quant)
        return self

    def holding(self) -> tuple[Output, ...]:
        """Outputs that are in use by it, or by one that it waits for."""
        before = self._before
        return self.outputs if before is None else (*self.outputs, *before.holding())

    def stop(self, *, within: float | None = None) -> None:
        """Pen up, outputs closed, thread gone; returns when that is done, or after 5 s where an output blocks.

        ``within``: other seconds than these 5.

        Called by an output or stream from within a player's thread, it asks and returns at once. Twice is harmless.
        """
        self.ask_to_stop()
        if self._thread.ident is None or in_player_thread():
            return
        limit = STOP_LIMIT if within is None else within
        if self._finished.wait(limit):
            self._thread.join()
        else:
            _LOG.error("%s: an output has not returned for %.3g s; not waited for any longer", self.name, limit)

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until it stops by itself or is stopped; False where the timeout (seconds) came first."""
        # Not Thread.join: interrupted by Ctrl-C, Python 3.11's takes a running thread for ended; its files are lost.
        seconds = None if timeout is None else real("timeout", timeout, "seconds, or None for no limit")
        return self._finished.wait(None if seconds is None else min(seconds, threading.TIMEOUT_MAX))

    def give_way(self, keep: Sequence[Output], quant: Quant) -> None:
        """Asks to stop, when ``quant`` says, for the next player of this name, which goes on with outputs ``keep``.

        Where it waits itself, what it waits for stops then: the last word counts.
        """
        self.keep(keep)
        self._give_way(quant)

    def _give_way(self, quant: Quant) -> None:
        self._relay.give_way(quant, self._clock.now())
        self._loop.wake.set()
        before = self._before
        if before is not None:
            before._give_way(quant)  # noqa: SLF001 - likewise a player

    def keep(self, outputs: Sequence[Output]) -> None:
        """These the player that follows goes on with: it leaves them open, and so do those before it."""
        self._keep = (*self._keep, *outputs)
        before = self._before
        if before is not None:
            before.keep(outputs)

    def disown(self, taken: Sequence[Output]) -> None:
        """Sends nothing more to these outputs, though one of them has not returned yet."""
        self._desk.disown(taken)

    def ask_to_stop(self, *, panic: bool = False) -> None:
        """Like ``stop``, but returns at once. ``panic``: outputs fall silent before anything else."""
        self._panics = self._panics or panic
        self._loop.stop.set()
        self._loop.wake.set()
        before = self._before
        if before is not None:
            before.ask_to_stop(panic=panic)

    def tell(self, switch: Literal["paused", "muted", "silenced"], *, on: bool) -> None:
        """Sets a switch, also of the players that it waits for: they are what is heard of it."""
        setattr(self._loop, switch, on)
        self._loop.wake.set()
        before = self._before
        if before is not None:
            before.tell(switch, on=on)

    def choose(self, wanted: tuple[Output, ...]) -> None:
        """Sends to these outputs from the next step on.

        Raises:
            OutputError: one that cannot be opened; all stays as it was.
            ControlError: it has stopped.
        """
        with self._choice.changing:
            before, held = self._before, self.holding()
            new = [output for output in wanted if not is_among(output, held)]
            self._desk.open(new, self._course.voices, self._course.stage)
            if before is not None:
                before.keep(wanted)
                self._shared = (*self._shared, *before.holding())
            self._choice.want(wanted, new)
            self._loop.wake.set()

    def _run(self) -> None:
        self._realtime = self._urgent and urgency.hurry()
        try:
            if self._take_over():
                self._loop.run()
        except BaseException as err:  # noqa: BLE001 - whatever a stream raises must leave pen up and files complete
            self._fail(err)
        try:
            self._end()
        except BaseException as err:  # noqa: BLE001 - nothing is printed from a thread
            self._fail(err)
        finally:
            self._finished.set()
            self.over()

    def _fail(self, err: BaseException) -> None:
        self.error = self.error or err
        _LOG.error("%s: stopped: %s: %s", self.name, type(err).__name__, err)

    def _end(self) -> None:
        """Leaves everything at a clean place."""
        if self._panics:
            self._desk.panic()
        self._choice.end(STOP_LIMIT)
        if self.handed is None and self._loop.tally.steps and self.error is None:
            self._loop.hand_over(self._clock.now())
        farewell: CueKind = "swap" if self._relay.asked and not self._loop.stop.is_set() else "hush"
        self._desk.finish(self._clock.now(), farewell, self._keep)
        self._course.close()

    def over(self) -> None:
        """Called by its own thread when it has stopped."""

    def _take_over(self) -> bool:
        """Waits for the player before this one; whether there is something to play."""
        before = self._before
        if before is None:
            return True
        seen, stuck = -1, 0.0
        while not before.wait(_TURN):
            stuck = stuck + _TURN if before.turns == seen else 0.0
            self._loop.turns += before.turns != seen  # whoever waits for this one sees that it lives
            seen = before.turns
            if stuck >= STOP_LIMIT:
                before.disown((*self.outputs, *self._keep))
                before.ask_to_stop()
                _LOG.error("%s: an output has not returned for %g s; taken over all the same", self.name, STOP_LIMIT)
                break
        if self._loop.stop.is_set():  # it only closes what was left to it
            return False
        self._desk.reopen(
            [output for output in self.outputs if is_among(output, self._shared)],
            self._course.voices,
            self._course.stage,
        )
        self._before, self._shared = None, ()
        self._relay.begun = before.handed
        moment, at_once = self._relay.begun or (self._clock.now(), True)
        self._course.walk.go_on(moment, at_once=at_once)
        return True


def is_among(output: Output, outputs: Iterable[Output]) -> bool:
    """Whether it is one of these very objects."""
    return any(output is other for other in outputs)


def in_player_thread() -> bool:
    """Whether this is the thread of a player: it may ask players to stop, but not wait for them."""
    return threading.current_thread().name.startswith(THREADS)
