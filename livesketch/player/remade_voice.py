"""One voice of a recording, made again step by step from its stream and the controls that were changed."""

from collections.abc import Iterator
from typing import Any, Final

from ..errors import LivesketchError
from ..events import Asked, PenAction, Token
from ..streams.sketch import SketchStream
from ..streams.text import TextStream

_PEN: Final = ("drawing", "step", "dx", "dy", "ink", "pen", "last", "ended")
_TOKEN: Final = ("piece", "step", "text", "index", "last", "ended")
_CHANCE: Final = ("log_prob", "entropy")
"""Of a token that was held to nothing."""
_EACH: Final = {"label", "z"}
"""Controls of which several voices may have one each."""

Stream = SketchStream | TextStream
Controls = dict[str, tuple[int, Any]]
"""Each control's value, and how many changes had come then."""


class UnknownError(Exception):
    """Why a part cannot be made again, in words."""


class DifferentError(Exception):
    """What came out otherwise, in words."""


class Voice:
    """One voice of a model and a seed, made again; it may go on in a later part."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.latest: PenAction | Token | None = None
        """As it was recorded."""
        self.lost = False
        """Where the stream is to go on is not known, until a drawing or piece begins."""
        self.set = 0
        """So many changes of the part's controls it has."""
        self._given: list[PenAction | Token] = []

    def check(self, event: PenAction | Token, controls: Controls, asked: Asked | None) -> bool:
        """Makes the event again; False: that cannot be. ``asked``: what says the controls where nothing else does.

        Raises:
            DifferentError: it is another one.
        """
        self._go_to(event)
        self.latest = event
        if self.lost:
            return False
        if is_given(event):
            self._given.append(event)
            return True
        if asked is not None:
            for control, value in asked.values().items():
                setattr(self.stream, control, value)
        due = sorted((count, name, value) for name, (count, value) in controls.items() if count > self.set)
        given, self._given = self._given, []
        before = self.stream.snapshot() if given and due else None
        self._set(due, event.voice)
        self._feed(given)
        difference = _difference(event, self._next())
        if difference and before is not None:  # the recording does not say which came first
            self.stream.restore(before)
            self._feed(given)
            self._set(due, event.voice)
            difference = _difference(event, self._next())
        if difference:
            raise DifferentError(difference)
        self.set = max([self.set, *(count for count, _, _ in due)])
        return True

    def _go_to(self, event: PenAction | Token) -> None:
        """Where it was begun anew, taken back, or played without being recorded."""
        number, before = _number(event), self.latest
        if before is None:
            follows = False
        elif before.last:
            follows = (number, event.step) == (_number(before) + 1, 0)
        else:
            follows = (number, event.step) == (_number(before), before.step + 1)
        if follows:
            return
        if not event.step:
            self._given.clear()
            self.stream.begin(number)
            self.lost = False
            return
        back = before.step + 1 - event.step if before is not None and number == _number(before) else 0
        if self.lost or back < 1:
            self.lost = True
            return
        self._feed(self._given)
        self._given = []
        try:
            self.stream.rewind(back)
        except LivesketchError:  # by more than is remembered
            self.lost = True

    def _next(self) -> PenAction | Token:
        stream: Iterator[PenAction | Token] = self.stream
        return next(stream)

    def _set(self, due: list[tuple[int, str, Any]], voice: int) -> None:
        for _, control, value in due:
            if not isinstance(getattr(type(self.stream), control, None), property):
                raise UnknownError(f"this livesketch has no control {control!r:.40}")
            own = value
            if control in _EACH and isinstance(value, list) and _many(value):
                if voice >= len(value):
                    raise UnknownError(f"{control} of {len(value)} voices, and voice {voice} plays")
                own = value[voice]
            if own is not None or control == "z":
                setattr(self.stream, control, own)

    def _feed(self, given: list[PenAction | Token]) -> None:
        if not given:
            return
        if isinstance(self.stream, SketchStream):
            self.stream.feed(given)  # as actions: of rows the first, if it has no length, would be taken for the start
        else:
            self.stream.feed("".join(one.text for one in given if isinstance(one, Token)), unknown=True)


def is_given(event: PenAction | Token) -> bool:
    """Whether a human drew or wrote it."""
    return event.given if isinstance(event, Token) else event.source == "human"


def is_held(event: Token) -> bool:
    """Whether something but the model had a say in it."""
    return event.softened or event.cost > 0


def _number(event: PenAction | Token) -> int:
    return event.drawing if isinstance(event, PenAction) else event.piece


def _many(value: list[Any]) -> bool:
    """Whether it is a list of labels, or of latents, and no latent itself."""
    return any(not isinstance(one, int | float) for one in value)


def _difference(recorded: PenAction | Token, made: PenAction | Token) -> str:
    kinds = {PenAction: "pen", Token: "token"}
    if type(recorded) is not type(made):
        return f"event: recorded {kinds[type(recorded)]!r}, made again {kinds[type(made)]!r}"
    names: tuple[str, ...] = _PEN
    if isinstance(recorded, Token):
        names = _TOKEN if is_held(recorded) else (*_TOKEN, *_CHANCE)
    for name in names:
        if getattr(recorded, name) != getattr(made, name):
            return f"{name}: recorded {getattr(recorded, name)!r}, made again {getattr(made, name)!r}"
    return ""
