"""What a MIDI control sets."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..errors import ControlError
from ..values import real, whole
from .midi_controls import Control, Fine

Setter: TypeAlias = Callable[[float], object]


@dataclass(slots=True)
class Mapping:
    """What a control sets."""

    setter: Setter
    low: float
    high: float
    channel: int | None
    fine: Fine | None = None
    value: float | None = None
    """The last one that was set."""
    errors: int = 0
    control: Control | None = None
    """None until it is learnt."""

    def set(self, at: float) -> None:
        """Calls the setter for a position from 0 to 1; what it raises is the caller's."""
        value = self.high if at == 1.0 else self.low + (self.high - self.low) * at
        self.setter(value)
        self.value = value

    def __str__(self) -> str:
        name = getattr(self.setter, "__name__", type(self.setter).__name__)
        at = "" if self.value is None else f" = {self.value:.4g}"
        return f"{self.control} -> {name}{at}"


def make_mapping(setter: Any, low: Any, high: Any, channel: int | None, bits: int) -> Mapping:
    """Checks what a person asked for.

    Raises:
        ControlError: a setter that cannot be called, or a number out of its range.
    """
    if not callable(setter):
        raise ControlError(
            f"setter {setter!r:.60}: expected a function of one number, such as lambda value: print(value)"
        )
    ends = [real(what, value, "a finite number") for what, value in (("low", low), ("high", high))]
    if not all(math.isfinite(end) for end in ends):
        raise ControlError(f"low {low!r:.40}, high {high!r:.40}: expected finite numbers")
    if bits not in {7, 14}:
        raise ControlError(f"bits {bits!r:.40}: expected 7 or 14")
    on = None if channel is None else whole("channel", channel, 1, 16)
    return Mapping(setter, ends[0], ends[1], on, Fine() if bits == 14 else None)
