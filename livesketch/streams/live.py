"""Controls that are live: each acts on the very next step, and may be a number or a function of the beat."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from ..patterns import Pattern

ValueT = TypeVar("ValueT")


def live(setter: Callable[[Any, ValueT], None]) -> Callable[[Any, ValueT | Pattern], None]:
    """Makes a property's setter live: what was made ahead is taken back first, and a function of the beat is kept.

    A function is asked for a value at once, so that a bad one is refused here, and before each step from then on.
    """

    @functools.wraps(setter)
    def set_live(stream: Any, value: Any) -> None:
        if stream.lent is not None:
            setattr(stream.lent, setter.__name__, value)
            return
        with stream.lock:
            stream.taken_back()
            setter(stream, value(stream.beat()) if callable(value) else value)
            stream.follow(setter.__name__, (setter, value) if callable(value) else None)
            stream.note(setter.__name__)

    return set_live
