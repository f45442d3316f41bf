"""What is asked of ``play`` besides the stream and its outputs, and whether that can be."""

from dataclasses import dataclass
from typing import Any, get_args

from ..errors import ControlError
from ..patterns import Pattern
from ..values import real
from . import pace as paces
from .course import How, Then, checked_then
from .pace import Pace
from .place import Place, checked_place
from .playable import Playable
from .relay import Quant


@dataclass(frozen=True, slots=True)
class Wish:
    """``livesketch.play`` says what each is; as it was typed, so that it can be asked for in another process too."""

    rate: float | Pattern | None
    name: str | None
    then: Then
    beat: float | None
    pace: Pace | None
    quant: Quant
    lookahead: float
    place: str | Place

    @property
    def pattern(self) -> Pattern | None:
        """The rate, where it is a function of the beat."""
        return self.rate if callable(self.rate) else None

    def checked(self, stream: Playable) -> How:
        """How this stream is played.

        Raises:
            ControlError: something out of range, or that this stream cannot do.
        """
        pace = self._pace(stream)
        wanted = "seconds, 0 to 60"
        if not 0 <= real("lookahead", self.lookahead, wanted) <= 60:
            raise ControlError(f"lookahead {self.lookahead!r}: expected {wanted}")
        how = How(pace, checked_then(self.then, stream), self.lookahead, checked_place(self.place))
        quant: Any = self.quant
        if quant not in get_args(Quant):
            raise ControlError(f"quant={quant!r:.40}: expected {', '.join(map(repr, get_args(Quant)))}")
        name: Any = self.name
        if name is not None and (not isinstance(name, str) or not name.strip()):
            raise ControlError(f"name {name!r:.60}: expected a word such as 'cat', or None for the stream's name")
        return how

    def _pace(self, stream: Playable) -> Pace:
        asked = (("rate", self.rate), ("beat", self.beat), ("pace", self.pace))
        given = [name for name, value in asked if value is not None]
        if len(given) > 1:
            raise ControlError(f"{' and '.join(given)}: expected one of them, as each says when steps are due")
        if self.beat is not None:
            return paces.beats(self.beat)
        if self.pace is not None:
            return paces.checked_pace(self.pace)
        if self.rate is None and callable(getattr(getattr(stream, "pace", None), "seconds", None)):
            return paces.checked_pace(stream.pace)  # type: ignore[attr-defined] # a recording's own
        return paces.steps(60.0 if self.rate is None or callable(self.rate) else self.rate)
