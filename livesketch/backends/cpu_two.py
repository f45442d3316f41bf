"""The backend ``cpu-two``: the steps of one voice in two threads. The drawings are those of ``cpu``, bit for bit.

The second thread works ahead: once the new h is known it makes what h gives the next step, while this one's action is
sampled and used. After a pause of some 50 microseconds a step finds most of its work done; where steps follow each
other without a rest, both threads share it. The second takes a core while there is work, looks for more for a
millisecond, naps for 0.2 ms at a time, and rests some ten seconds after the last step, until the next one calls it.
"""

import os
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final

import numpy as np

from ..errors import BackendUnavailableError
from ..models.checkpoint import Checkpoint, TextCheckpoint
from .cpu import CpuBackend, CpuBatch, Share
from .crew import threads
from .kernels import common, lstm_two
from .text_cpu import TextCpuBatch

_ONLY: Final = "expected one voice of a model that draws, with lstm cells; try the backend cpu"


class Helper:
    """The second thread. Nobody waits for it but for panels that it has taken, and whoever calls it writes nothing."""

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        self.arguments = arguments
        self.resting = True
        self._calls: SimpleQueue[None] = SimpleQueue()
        threading.Thread(target=self._work, name="cpu-two", daemon=True).start()
        _HELPERS.add(self)

    def call(self) -> None:
        """So that it looks for work."""
        if self.resting and self._calls.empty():
            self._calls.put(None)

    def lost(self) -> None:
        """In a fork there is no such thread; what it had taken is not taken."""
        self.resting = False
        lstm_two.clear(self.arguments[0])

    def end(self) -> None:
        """Lets the thread end, soon."""
        lstm_two.end(self.arguments[0])
        self._calls.put(None)

    def _work(self) -> None:
        while True:
            self._calls.get()
            self.resting = False
            if not lstm_two.helped(*self.arguments):
                return
            self.resting = True


class TwoBatch(CpuBatch):
    """``CpuBatch`` of one voice, whose plain steps have a helper."""

    backend = "cpu-two"

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint, 1)
        self.types = *self.types, "two"
        _, panels, scales, token, _ = self._weights
        inputs, voices, bias, *start, given, hidden, cell, head = self._state
        units = hidden.shape[1]
        shared = common.aligned(np.zeros(lstm_two.PLACES, np.int64))
        ahead, now = common.aligned(inputs[:, :units]), common.aligned(inputs[:, units:])
        sums = common.aligned(np.zeros((units // common.UNITS, common.WIDTH), np.float32))
        was = np.zeros_like(hidden[0])
        mine = voices, bias, *start, given, hidden, cell, head
        self._led = shared, panels, scales, token, ahead, now, sums, was, *mine
        self._helper = Helper((shared, panels, bias, ahead, now, sums, hidden, cell))
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

    def _bound(self) -> Callable[[], object]:
        alone, call = super()._bound(), self._helper.call

        def step() -> None:
            alone()
            call()

        return step


class TwoBackend(CpuBackend):
    """``Backend``: numba on two cores of this machine's processor."""

    def __init__(self) -> None:
        super().__init__("cpu-two")

    def open(self, checkpoint: Checkpoint, size: int) -> CpuBatch:
        """``CpuBackend.open``.

        Raises:
            BackendUnavailableError: several voices, another cell, one core only, or no more threads.
        """
        if size != 1 or checkpoint.cell != "lstm":
            voices = "1 voice" if size == 1 else f"{size} voices"
            raise BackendUnavailableError(f"backend 'cpu-two' for {voices} with {checkpoint.cell} cells: {_ONLY}")
        if threads() < 2:
            raise BackendUnavailableError("backend 'cpu-two' where one thread may run at a time; try the backend cpu")
        try:
            batch = TwoBatch(checkpoint)
        except RuntimeError as err:
            raise BackendUnavailableError(f"backend 'cpu-two' has no second thread: {err}") from err
        self._warm_up(batch)
        return batch

    def open_text(self, checkpoint: TextCheckpoint, size: int) -> TextCpuBatch:  # noqa: ARG002 - as another
        """Refuses: see ``open``."""
        raise BackendUnavailableError(f"backend 'cpu-two' for {checkpoint.name!r}, which writes: {_ONLY}")


def _forked() -> None:
    for helper in list(_HELPERS):
        helper.lost()


_HELPERS: Final[weakref.WeakSet[Helper]] = weakref.WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)

BACKEND = TwoBackend()
