"""Names of notes."""

import re
from typing import Any, Final

from ..errors import ControlError
from ..values import whole

_LETTERS: Final = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_NAME: Final = re.compile(r"([a-g])(#{1,2}|b{1,2})?(-?\d)", re.IGNORECASE)


def note_number(what: str, value: Any) -> int:
    """The MIDI number of a note: 0 to 127, or a name such as ``"C4"`` (60, middle C), ``"F#2"``, ``"Bb3"``.

    Raises:
        ControlError: neither of these.
    """
    wanted = "expected a note from 0 to 127, or a name such as 'C4' (60, middle C), 'F#2' or 'Bb3'"
    if isinstance(value, str):
        match = _NAME.fullmatch(value.strip())
        number = -1
        if match:
            letter, sign, octave = match.groups()
            shift = len(sign or "") * (1 if (sign or "").startswith("#") else -1)
            number = _LETTERS[letter.lower()] + shift + 12 * (int(octave) + 1)
        if not 0 <= number <= 127:
            raise ControlError(f"{what} {value!r:.40}: {wanted}")
        return number
    try:
        return whole(what, value, 0, 127)
    except ControlError:
        raise ControlError(f"{what} {value!r:.40}: {wanted}") from None
