"""The thread of a player: it asks for the next step, waits until it is due, and sends it."""

import logging
import math
import threading
from collections.abc import Callable, Iterable, Sequence, Sized
from typing import Final, Literal, Self, TypeAlias

from ..errors import ControlError, OutputError
from ..events import CueKind, Event, PenAction, Token
from ..outputs.base import Output
from ..patterns import Pattern
from ..values import real
from . import urgency
from .clock import Clock
from .course import Course, How, ends
from .desk import Desk
from .lateness import Lateness
from .pace import Steps, boundary
from .playable import Playable, stage_of
from .tempo import Tempo

Quant: TypeAlias = Literal["now", "step", "stroke", "drawing", "beat", "bar"]
Handover: TypeAlias = tuple[float, bool]
"""A moment, seconds; and whether a step is due at that moment itself, or the last one was due then."""

TICK: Final = 0.02
"""Longest wait between two ticks, seconds."""
THREADS: Final = "livesketch-player-"
"""What the names of players' threads begin with."""
STOP_LIMIT: Final = 5.0
"""Longest wait for a player to stop, seconds: an output that blocks must not hang the performer."""
LATE: Final = 1.0
"""Seconds of lateness after which the missed time is skipped instead of made up for."""
LEAD: Final = 0.001
"""Seconds before a step is due in which it is taken and put into the outputs' queues: then only the sending is left."""
SPARE: Final = 0.002
"""Seconds before a step is due in which no other is made ahead."""
_TURN: Final = 0.05
_LOG: Final = logging.getLogger("livesketch")


class Playing:
    """A stream on a clock, sent to outputs from a thread of its own; what a performer sees of it is ``Player``."""

    __slots__ = (
        "__weakref__", "_before", "_begun", "_choosing", "_clock", "_course", "_cut", "_desk", "_done", "_drawings",
        "_ended", "_finished", "_handed", "_how", "_keep", "_last", "_late", "_muted", "_panics", "_paused", "_quant",
        "_rate_pattern", "_realtime", "_rest_until", "_shared", "_silenced", "_skipped", "_stage", "_step_time",
        "_steps", "_stop", "_tempo", "_thread", "_turns", "_until", "_urgent", "_voices", "_wake", "_wanted", "error",
        "name",
    )  # fmt: skip

    def __init__(
        self, stream: Playable, outputs: Sequence[Output], how: How, name: str, clock: Clock, tempo: Tempo, *,
        urgent: bool = False,
    ) -> None:  # fmt: skip
        """``urgent``: the system is asked to run its thread before others."""
        self.name = name
        self._urgent, self._realtime = urgent, False
        self.error: BaseException | None = None
        """What the stream raised, where that ended the play."""
        self._how, self._clock, self._tempo = how, clock, tempo
        self._rest_until = getattr(clock, "rest_until", clock.wait_until)
        self._desk = Desk(name, tuple(outputs), tempo=tempo)
        self._stage, self._voices = stage_of(stream), _voices_of(stream)
        self._course = Course(stream, how, tempo, clock.now())
        self._stop, self._finished, self._wake = threading.Event(), threading.Event(), threading.Event()
        self._keep: tuple[Output, ...] = ()
        self._quant: Quant | None = None
        """When to give way to the next player of this name; None: there is none."""
        self._until = math.inf
        """The beat of that, where it is one."""
        self._ended = False
        """No other outputs are taken any more."""
        self._begun: Handover | None = None
        """What the player before it left to it."""
        self._handed: Handover | None = None
        self._steps = self._drawings = self._cut = self._turns = 0
        self._late, self._step_time, self._skipped = Lateness(), Lateness(), 0.0
        self._last: Event | None = None
        """Of the last step."""
        self._done: set[int] = set()
        self._paused = self._muted = self._silenced = self._panics = False
        self._wanted: list[tuple[Output, ...]] = []
        """Outputs that were set and are not in use yet, one choice after the other."""
        self._choosing = threading.RLock()
        """Held while outputs are set or taken up, so that none is opened that is just being closed."""
        self._rate_pattern: Pattern | None = None
        self._before: Playing | None = None
        self._shared: tuple[Output, ...] = ()
        self._thread = threading.Thread(target=self._run, name=f"{THREADS}{name}", daemon=True)

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Those it sends to, or shall from the next step on."""
        return self._wanted[-1] if self._wanted else self._desk.outputs

    @property
    def playing(self) -> bool:
        """Whether it still plays; also while it is paused."""
        return self._thread.ident is not None and not self._finished.is_set()

    @property
    def muted(self) -> bool:
        """Whether nothing of it goes out, by ``mute`` or another player's ``solo``."""
        return self._muted or self._silenced

    def start(self, before: "Playing | None" = None, quant: Quant = "stroke") -> Self:
        """Opens the outputs and begins to play; ``livesketch.play`` does it.

        ``before`` gives way, at the end of what ``quant`` says: outputs that both have stay open and are handed over by
        its own thread, so that no output is ever in two threads. Nothing here waits.

        Raises:
            OutputError: an output that cannot be opened; then ``before`` plays on and what was opened is closed.
        """
        kept = () if before is None else before.holding()
        new = [output for output in self.outputs if not is_among(output, kept)]
        self._desk.open(new, self._voices, self._stage)
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
        self._until = math.inf
        if quant in {"beat", "bar"}:
            grid = 1 if quant == "beat" else self._tempo.bar
            self._until = math.floor(self._tempo.beat(self._clock.now()) / grid + 1) * grid
        self._quant = quant
        self._wake.set()
        before = self._before
        if before is not None:
            before._give_way(quant)  # noqa: SLF001 - likewise a player

    def disown(self, taken: Sequence[Output]) -> None:
        """Sends nothing more to these outputs, though one of them has not returned yet."""
        self._desk.disown(taken)

    def ask_to_stop(self, *, panic: bool = False) -> None:
        """Like ``stop``, but returns at once. ``panic``: outputs fall silent before anything else."""
        self._panics = self._panics or panic
        self._stop.set()
        self._wake.set()
        before = self._before
        if before is not None:
            before.ask_to_stop(panic=panic)

    def _run(self) -> None:
        self._realtime = self._urgent and urgency.hurry()
        try:
            if self._take_over():
                self._play()
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
        self._ended = True
        self._change(patience=STOP_LIMIT)
        if self._handed is None and self._steps and self.error is None:
            self._handed = self._place(self._clock.now())
        farewell: CueKind = "swap" if self._quant is not None and not self._stop.is_set() else "hush"
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
            self._turns += before.turns != seen  # whoever waits for this one sees that it lives
            seen = before.turns
            if stuck >= STOP_LIMIT:
                before.disown((*self.outputs, *self._keep))
                before.ask_to_stop()
                _LOG.error("%s: an output has not returned for %g s; taken over all the same", self.name, STOP_LIMIT)
                break
        if self._stop.is_set():  # it only closes what was left to it
            return False
        self._desk.reopen(
            [output for output in self.outputs if is_among(output, self._shared)], self._voices, self._stage
        )
        self._before, self._shared = None, ()
        self._begun = before.handed
        moment, at_once = self._begun or (self._clock.now(), True)
        self._course.walk.go_on(moment, at_once=at_once)
        return True

    @property
    def handed(self) -> Handover | None:
        """What it left to the player that follows it; None: it began nothing, or failed."""
        return self._handed

    @property
    def turns(self) -> int:
        """Grows as long as its thread is alive."""
        return self._turns

    def _play(self) -> None:
        while (due := self._wait()) is not None:
            if not self._step(due):
                return

    def _wait(self) -> float | None:
        """Until the next step is due, ticking the outputs meanwhile; gives when it was due. None: it is over."""
        lifted = False
        while True:
            self._wake.clear()
            self._turns += 1
            now = self._clock.now()
            if self._stop.is_set() or self._gives_way(now):
                return None
            self._obey()
            self._course.heed(now)
            if self._paused:
                if not lifted:
                    lifted = True
                    self._desk.lift()
                self._clock.wait_until(min(now + TICK, self._desk.next_tick()), self._wake)
                self._desk.tick(self._clock.now())
                continue
            if lifted:
                lifted = False
                self._course.walk.go_on(now)
            due = self._course.due()
            if due is None:
                return None
            early = self._early(due)
            if now >= early:
                return due
            if self._sleep(now, early) < early:
                self._desk.tick(self._clock.now())

    def _early(self, due: float) -> float:
        """When a step that is due then is taken; one that the next player begins with, not before that."""
        until = self._tempo.time(self._until)
        if due >= until - 1e-9:
            return max(due, until)
        return due if self._desk.paced else due - LEAD

    def _sleep(self, now: float, early: float) -> float:
        """Until then, or whatever comes before; gives the time it is."""
        tick = self._desk.next_tick()
        if min(early, tick) - now > SPARE and self._prepare():
            return early
        turn = min(early, self._tempo.time(self._until), tick)
        if tick < early and turn <= now + TICK:
            self._clock.wait_until(turn, self._wake)
        else:
            self._rest_until(min(turn, now + TICK), self._wake)
        return self._clock.now()

    def _prepare(self) -> bool:
        began = self._clock.now()
        done = self._course.prepare()
        if done:
            self._step_time.add(self._clock.now() - began)
        return done

    def _gives_way(self, now: float) -> bool:
        quant = self._quant
        if quant is None:
            return False
        if quant in {"beat", "bar"}:
            ready = now >= self._tempo.time(self._until)
        else:
            last = self._last
            ends = last is None or boundary(last, "drawing" if quant == "drawing" else "stroke")
            ready = ends or self._paused or quant in {"now", "step"}
        if ready:
            self._handed = self._place(now)
        return ready

    def _place(self, now: float) -> Handover | None:
        """Where in time the next player of this name goes on."""
        if self._quant in {"beat", "bar"}:
            moment = self._tempo.time(self._until)
            return moment, not self._steps or self._course.walk.last < moment - 1e-9
        if self._paused:
            return now, True
        return (self._course.walk.last, False) if self._steps else self._begun

    def _obey(self) -> None:
        """Does what was asked for since."""
        if self._wanted:
            self._change()
        if self._desk.muted is not self.muted:
            self._desk.mute(self._clock.now(), on=self.muted)

    def _change(self, *, patience: float = 0.0) -> None:
        """Takes up the outputs that were set last; not while others are being opened, for which nothing here waits."""
        if not self._choosing.acquire(timeout=patience):
            return
        try:
            choices = [*self._wanted]
            if choices:
                self._desk.change(choices[-1], [output for choice in choices for output in choice])
            self._wanted.clear()  # only now: until then it says which outputs there are
        finally:
            self._choosing.release()

    def _step(self, due: float) -> bool:
        """Plays the step that is due; whether there may be another."""
        now = self._clock.now()
        skipped = self._lateness(now - due)
        if skipped:
            self._course.walk.skip(skipped, catch_up=self._desk.paced)
            again = self._course.due()
            if again is None or again > now + 1e-6:  # on the next place of the grid
                return again is not None
            due = again
        events = self._course.take(due)
        if not events:
            return events is not None  # it was taken back: what comes instead is due
        self._desk.tell(self._course.changes, events[0], due)
        for event in events:
            if event.voice not in self._done:
                self._desk.prepare(event, due)
                self._count(event)
        self._steps += 1
        self._clock.wait_until(due, self._stop)
        if not self._desk.paced and not skipped:
            self._late.add(self._clock.now() - due)
        self._desk.release()
        self._desk.tick(self._clock.now())
        self._last = events[-1]
        self._turn_rate(due)
        return len(self._done) < self._voices and (not ends(events) or self._follow())

    def _turn_rate(self, due: float) -> None:
        pattern = self._rate_pattern
        if pattern is None:
            return

        def turn() -> None:
            pace = Steps(pattern(self._tempo.beat(due)))
            if self._rate_pattern is pattern:  # it may have taken its time
                self._course.turn(pace)

        self._try("rate", turn)

    def _follow(self) -> bool:
        """What follows a drawing; one voice of several goes on by itself."""
        if self._how.then in ("next", "stop") or self._voices > 1:
            return True
        before, kept = self._course.stream, True

        def turn() -> None:
            nonlocal kept
            kept = self._course.follow()

        self._try("then", turn)
        if kept and self._course.stream is not before:
            self._stage = stage_of(self._course.stream)
            self._voices = _voices_of(self._course.stream)
            self._desk.reopen(self._desk.outputs, self._voices, self._stage)
        return kept

    def tell(self, state: str, value: bool) -> None:
        """Sets ``_paused`` and the like, also of the players that it waits for: they are what is heard of it."""
        setattr(self, state, value)
        self._wake.set()
        before = self._before
        if before is not None:
            before.tell(state, value)

    def choose(self, wanted: tuple[Output, ...]) -> None:
        """Sends to these outputs from the next step on.

        Raises:
            OutputError: one that cannot be opened; all stays as it was.
            ControlError: it has stopped.
        """
        with self._choosing:
            before, held = self._before, self.holding()
            new = [output for output in wanted if not is_among(output, held)]
            self._desk.open(new, self._voices, self._stage)
            if before is not None:
                before.keep(wanted)
                self._shared = (*self._shared, *before.holding())
            if self._ended:  # meanwhile
                self._desk.close(new)
                raise ControlError(f"{self.name!r} has stopped; expected a player that plays: play the stream again")
            self._wanted.append(wanted)
            self._wake.set()

    def keep(self, outputs: Sequence[Output]) -> None:
        """These the player that follows goes on with: it leaves them open, and so do those before it."""
        self._keep = (*self._keep, *outputs)
        before = self._before
        if before is not None:
            before.keep(outputs)

    def _try(self, what: str, act: Callable[[], None]) -> None:
        """Something of the performer's: where it fails, what was before stays, and it is said once."""
        try:
            act()
        except (Exception, SystemExit) as err:  # noqa: BLE001 - a mistake on stage must not end the performance
            self._desk.complain(what, err)

    def _lateness(self, late: float) -> float:
        """Seconds to leave out: all of it where an output sets the pace, or the machine was away; else none."""
        if self._desk.paced:
            return max(0.0, late)
        if late <= LATE:
            return 0.0
        self._late.add(late)
        self._skipped += late
        return late

    def _count(self, event: Event) -> None:
        if isinstance(event, PenAction | Token) and event.last:
            self._drawings += 1
            self._cut += not event.ended
            if self._how.then == "stop":
                self._done.add(event.voice)


def _voices_of(stream: Playable) -> int:
    return len(stream) if isinstance(stream, Sized) else 1


def is_among(output: Output, outputs: Iterable[Output]) -> bool:
    """Whether it is one of these very objects."""
    return any(output is other for other in outputs)


def in_player_thread() -> bool:
    """Whether this is the thread of a player: it may ask players to stop, but not wait for them."""
    return threading.current_thread().name.startswith(THREADS)
