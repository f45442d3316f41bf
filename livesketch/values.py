"""Numbers that people give: checked once, at the border."""

import math
from typing import Any

import numpy as np

from .errors import ControlError


def whole(what: str, value: Any, least: int, most: int) -> int:
    """The value as an int; NumPy's integers count, truth values do not.

    Raises:
        ControlError: not a whole number from ``least`` to ``most``.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
        raise ControlError(f"{what} {value!r:.60}: expected a whole number from {least} to {most}")
    return int(value)


def real(what: str, value: Any, wanted: str) -> float:
    """The value as a float; NumPy's numbers count, truth values and text do not. The range is the caller's.

    Raises:
        ControlError: not a number, or NaN; ``wanted`` says what was expected.
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise ControlError(f"{what} {value!r:.60}: expected {wanted}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isnan(number):
        raise ControlError(f"{what} {value!r}: expected {wanted}")
    return number
