"""The events of a trace made anew: from the model, the seed, what a human drew, and every control that was changed."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..errors import DataError, LivesketchError
from ..events import Asked, Change, Cue, PenAction, Token
from ..models.catalogue import open_any
from ..models.text_model import TextCheckpoint
from ..streams.sketch import SketchStream, sketch
from ..streams.text import TextStream, text
from ..values import whole
from .recording import Part, check_found, lines

_PEN: Final = ("drawing", "step", "dx", "dy", "ink", "pen", "last", "ended")
_TOKEN: Final = ("piece", "step", "text", "index", "last", "ended")
_CHANCE: Final = ("log_prob", "entropy")
"""Of a token that was held to nothing."""
_EACH: Final = {"label", "z"}
"""Controls of which several voices may have one each."""
_HELD: Final = "the text was held to a form, a rule or given heads of lines, and recordings do not hold these"
_MIDDLE: Final = "its drawings or pieces have no beginning in the recording"

Stream = SketchStream | TextStream
Controls = dict[str, tuple[int, Any]]
"""Each control's value, and how many changes had come then."""


@dataclass(frozen=True, slots=True)
class Remade:
    """What came of one part of a recording."""

    part: int
    """Its number in the file, from 1."""
    name: str
    model: str
    seed: int
    events: int
    """Pen actions and tokens that were made again."""
    given: int
    """Of these, those that a human drew or wrote, which are taken from the recording."""
    left_out: int
    """Pen actions and tokens that cannot be: of a drawing or piece of which not all before them was recorded."""
    first_difference: str
    """Where the first one is that came out otherwise, in words; empty: all are the same, bit for bit."""
    unchecked: str
    """Why nothing of it was made again, in words; empty where something was."""


class _Unknown(Exception):  # noqa: N818 - nothing went wrong
    """Why a part cannot be made again, in words."""


class _Difference(Exception):  # noqa: N818 - likewise
    """What came out otherwise, in words."""


class _Voice:
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
            _Difference: it is another one.
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
            raise _Difference(difference)
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
                raise _Unknown(f"this livesketch has no control {control!r:.40}")
            own = value
            if control in _EACH and isinstance(value, list) and _many(value):
                if voice >= len(value):
                    raise _Unknown(f"{control} of {len(value)} voices, and voice {voice} plays")
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


class _PartCheck:
    """One part of a recording, event by event."""

    def __init__(self, part: Part, models: str | Mapping[str, str] | None, backend: str, voices: dict[Any, _Voice]):
        self.part, self._backend, self._known = part, backend, voices
        mapped = models.get(part.stage.model) if isinstance(models, Mapping) else models
        self._model = part.stage.model if mapped is None else mapped
        self._voices: dict[int, _Voice] = {}
        self._controls: Controls = {}
        self._changes = self.events = self.given = self.left_out = 0
        self._difference = self._unknown = ""
        self._held = False
        """Something but the model had a say in a token."""

    def take(self, said: Change | PenAction | Token) -> None:
        """One line of it; nothing more once it differs or cannot be made again."""
        if self._difference:
            return
        if self._unknown:
            self.left_out += not isinstance(said, Change)
            return
        try:
            if isinstance(said, Change):
                self._changes += 1
                self._controls[said.control] = self._changes, said.value
            else:
                self._check(said)
        except _Unknown as err:
            self._give_up(str(err))
        except LivesketchError as err:
            self._give_up(f"{err}")

    def found(self) -> Remade:
        """What came of it."""
        unchecked = self._unknown
        if not unchecked and not self.events:
            unchecked = _MIDDLE if self.left_out else "nothing was played in it"
        stage = self.part.stage
        return Remade(
            self.part.number, self.part.name, stage.model, stage.seed, self.events, self.given, self.left_out,
            self._difference, unchecked,
        )  # fmt: skip

    def _give_up(self, why: str) -> None:
        self.left_out, self.events, self.given = self.left_out + self.events + 1, 0, 0
        self._unknown = why
        self._forget()

    def _forget(self) -> None:
        for key in [key for key, voice in self._known.items() if voice in self._voices.values()]:
            del self._known[key]

    def _check(self, event: PenAction | Token) -> None:
        self._held |= isinstance(event, Token) and _is_held(event)
        voice = self._voices.get(event.voice)
        if voice is None:
            voice = self._voices[event.voice] = self._voice(event)
        asked = None
        if not self._changes and isinstance(event, PenAction) and not event.step:  # as ``draw`` records
            asked = event.asked
        try:
            made = voice.check(event, self._controls, asked)
        except _Difference as err:
            if self._held:
                raise _Unknown(_HELD) from err
            self.events += 1
            who = f" of voice {event.voice}" if self.part.voices > 1 else ""
            self._difference = f"event {self.events}{who}, {err}"
            self._forget()
            return
        self.events += made
        self.left_out += not made
        self.given += made and is_given(event)

    def _voice(self, event: PenAction | Token) -> _Voice:
        """That of an earlier part, where it goes on, or one that is at the beginning."""
        if event.voice >= self.part.voices > 1:
            raise DataError(f"voice {event.voice} of {self.part.voices}; expected fewer")
        stage = self.part.stage
        key = (self._model, stage.model, stage.seed, event.voice)
        voice = self._known.get(key)
        if voice is None:
            voice = self._known[key] = _Voice(self._opened(event))
        voice.set = 0
        return voice

    def _opened(self, event: PenAction | Token) -> Stream:
        stage = self.part.stage
        writes = isinstance(open_any(self._model), TextCheckpoint)
        if writes is not isinstance(event, Token):
            raise _Unknown(f"{self._model} {'writes' if writes else 'draws'}, and this does not")
        heat, seed, voice = stage.temperature, stage.seed, event.voice
        if writes:
            return text(self._model, seed=seed, temperature=heat, backend=self._backend, voice=voice)
        stream = sketch(self._model, seed=seed, backend=self._backend, voice=voice)
        for control, value in (("convention", stage.convention), ("temperature", heat)):
            if value is not None:
                setattr(stream, control, value)
        return stream


def remake(
    path: str | os.PathLike[str], model: str | Mapping[str, str] | None = None, name: str | None = None,
    part: int | None = None, backend: str = "auto",
) -> list[Remade]:  # fmt: skip
    """Plays the seeds and the controls of a trace again, and compares every event with the recorded one.

    A part that begins in the middle of a drawing is made again from where an earlier part of the same model, seed and
    voice left it, or else from the next drawing on.

    Args:
        path: what ``livesketch.trace`` wrote.
        model: what to open, where the recorded name is not enough, as for a checkpoint of your own; for some recorded
            names only: a mapping of these to models.
        name: the parts of this name only; None: all.
        part: this part only, from 1.
        backend: which made it; they differ in the last bits.

    Returns:
        What came of each part, in the order of the file.

    Raises:
        DataError: it is no trace, or there is no such part.
    """
    where = Path(path)
    wanted = None if part is None else whole("part", part, 1, 2**31)
    voices: dict[Any, _Voice] = {}
    checks: dict[int, _PartCheck] = {}
    names: list[str] = []
    for one, said in lines(where):
        if said is None:
            names.append(one.name)
            checks[one.number] = _PartCheck(one, model, backend, voices)
        elif not isinstance(said, Cue):
            checks[one.number].take(said)
    check_found(where, names, name, wanted)
    return [
        check.found()
        for number, check in checks.items()
        if (name is None or check.part.name == name) and (wanted is None or wanted == number)
    ]


def is_given(event: PenAction | Token) -> bool:
    """Whether a human drew or wrote it."""
    return event.given if isinstance(event, Token) else event.source == "human"


def _is_held(event: Token) -> bool:
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
        names = _TOKEN if _is_held(recorded) else (*_TOKEN, *_CHANCE)
    for name in names:
        if getattr(recorded, name) != getattr(made, name):
            return f"{name}: recorded {getattr(recorded, name)!r}, made again {getattr(made, name)!r}"
    return ""
