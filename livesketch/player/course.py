"""The way of one stream through time: which step comes next, when it is due, and what follows a drawing.

No thread and no output here: a player asks, waits, and takes.
"""

from collections.abc import Callable, Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from ..errors import ControlError
from ..events import Event, PenAction
from .ahead import MOST, Ahead, Made, Note
from .pace import Pace, boundary
from .place import Place, Shift, placed
from .playable import Playable, stage_of
from .tempo import Tempo
from .walk import Walk

Follow: TypeAlias = Callable[[Any], Any]
"""Given the stream at the end of a drawing, gives the stream that goes on (it may be the same), or None for the end."""
Then: TypeAlias = Literal["next", "stop", "repeat"] | Sequence[Playable] | Follow

_WORDS: Final = ("next", "stop", "repeat")


@dataclass(frozen=True, slots=True)
class How:
    """What a person asks for besides stream and outputs; checked."""

    pace: Pace
    then: Then
    lookahead: float
    """Seconds; 0: steps are made when they are due."""
    place: Place | None


class Course:
    """One stream, its pace, and the steps that are made ahead of time."""

    def __init__(self, stream: Playable, how: How, tempo: Tempo, start: float) -> None:
        self.how = how
        self.walk = Walk(how.pace, tempo, stream.seed, start)
        self.pace = how.pace
        """May be set at any time, from any thread; ``heed`` takes it up."""
        self._queue: Iterator[Playable] | None = None
        self._due: float | None = None
        self._shift: Shift | None = None
        self._seen: Made | None = None
        self._left = 1
        self.changes: tuple[Note, ...] = ()
        """Controls that were changed before the step that was taken last."""
        self.turned = False
        """Whether outputs are to be told anew what plays, before that step."""
        self._follow(stream)

    def _follow(self, stream: Playable) -> None:
        self.stage, self.voices = stage_of(stream), len(stream) if isinstance(stream, Sized) else 1
        """What outputs are told of the stream."""
        self.stream = stream
        self._ahead: Ahead | None = None
        self._seen = None

    @property
    def ahead(self) -> Ahead:
        """The steps that are made ahead; nothing is until this is asked for, as another player may have the stream."""
        if self._ahead is None:
            self._ahead = Ahead(self.stream, whole=self.how.then not in ("next", "stop"))
        return self._ahead

    @property
    def taken_back(self) -> int:
        """Steps of this stream that were made in vain."""
        return self._ahead.taken_back if self._ahead is not None else 0

    def heed(self, now: float) -> None:
        """Takes up a pace that was set; a step that this makes overdue is due now, so that nothing comes in a rush."""
        if self.pace is not self.walk.pace:
            self.walk.change(self.pace, now if self._due is None else min(now, self._due))
            self._seen = None

    def turn(self, pace: Pace) -> None:
        """Another pace, set between two steps by what plays."""
        self.pace = self.walk.pace = pace
        self._seen = None

    def due(self) -> float | None:
        """When the next step is due, seconds; None: there is none any more.

        Raises:
            Whatever the stream raises.
        """
        if self._at_due():
            self._due = self.walk.due((), 1)
            return self._due
        self._say_beat()
        made = self.ahead.first()
        if made is None:
            return None
        if made is not self._seen:
            self._left = 1 if self.walk.pace.part == "step" else self.ahead.part(self.walk.pace.part)
            if self.how.place is not None and _begins(made):
                self._place(self.how.place)
            self._seen = made
        self._due = self.walk.due(made.events, self._left)
        return self._due

    def _at_due(self) -> bool:
        """Whether the next step is made only when it is due: nobody needs to know it before."""
        sees = getattr(self.walk.pace, "looks", True) or self.how.place is not None
        return not sees and not len(self.ahead) and (not self.how.lookahead or not self.ahead.rewindable)

    def _place(self, place: Place) -> None:
        drawing = 0
        while True:  # a change may take back what was looked at
            count = self.ahead.part("drawing")
            steps = self.ahead.made(count)
            if len(steps) == count:
                break
        for made in steps[:1]:
            drawing = next((event.drawing for event in made.events if isinstance(event, PenAction)), 0)
        self._shift = placed(place, drawing, (event for made in steps for event in made.events))

    def prepare(self) -> bool:
        """Makes one more step ahead where there is room; whether it did."""
        if not self.how.lookahead or not self.ahead.rewindable or self._seen is None:
            return False
        count = len(self.ahead)
        if count >= MOST or self.walk.guess(count) > self.walk.guess(0) + self.how.lookahead:
            return False
        self._say_beat()
        return self.ahead.make()

    def _say_beat(self) -> None:
        """Tells the beat of the step that is made next, for controls that follow it."""
        self.ahead.beat = self.walk.tempo.beat(self.walk.guess(len(self.ahead)))

    def take(self, due: float) -> Sequence[Event] | None:
        """The events of the step that is due now; none where it was taken back meanwhile; None: the stream is over.

        Raises:
            Whatever the stream raises.
        """
        self.ahead.beat = self.walk.tempo.beat(due)
        made = self.ahead.first()
        if made is None:
            return None
        if self._seen is not None and made is not self._seen:
            return ()
        if not self.ahead.take(made):
            return ()
        self.walk.took(made.events, self._left, due)
        self.changes, self.turned = made.changes, made.turned is not None
        if made.turned is not None:
            self.stage, self.voices = made.turned
        self._seen = self._due = None
        if self._shift is None:
            return made.events
        shift = self._shift
        return [shift.of(event) if isinstance(event, PenAction) else event for event in made.events]

    def follow(self) -> bool:
        """A drawing is over: what follows it, as ``then`` says; False: nothing.

        Raises:
            Whatever a function of a person's raises.
        """
        then = self.how.then
        if then == "next":
            return True
        if then == "stop":
            return False
        if then == "repeat":
            self.stream.restart()  # type: ignore[attr-defined]
            return True
        if callable(then):
            coming = then(self.stream)
        else:
            self._queue = self._queue or iter(then)
            coming = next(self._queue, None)
        if coming is None:
            return False
        if coming is not self.stream:
            if not isinstance(coming, Playable):
                raise ControlError(f"then gave {coming!r:.60}: expected a stream, or None for the end")
            self.close()
            self._follow(coming)
        return True

    def close(self) -> None:
        """Gives the stream back, where it was heard last."""
        if self._ahead is not None:
            self._ahead.close()


def _begins(made: Made) -> bool:
    event = made.events[0]
    return isinstance(event, PenAction) and event.step == 0


def ends(events: Sequence[Event]) -> list[Event]:
    """The last events of drawings or pieces among these."""
    return [event for event in events if boundary(event, "drawing")]


def checked_then(then: Any, stream: Playable) -> Then:
    """What follows a drawing.

    Raises:
        ControlError: none of what is expected, or something that this stream cannot do.
    """
    wanted = f"{', '.join(map(repr, _WORDS))}, a list of streams, or a function of the stream"
    if isinstance(then, str):
        if then not in _WORDS:
            raise ControlError(f"then={then!r:.40}: expected {wanted}")
        if then == "repeat" and not callable(getattr(stream, "restart", None)):
            raise ControlError(f"then='repeat': {stream!r:.60} cannot be begun anew; expected 'next' or 'stop'")
    elif isinstance(then, list | tuple):
        wrong = [thing for thing in then if not isinstance(thing, Playable)]
        if wrong or not then:
            raise ControlError(f"then=[...] with {wrong[0] if wrong else 'nothing'!r:.60}: expected streams")
    elif not callable(then):
        raise ControlError(f"then={then!r:.40}: expected {wanted}")
    if not isinstance(then, str) and isinstance(stream, Sized) and len(stream) > 1:
        raise ControlError(
            f"then={then!r:.40} after {len(stream)} voices, whose drawings end one by one; expected 'next' or 'stop'"
        )
    checked: Then = then
    return checked
