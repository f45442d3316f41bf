"""What an OSC output may be asked for."""

import math
from typing import Any, Final, Literal, TypeAlias, get_args

import numpy as np

from ..errors import ControlError
from ..values import real

Mode: TypeAlias = Literal["hold", "timetag"]

LATEST: Final = 10.0
"""Seconds that everything may come later than it is due."""
FASTEST: Final = 1e300
"""Datagrams per second; its inverse is still a time."""


def checked_mode(mode: Any) -> Mode:
    """ControlError: neither of the two."""
    if mode not in get_args(Mode):
        raise ControlError(f"osc mode {mode!r:.40}: expected {' or '.join(map(repr, get_args(Mode)))}")
    checked: Mode = mode
    return checked


def checked_delay(latency: Any, nudge: Any) -> float:
    """Seconds by which all comes later. ControlError: not 0 to 10."""
    wanted = "seconds; latency and nudge together 0 to 10"
    delay = real("latency", latency, wanted) + real("nudge", nudge, wanted)
    if not 0 <= delay <= LATEST:
        raise ControlError(f"latency {latency!r} and nudge {nudge!r}: expected {wanted}")
    return delay


def checked_rate(value: Any) -> float:
    """Datagrams per second. ControlError: not above 0."""
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    rate = float(value) if number and abs(value) < FASTEST else math.nan
    if not rate > 0:
        raise ControlError(f"osc rate {value!r:.60}: expected datagrams per second, above 0; try rate=120")
    return rate
