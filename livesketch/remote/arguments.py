"""What the arguments of a message may be: each checked before anything hears of it."""

import math
from collections.abc import Sequence
from typing import Final

from ..errors import ControlError
from ..inputs.osc_read import Value
from ..values import real, whole

MOST_NUMBERS: Final = 20_000
"""Of one message."""
LONGEST_TEXT: Final = 2_000
"""Characters."""

Args = Sequence[Value]


def number(what: str, args: Args) -> float:
    """The one number that there is.

    Raises:
        ControlError: none, several, something else, or not finite.
    """
    return numbers(what, args, 1, 1, "one number")[0]


def numbers(what: str, args: Args, least: int, most: int, wanted: str) -> list[float]:
    """Numbers, so many at least and at most, each finite.

    Raises:
        ControlError: something else; ``wanted`` says what was expected.
    """
    if not least <= len(args) <= most:
        raise ControlError(f"{what} with {len(args)} arguments: expected {wanted}")
    found = [real(what, value, wanted) for value in args]
    if not all(map(math.isfinite, found)):
        raise ControlError(f"{what} with a number that is not finite: expected {wanted}")
    return found


def count(what: str, args: Args, least: int, most: int) -> int:
    """The one whole number that there is; 3.0 is one, as some programs send nothing but floats.

    Raises:
        ControlError: something else, or out of range.
    """
    value = number(what, args)
    return whole(what, int(value) if value.is_integer() else value, least, most)


def natural(what: str, args: Args) -> int:
    """The one whole number from 0 that there is; see ``count``."""
    return count(what, args, 0, 2**31)


def switch(what: str, args: Args) -> bool:
    """On or off: a number or a truth value; nothing at all is on.

    Raises:
        ControlError: something else.
    """
    if not args:
        return True
    if len(args) == 1 and isinstance(args[0], bool):
        return args[0]
    return numbers(what, args, 1, 1, "nothing, or 1 for on and 0 for off")[0] != 0


def word(what: str, args: Args) -> str:
    """The one text that there is.

    Raises:
        ControlError: none, several, something else, or a longer one.
    """
    if len(args) != 1 or not isinstance(args[0], str):
        raise ControlError(f"{what} {list(args)!r:.60}: expected one text")
    if len(args[0]) > LONGEST_TEXT:
        raise ControlError(f"{what} {args[0]!r:.40} of {len(args[0])} characters: expected at most {LONGEST_TEXT}")
    return args[0]


def label(args: Args) -> str | dict[str, float]:
    """A label, or the shares of a mix: ``cat``, or ``cat 0.7 pig 0.3``.

    Raises:
        ControlError: something else.
    """
    if len(args) == 1:
        return word("label", args)
    if not args or len(args) % 2 or len(args) > 2000:
        raise ControlError(f"label with {len(args)} arguments: expected a label, or labels with a share behind each")
    mix: dict[str, float] = {}
    for k in range(0, len(args), 2):
        name = word("label", args[k : k + 1])
        if name in mix:
            raise ControlError(f"label {name!r:.40} twice in a mix: expected each once")
        mix[name] = number(f"share of {name!r:.40}", args[k + 1 : k + 2])
    return mix
