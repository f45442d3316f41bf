"""The backend ``cpu-two``: the steps of one voice in two threads. The drawings are those of ``cpu``, bit for bit.

The second thread works ahead: once the new h is known it makes what h gives the next step, while this one's action is
sampled and used. After a pause of some 50 microseconds a step finds most of its work done; where steps follow each
other without a rest, both threads share it. The second takes a core while there is work and looks for more for 0.2 ms;
then it sleeps until a step wakes it.
"""

import os
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendUnavailableError
from ..models.checkpoint import Checkpoint, TextCheckpoint
from .cpu import CpuBackend, CpuBatch, Share
from .crew import threads
from .kernels import common, lstm_two
from .kernels.atomics import CORES, RING
from .text_cpu import TextCpuBatch

_ONLY: Final = "expected one voice of a model that draws, with lstm cells; try the backend cpu"


class Helper:
    """The second thread. Nobody waits for it but for panels that it has taken, and Python has no part in its work.

    Whoever ends it may be the collector of garbage, in any thread and at any moment, so nothing here waits for a lock
    that Python code holds.
    """

    def __init__(self, *arguments: Any) -> None:
        self.shared = common.aligned(np.zeros(lstm_two.PLACES, np.int64))
        self.ends: tuple[int, ...] = ()
        """Of its pipe, where it listens and where to ring."""
        self._arguments = arguments
        self._compiled, self._rung = threading.Lock(), threading.Lock()
        self._compiled.acquire()
        self._rung.acquire()
        self._thread = threading.Thread(target=self._work, name="cpu-two", daemon=True)

    def start(self) -> tuple[Any, ...]:
        """Gives what the leader's kernel takes of it."""
        cores = _cores()
        self.ends = os.pipe()
        _HELPERS.add(self)
        self._thread.start()
        return self.shared, self.ends[1], self._thread.native_id, cores

    def begin(self) -> None:
        """From when its kernel is compiled."""
        _freed(self._compiled)

    def end(self) -> None:
        """Lets the thread end, soon."""
        lstm_two.end(self.shared)
        _freed(self._compiled)
        if self._thread.ident is None:
            self._close()
        elif self.ends:
            os.write(self.ends[1], RING)
        _freed(self._rung)

    def lost(self) -> None:
        """In a fork there is no such thread; what it had taken is not taken."""
        lstm_two.clear(self.shared)
        self._close()

    def warm_up(self) -> None:
        """Compiles its kernel."""
        ended = np.zeros_like(self.shared)
        lstm_two.end(ended)
        lstm_two.helped(ended, self.ends[0], *self._arguments)

    def _work(self) -> None:
        self._compiled.acquire()
        if not lstm_two.ended(self.shared):
            lstm_two.helped(self.shared, self.ends[0], *self._arguments)
        self._rung.acquire()
        self._close()

    def _close(self) -> None:
        ends, self.ends = self.ends, ()
        for descriptor in ends:
            os.close(descriptor)


def _freed(lock: threading.Lock) -> None:
    """Also where it is free."""
    with suppress(RuntimeError):
        lock.release()


def _cores() -> NDArray[np.int64]:
    """Those that this thread may use, a bit each."""
    bits = np.zeros(lstm_two.CORES, np.bool_)
    if CORES:
        bits[[core for core in os.sched_getaffinity(0) if core < len(bits)]] = True
    return np.packbits(bits, bitorder="little").view("<i8").astype(np.int64)


class TwoBatch(CpuBatch):
    """``CpuBatch`` of one voice, whose plain steps have a helper."""

    backend = "cpu-two"

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint, 1)
        self.types = *self.types, "two"
        _, panels, scales, token, _ = self._weights
        inputs, voices, bias, *start, given, hidden, cell, head = self._state
        units = hidden.shape[1]
        ahead, now = common.aligned(inputs[:, :units]), common.aligned(inputs[:, units:])
        sums = common.aligned(np.zeros((units // common.UNITS, common.WIDTH), np.float32))
        self._helper = Helper(panels, bias, ahead, now, sums, hidden, cell)
        weakref.finalize(self, self._helper.end)
        told = self._helper.start()
        mine = ahead, now, sums, np.zeros_like(hidden[0]), voices, bias, *start, given, hidden, cell, head
        self._led = *told, panels, scales, token, *mine

    def warm_up(self) -> None:
        """``CpuBatch.warm_up``; the helper's kernel as well."""
        self._helper.warm_up()
        super().warm_up()

    def _calls(self, share: Share) -> tuple[tuple[Any, tuple[Any, ...]], ...]:
        (_, act) = super()._calls(share)
        return (lstm_two.led, self._led), act

    def _bound(self) -> Callable[[], object]:
        self._helper.begin()
        return super()._bound()


class TwoBackend(CpuBackend):
    """``Backend``: numba on two cores of this machine's processor."""

    def __init__(self) -> None:
        super().__init__("cpu-two")

    def open(self, checkpoint: Checkpoint, size: int) -> CpuBatch:
        """``CpuBackend.open``.

        Raises:
            BackendUnavailableError: several voices, another cell, one core only, no POSIX, or no more threads.
        """
        if size != 1 or checkpoint.cell != "lstm":
            voices = "1 voice" if size == 1 else f"{size} voices"
            raise BackendUnavailableError(f"backend 'cpu-two' for {voices} with {checkpoint.cell} cells: {_ONLY}")
        if os.name != "posix":
            raise BackendUnavailableError(
                "backend 'cpu-two', whose threads wake each other as POSIX has it, on another "
                "system; try the backend cpu"
            )
        if threads() < 2:
            raise BackendUnavailableError("backend 'cpu-two' where one thread may run at a time; try the backend cpu")
        try:
            batch = TwoBatch(checkpoint)
        except (RuntimeError, OSError) as err:
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
