"""The events of a trace made anew: from the model, the seed, what a human drew, and every control that was changed."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..errors import DataError, LivesketchError
from ..events import Change, Cue, PenAction, Token
from ..models.catalogue import open_any
from ..models.text_model import TextCheckpoint
from ..streams.sketch import sketch
from ..streams.text import text
from ..values import whole
from .recording import Part, check_found, lines
from .remade_voice import Controls, DifferentError, Stream, UnknownError, Voice, is_given, is_held

_HELD: Final = "the text was held to a form, a rule or given heads of lines, and recordings do not hold these"
_MIDDLE: Final = "its drawings or pieces have no beginning in the recording"


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


class _PartCheck:
    """One part of a recording, event by event."""

    def __init__(self, part: Part, models: str | Mapping[str, str] | None, backend: str, voices: dict[Any, Voice]):
        self.part, self._backend, self._known = part, backend, voices
        mapped = models.get(part.stage.model) if isinstance(models, Mapping) else models
        self._model = part.stage.model if mapped is None else mapped
        self._voices: dict[int, Voice] = {}
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
        except UnknownError as err:
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
        self._held |= isinstance(event, Token) and is_held(event)
        voice = self._voices.get(event.voice)
        if voice is None:
            voice = self._voices[event.voice] = self._voice(event)
        asked = None
        if not self._changes and isinstance(event, PenAction) and not event.step:  # as ``draw`` records
            asked = event.asked
        try:
            made = voice.check(event, self._controls, asked)
        except DifferentError as err:
            if self._held:
                raise UnknownError(_HELD) from err
            self.events += 1
            who = f" of voice {event.voice}" if self.part.voices > 1 else ""
            self._difference = f"event {self.events}{who}, {err}"
            self._forget()
            return
        self.events += made
        self.left_out += not made
        self.given += made and is_given(event)

    def _voice(self, event: PenAction | Token) -> Voice:
        """That of an earlier part, where it goes on, or one that is at the beginning."""
        if event.voice >= self.part.voices > 1:
            raise DataError(f"voice {event.voice} of {self.part.voices}; expected fewer")
        stage = self.part.stage
        key = (self._model, stage.model, stage.seed, event.voice)
        voice = self._known.get(key)
        if voice is None:
            voice = self._known[key] = Voice(self._opened(event))
        voice.set = 0
        return voice

    def _opened(self, event: PenAction | Token) -> Stream:
        stage = self.part.stage
        writes = isinstance(open_any(self._model), TextCheckpoint)
        if writes is not isinstance(event, Token):
            raise UnknownError(f"{self._model} {'writes' if writes else 'draws'}, and this does not")
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
    voices: dict[Any, Voice] = {}
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
