"""What happened lately: the last records of the logger ``livesketch``, kept instead of printed into a prompt."""

import logging
import time
from collections import deque
from typing import Final

from ..values import whole

KEPT: Final = 1000
"""Records that are kept."""


class Lines(list[str]):
    """Lines that a prompt shows one below the other."""

    def __repr__(self) -> str:
        return "\n".join(self) or "<nothing happened>"


class Ring(logging.Handler):
    """Keeps the last records, and prints nothing."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._records: deque[tuple[float, str, str]] = deque(maxlen=KEPT)

    def emit(self, record: logging.LogRecord) -> None:
        """Remembers what one says, not what it is about: an exception would keep all that it went through."""
        self._records.append((record.created, record.levelname.lower(), _said(record)))

    def lines(self, n: int) -> Lines:
        """The last n, oldest first: time of day, level, what happened."""
        records = list(self._records)[-n:] if n else []
        return Lines(
            f"{time.strftime('%H:%M:%S', time.localtime(created))} {level:7} {said}" for created, level, said in records
        )


def _said(record: logging.LogRecord) -> str:
    try:
        return " ".join(record.getMessage().split())  # one line each
    except Exception as err:  # noqa: BLE001 - a record that cannot be put into words is shown all the same
        return f"{record.msg!r} ({type(err).__name__})"


ring: Final = Ring()


def log(n: int = 20) -> Lines:
    """The last n things that players, outputs and functions of yours reported; nothing of it is ever printed by itself.

    Raises:
        ControlError: n below 0.
    """
    return ring.lines(whole("log", n, 0, KEPT))
