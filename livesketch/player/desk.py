"""The outputs of one performance: events with their cues go out, and no output can stop the others."""

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ..cues import CueMaker
from ..events import Change, Cue, CueKind, Event, PenAction
from ..outputs.base import Output, Stage
from .log import ring
from .tempo import Tempo

_LOG: Final = logging.getLogger("livesketch")
_LOG.addHandler(ring)  # nothing is printed into a prompt unless the performer asks for it


@dataclass(slots=True)
class Trouble:
    """What went wrong with one output: counted, the first one logged, never raised into the performance."""

    count: int = 0
    first: BaseException | None = None


@dataclass(slots=True)
class Desk:
    """Sends the events of one named performance to its outputs, each voice with its cues around it."""

    name: str
    outputs: tuple[Output, ...]
    muted: bool = False
    tempo: Tempo | None = None
    """What outputs that follow the beat (``follow_tempo``) are told before they are opened."""
    troubles: dict[int | str, Trouble] = field(default_factory=dict)
    _waiting: list[Event] = field(default_factory=list)
    """Events that outputs which send at once do not have yet."""
    _cues: dict[int, CueMaker] = field(default_factory=dict)
    _latest: PenAction | None = None
    _lifts: bool = False
    """All pens go up once what was prepared is out."""
    _controls: dict[str, Any] = field(default_factory=dict)
    """What the stream's controls are, as far as they were told."""
    _recorders: tuple[Output, ...] = ()
    """Outputs that know of them, if they record."""

    @property
    def paced(self) -> bool:
        """Whether an output sets the pace, as a plotter does."""
        return any(output.paces for output in self.outputs)

    def open(self, outputs: Sequence[Output], voices: int, stage: Stage) -> None:
        """Opens these outputs; what one raises goes to the caller, and these are closed."""
        try:
            for output in outputs:
                if self.tempo is not None and hasattr(output, "follow_tempo"):
                    output.follow_tempo(self.tempo)
                output.open(self.name, voices, stage)
        except BaseException:
            for output in outputs:
                self._attempt(output, output.close)
            raise

    def close(self, outputs: Iterable[Output]) -> None:
        """Closes these, which nobody sends to."""
        for output in outputs:
            self._attempt(output, output.close)

    def reopen(self, outputs: Iterable[Output], voices: int, stage: Stage) -> None:
        """Opens outputs that were open before, for another stream or player; one that fails does not stop the rest."""
        self._controls.clear()
        for output in outputs:
            self._attempt(output, self.open, [output], voices, stage)

    def disown(self, taken: Sequence[Output]) -> None:
        """Sends nothing more to these outputs, which another desk has now; the others are still its own to close."""
        self.outputs = tuple(output for output in self.outputs if all(output is not other for other in taken))

    def change(self, outputs: tuple[Output, ...], opened: Iterable[Output] = ()) -> None:
        """Sends to these, which are open, from now on; those that go are lifted and closed, of ``opened`` too."""
        before = {id(output): output for output in (*self.outputs, *opened)}
        gone = [output for output in before.values() if all(output is not other for other in outputs)]
        self.outputs = outputs
        for output in gone:
            self._attempt(output, output.lift)
            self._attempt(output, output.close)

    def mute(self, at: float, *, on: bool) -> None:
        """Nothing goes out any more, pen up first; or again."""
        if on:
            self._close_all(at)
            self.lift()
        self.muted = on

    def lift(self) -> None:
        """Pen up everywhere, notes off; more may follow."""
        for output in self.outputs:
            self._attempt(output, output.lift)

    def panic(self) -> None:
        """Silence now: what an output has for that, else pen up."""
        for output in self.outputs:
            self._attempt(output, getattr(output, "panic", output.lift))

    def complain(self, what: str, err: BaseException) -> None:
        """Something of the performer's failed: counted, and said once."""
        self._note(what, err, lambda: f"{what}: {err or type(err).__name__}; what was before stays")

    def send(self, event: Event, at: float) -> None:
        """One event that is due now."""
        self.prepare(event, at)
        self.release()

    def prepare(self, event: Event, at: float) -> None:
        """One event, due at ``at``, under this performance's name, with the cues that belong to it.

        Outputs that only queue (``queues``) have it at once; the others with ``release``.
        """
        event = replace(event, at=at, name=self.name)
        if isinstance(event, PenAction):
            self._latest = event
        if self.muted:
            return
        if isinstance(event, Cue):
            self._part(event.kind, at)
            return
        if not isinstance(event, PenAction):
            self._queue([event])
            return
        maker = self._cues.get(event.voice)
        if maker is None:
            maker = self._cues[event.voice] = CueMaker()
        self._queue(maker.events(event))

    def release(self) -> None:
        """What was prepared is due."""
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            for output in self.outputs:
                if not getattr(output, "queues", False):
                    self._attempt(output, output.send, event)
        if self._lifts:
            self._lifts = False
            self.lift()

    def _part(self, kind: CueKind, at: float) -> None:
        """A recording comes to where one player ended and another began: as ``finish``, but that all stays open."""
        for voice in sorted(self._cues):
            self._queue(self._cues[voice].close(at))
        self._cues.clear()
        self._queue(self._farewell(kind, at))
        self._lifts = True

    def _farewell(self, kind: CueKind, at: float) -> list[Cue]:
        """Where the pen was last; none where there was no pen."""
        action = self._latest
        if action is None:
            return []
        return [Cue(at, self.name, action.voice, action.drawing, action.step, kind, action.x, action.y)]

    def tell(self, changes: Iterable[tuple[str, Any]], event: Event, at: float) -> None:
        """Controls that were changed before this event, to the outputs that record (``records``).

        One that came later than the others is told all of them.
        """
        changed = list(changes)
        if not changed and self._recorders is self.outputs:
            return
        self._controls.update(changed)
        number = event.drawing if isinstance(event, PenAction) else getattr(event, "piece", 0)
        known = {id(output) for output in self._recorders}
        for output in self.outputs:
            if getattr(output, "records", False):
                for control, value in changed if id(output) in known else self._controls.items():
                    change = Change(at, self.name, event.voice, number, event.step, control, value)
                    self._attempt(output, output.send, change)
        self._recorders = self.outputs

    def tick(self, now: float) -> None:
        """Once after each step, and now and then while waiting."""
        for output in self.outputs:
            self._attempt(output, output.tick, now)

    def next_tick(self) -> float:
        """When the first of the outputs that say so wants to be ticked; infinity where none does."""
        soonest = math.inf
        for output in self.outputs:
            try:
                wanted = getattr(output, "next_tick", None)
                soonest = soonest if wanted is None else min(soonest, wanted)
            except (Exception, SystemExit) as err:  # noqa: BLE001 - invariant 5
                self._fault(output, err)
        return soonest

    def finish(self, at: float, kind: CueKind, keep: Iterable[Output] = ()) -> None:
        """Pen up everywhere, open strokes and drawings ended, a cue that says why; closes all outputs but ``keep``."""
        self._close_all(at)
        self._send_all(self._farewell(kind, at))
        kept = {id(output) for output in keep}
        for output in self.outputs:
            self._attempt(output, output.lift)
            if id(output) not in kept:
                self._attempt(output, output.close)

    def _close_all(self, at: float) -> None:
        for voice in sorted(self._cues):
            self._send_all(self._cues[voice].close(at))

    def _queue(self, events: Sequence[Event]) -> None:
        self._waiting += events
        for event in events:
            for output in self.outputs:
                if getattr(output, "queues", False):
                    self._attempt(output, output.send, event)

    def _send_all(self, events: Iterable[Event]) -> None:
        for event in events:
            for output in self.outputs:
                self._attempt(output, output.send, event)

    def _attempt(self, output: Output, act: Callable[..., None], *values: object) -> None:
        try:
            act(*values)
        except (Exception, SystemExit) as err:  # noqa: BLE001 - invariant 5: an output's fault never stops the rest
            self._fault(output, err)

    def _fault(self, output: Output, err: BaseException) -> None:
        self._note(id(output), err, lambda: f"output {output!r}: {err}")

    def _note(self, key: int | str, err: BaseException, say: Callable[[], str]) -> None:
        trouble = self.troubles.setdefault(key, Trouble())
        trouble.count += 1
        if trouble.count == 1:
            trouble.first = err
            try:
                said = say()
            except (Exception, SystemExit):  # noqa: BLE001 - what cannot be put into words is told all the same
                said = f"{key if isinstance(key, str) else 'an output'}: {type(err).__name__}"
            _LOG.warning("%s: %s (said once; counted in stats)", self.name, said)
