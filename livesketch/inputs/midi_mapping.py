"""What MIDI controls set: each mapping by itself, and all of an input's with those that are still to be learnt."""

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..errors import ControlError
from ..values import real, whole
from .midi_controls import Control, Fine, Heard, position

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


class Mappings:
    """Which control of which channel sets what; ``failed`` is told where a setter raises. Its owner holds a lock."""

    def __init__(self, failed: Callable[[Mapping, Exception], None]) -> None:
        self._failed = failed
        self._known: dict[tuple[Control, int | None], Mapping] = {}
        self._learning: deque[Mapping] = deque()
        self._just: Control | None = None
        """The control that was learnt last: its next value is no other control's."""

    def __iter__(self) -> Iterator[Mapping]:
        return iter(list(self._known.values()))

    @property
    def learning(self) -> int:
        """How many wait for a control."""
        return len(self._learning)

    def put(self, control: Control, mapping: Mapping) -> None:
        """This control sets this, and what it set before no longer."""
        mapping.control = control
        self._known[control, mapping.channel] = mapping

    def learn(self, mapping: Mapping) -> None:
        """The controller that is moved next sets this; of several, each takes another one."""
        if not self._learning:
            self._just = None
        self._learning.append(mapping)

    def forget(self, control: Control | None) -> None:
        """What this control sets, or, without one, all of it and what was to be learnt."""
        self._known = {key: one for key, one in self._known.items() if control is not None and key[0] != control}
        if control is None:
            self._learning.clear()

    def take(self, heard: Heard) -> bool:
        """Sets what the message is mapped to; whether there was such a thing."""
        if heard.control.kind == "cc" and self._learning and heard.control != self._just:
            self._learn(heard)
        found = False
        for number, high in _halves(heard):
            for channel in (heard.channel, None):
                mapping = self._known.get((Control(heard.control.kind, number), channel))
                if mapping is None or (mapping.fine is None and number != heard.control.number):
                    continue
                found = True
                at = mapping.fine.take(heard.channel, high=high, raw=heard.raw) if mapping.fine else position(heard)
                if at is not None:
                    self._set(mapping, at)
        return found

    def _learn(self, heard: Heard) -> None:
        mapping = self._learning[0]
        number = heard.control.number
        if mapping.channel not in {None, heard.channel} or (mapping.fine is not None and number > 63):
            return
        self._learning.popleft()
        base = number - 32 if mapping.fine is not None and number > 31 else number
        self._just = heard.control
        self.put(Control("cc", base), mapping)

    def _set(self, mapping: Mapping, at: float) -> None:
        try:
            mapping.set(at)
        except Exception as error:  # noqa: BLE001 - a setter is the performer's, and the next value may suit it
            mapping.errors += 1
            self._failed(mapping, error)


def _halves(heard: Heard) -> list[tuple[int, bool]]:
    """The numbers under which a controller may be mapped, and whether it is then the MSB."""
    number = heard.control.number
    fine = heard.control.kind == "cc" and 32 <= number < 64
    return [(number, True), (number - 32, False)] if fine else [(number, True)]
