"""What ``auto`` is for many voices beside an NVIDIA driver: the GPU, or, decided before the start, the CPU."""

import logging
from typing import Final

from ..errors import BackendUnavailableError, MissingExtraError
from ..models.checkpoint import Checkpoint, TextCheckpoint
from .protocol import Backend, Batch, TextBatch

_LOG: Final = logging.getLogger("livesketch")

MANY: Final = 1024
"""From so many voices on ``auto`` prefers a GPU: below, ``cpu`` keeps up by itself, and a voice is bit-equal alone."""


class Auto:
    """``Backend``: the first one, or where it cannot open the first batch the second one; never another later."""

    def __init__(self, first: Backend, second: Backend) -> None:
        self._chosen: Backend | None = None
        self._first, self._second = first, second
        self.name = first.name

    def open(self, checkpoint: Checkpoint, size: int) -> Batch:
        """``Backend.open``."""
        if self._chosen is None:
            try:
                batch = self._first.open(checkpoint, size)
            except (BackendUnavailableError, MissingExtraError) as err:
                self._fall_back(err)
            else:
                self._chosen = self._first
                return batch
        return (self._chosen or self._second).open(checkpoint, size)

    def open_text(self, checkpoint: TextCheckpoint, size: int) -> TextBatch:
        """``Backend.open_text``."""
        if self._chosen is None:
            try:
                batch = self._first.open_text(checkpoint, size)
            except (BackendUnavailableError, MissingExtraError) as err:
                self._fall_back(err)
            else:
                self._chosen = self._first
                return batch
        return (self._chosen or self._second).open_text(checkpoint, size)

    def _fall_back(self, err: Exception) -> None:
        self._chosen, self.name = self._second, self._second.name
        _LOG.warning("auto takes backend %r: %s", self._second.name, err)
