"""What a player's thread does from its first step to its last: it waits, takes the step that is due, and sends it."""

import threading
from collections.abc import Callable
from typing import Final

from ..events import Event
from ..patterns import Pattern
from .choice import Choice
from .clock import Clock
from .course import Course, ends
from .desk import Desk
from .pace import Steps
from .relay import Relay
from .tally import Tally
from .tempo import Tempo

TICK: Final = 0.02
"""Longest wait between two ticks, seconds."""
LATE: Final = 1.0
"""Seconds of lateness after which the missed time is skipped instead of made up for."""
LEAD: Final = 0.001
"""Seconds before a step is due in which it is taken and put into the outputs' queues: then only the sending is left."""
SPARE: Final = 0.002
"""Seconds before a step is due in which no other is made ahead."""


class Loop:
    """Runs in one thread. What is set from others (the switches, ``stop``, ``wake``) it looks at before each step."""

    __slots__ = (
        "_choice", "_clock", "_course", "_desk", "_done", "_last", "_relay", "_rest_until", "_tempo", "muted", "paused",
        "rate", "silenced", "stop", "tally", "turns", "wake",
    )  # fmt: skip

    def __init__(
        self, course: Course, desk: Desk, choice: Choice, relay: Relay, clock: Clock, tempo: Tempo
    ) -> None:  # fmt: skip
        self._course, self._desk, self._choice, self._relay = course, desk, choice, relay
        self._clock, self._tempo = clock, tempo
        self._rest_until = getattr(clock, "rest_until", clock.wait_until)
        self.stop, self.wake = threading.Event(), threading.Event()
        self.paused = self.muted = self.silenced = False
        """``silenced``: by another player's ``solo``."""
        self.rate: Pattern | None = None
        """Steps per second as a function of the beat."""
        self.tally = Tally()
        self.turns = 0
        """Grows as long as the thread is alive."""
        self._last: Event | None = None
        """Of the last step."""
        self._done: set[int] = set()
        """Voices that have drawn what they shall."""

    @property
    def silent(self) -> bool:
        """Whether nothing goes out."""
        return self.muted or self.silenced

    def run(self) -> None:
        """Plays until it is stopped, or gives way, or the stream is over.

        Raises:
            Whatever the stream raises.
        """
        while (due := self._wait()) is not None:
            if not self._step(due):
                return

    def hand_over(self, now: float) -> None:
        """Says where in time the next player of this name goes on."""
        last = self._course.walk.last if self.tally.steps else None
        self._relay.hand_over(now, last, paused=self.paused)

    def _wait(self) -> float | None:
        """Until the next step is due, ticking the outputs meanwhile; gives when it was due. None: it is over."""
        lifted = False
        while True:
            self.wake.clear()
            self.turns += 1
            now = self._clock.now()
            if self.stop.is_set() or self._gives_way(now):
                return None
            self._obey()
            self._course.heed(now)
            if self.paused:
                if not lifted:
                    lifted = True
                    self._desk.lift()
                self._clock.wait_until(min(now + TICK, self._desk.next_tick()), self.wake)
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

    def _gives_way(self, now: float) -> bool:
        ready = self._relay.ready(now, self._last, paused=self.paused)
        if ready:
            self.hand_over(now)
        return ready

    def _obey(self) -> None:
        """Does what was asked for since."""
        if self._choice.waits:
            self._choice.take_up()
        if self._desk.muted is not self.silent:
            self._desk.mute(self._clock.now(), on=self.silent)

    def _early(self, due: float) -> float:
        """When a step that is due then is taken; one that the next player begins with, not before that."""
        if self._relay.taken(due):
            return max(due, self._relay.until)
        return due if self._desk.paced else due - LEAD

    def _sleep(self, now: float, early: float) -> float:
        """Until then, or whatever comes before; gives the time it is."""
        tick = self._desk.next_tick()
        if min(early, tick) - now > SPARE and self._prepare():
            return early
        turn = min(early, self._relay.until, tick)
        if tick < early and turn <= now + TICK:
            self._clock.wait_until(turn, self.wake)
        else:
            self._rest_until(min(turn, now + TICK), self.wake)
        return self._clock.now()

    def _prepare(self) -> bool:
        began = self._clock.now()
        done = self._course.prepare()
        if done:
            self.tally.step_time.add(self._clock.now() - began)
        return done

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
        if self._course.turned:
            self._begin()
        self._desk.tell(self._course.changes, events[0], due)
        for event in events:
            if event.voice not in self._done:
                self._desk.prepare(event, due)
                if self.tally.count(event) and self._course.how.then == "stop":
                    self._done.add(event.voice)
        self.tally.steps += 1
        self._clock.wait_until(due, self.stop)
        if not self._desk.paced and not skipped:
            self.tally.late.add(self._clock.now() - due)
        self._desk.release()
        self._desk.tick(self._clock.now())
        self._last = events[-1]
        self._turn_rate(due)
        return len(self._done) < self._course.voices and (not ends(events) or self._follow())

    def _lateness(self, late: float) -> float:
        """Seconds to leave out: all of it where an output sets the pace, or the machine was away; else none."""
        if self._desk.paced:
            return max(0.0, late)
        if late <= LATE:
            return 0.0
        self.tally.skip(late)
        return late

    def _turn_rate(self, due: float) -> None:
        pattern = self.rate
        if pattern is None:
            return

        def turn() -> None:
            pace = Steps(pattern(self._tempo.beat(due)))
            if self.rate is pattern:  # it may have taken its time
                self._course.turn(pace)

        self._try("rate", turn)

    def _follow(self) -> bool:
        """What follows a drawing; one voice of several goes on by itself."""
        if self._course.how.then in ("next", "stop") or self._course.voices > 1:
            return True
        before, kept = self._course.stream, True

        def turn() -> None:
            nonlocal kept
            kept = self._course.follow()

        self._try("then", turn)
        if kept and self._course.stream is not before:
            self._begin()
        return kept

    def _begin(self) -> None:
        """Another stream begins: the outputs are told."""
        self._done.clear()
        self._desk.reopen(self._desk.outputs, self._course.voices, self._course.stage)

    def _try(self, what: str, act: Callable[[], None]) -> None:
        """Something of the performer's: where it fails, what was before stays, and it is said once."""
        try:
            act()
        except (Exception, SystemExit) as err:  # noqa: BLE001 - a mistake on stage must not end the performance
            self._desk.complain(what, err)
