"""The backend ``cpu-two``: each step of one voice in two threads, for whoever wants the next action as soon as may be.

The second thread looks for work in a loop while steps follow each other, which takes a core; a moment after the last
step it rests. The drawings are those of ``cpu``, bit for bit.
"""

import threading
import weakref
from typing import Any, Final

import numpy as np

from ..errors import BackendUnavailableError
from ..models.checkpoint import Checkpoint, TextCheckpoint
from .cpu import CpuBackend, CpuBatch, Share
from .kernels import lstm_two
from .text_cpu import TextCpuBatch

_ONLY: Final = "backend 'cpu-two' is for one voice of a model that draws, with lstm cells; try backend='cpu'"


class Helper:
    """The second thread; it begins with the first step."""

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        self.arguments = arguments
        self._resting = True
        self._called = threading.Event()
        self._thread: threading.Thread | None = None

    def call(self) -> None:
        """So that it looks for work."""
        if self._resting:
            self._resting = False
            self._called.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="cpu-two", daemon=True)
                self._thread.start()

    def end(self) -> None:
        """Lets the thread end, soon."""
        lstm_two.end(self.arguments[0])
        self._called.set()

    def _work(self) -> None:
        while True:
            self._called.wait()
            self._called.clear()
            if not lstm_two.helped(*self.arguments):
                return
            self._resting = True


class TwoBatch(CpuBatch):
    """``CpuBatch`` of one voice, whose plain steps have a helper."""

    backend = "cpu-two"

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint, 1)
        self.types = *self.types, "two"
        shared = np.zeros(lstm_two.PLACES, np.int64)
        _, panels, scales, token, sums = self._weights
        inputs, voices, bias, *start, given, hidden, cell, head = self._state
        self._led = shared, panels, scales, token, sums, inputs, voices, bias, *start, given, hidden, cell, head
        self._helper = Helper((shared, panels, bias, inputs, np.zeros_like(sums), hidden, cell))
        weakref.finalize(self, self._helper.end)

    def warm_up(self) -> None:
        """``CpuBatch.warm_up``; the helper's kernel as well."""
        super().warm_up()
        shared = np.zeros_like(self._led[0])
        lstm_two.end(shared)
        lstm_two.helped(shared, *self._helper.arguments[1:])

    def _calls(self, share: Share) -> tuple[tuple[Any, tuple[Any, ...]], ...]:
        (_, act) = super()._calls(share)
        return (lstm_two.led, self._led), act

    def _first_step(self) -> None:
        super()._first_step()
        alone, call = self._plain, self._helper.call

        def together() -> None:
            call()
            alone()

        self._plain = together


class TwoBackend(CpuBackend):
    """``Backend``: numba on two cores of this machine's processor."""

    def __init__(self) -> None:
        super().__init__("cpu-two")

    def open(self, checkpoint: Checkpoint, size: int) -> CpuBatch:
        """``CpuBackend.open``.

        Raises:
            BackendUnavailableError: several voices, or another cell.
        """
        if size != 1 or checkpoint.cell != "lstm":
            raise BackendUnavailableError(f"{_ONLY}, here for {size} voices with {checkpoint.cell} cells")
        batch = TwoBatch(checkpoint)
        self._warm_up(batch)
        return batch

    def open_text(self, checkpoint: TextCheckpoint, size: int) -> TextCpuBatch:  # noqa: ARG002 - as another
        """Refuses: see ``open``."""
        raise BackendUnavailableError(f"{_ONLY}; {checkpoint.name!r} writes")


BACKEND = TwoBackend()
