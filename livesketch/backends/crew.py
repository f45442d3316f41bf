"""Threads that share the voices of one step; whoever asks waits until all of them are done, or none has begun."""

import functools
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

LEAST: Final = 24
"""Voices that are worth a thread: waking it takes as long as some of them."""


def threads() -> int:
    """How many the cpu backend may use: the environment's ``LIVESKETCH_THREADS``, else as many as there are cores."""
    asked = os.environ.get("LIVESKETCH_THREADS", "")
    if asked.isdigit() and int(asked):
        return int(asked)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return cores or 1


def shares(size: int, whole: int) -> list[slice]:
    """The voices in as many parts as they are worth, each of whole tiles of ``whole`` voices but the last."""
    parts = max(1, min(threads(), size // LEAST))
    tiles = -(-size // whole)
    ends = [min(size, -(-tiles * (k + 1) // parts) * whole) for k in range(parts)]
    return [slice(begin, end) for begin, end in zip([0, *ends], ends, strict=False) if begin < end]


class _Job:
    """One step's shares. Each is taken once, by whichever thread comes first."""

    def __init__(self, share: Callable[[int], object], count: int) -> None:
        self._share, self._count = share, count
        self._lock = threading.Lock()
        self._taken = self._done = 0
        self._cancelled = False
        self._error: BaseException | None = None
        self._finished = threading.Event()

    def take(self) -> None:
        """Does one share, where one is left; in a thread of the crew."""
        with self._lock:
            if self._cancelled or self._taken == self._count:
                return
            own, self._taken = self._taken, self._taken + 1
        try:
            self._share(own)
        except BaseException as err:  # noqa: BLE001 - it is raised where the step was asked for
            self._error = err
        with self._lock:
            self._done += 1
            if self._done == self._count:
                self._finished.set()

    def wait(self) -> None:
        """Until all is done."""
        self._finished.wait()

    def settle(self, again: Callable[[], None]) -> None:
        """Whatever broke the asking off: nothing has begun, and will not; or all is done. ``again`` wakes everybody."""
        with self._lock:
            self._cancelled = self._taken == 0
        if not self._cancelled and not self._finished.is_set():
            again()
            self._finished.wait()
        if self._error is not None:
            raise self._error


class Crew:
    """So many threads, which wait for work."""

    def __init__(self, count: int) -> None:
        self._queues: list[SimpleQueue[_Job]] = [SimpleQueue() for _ in range(count)]
        for k, queue in enumerate(self._queues):
            threading.Thread(target=self._work, args=(queue,), name=f"cpu-step-{k}", daemon=True).start()

    @staticmethod
    def _work(queue: "SimpleQueue[_Job]") -> None:
        while True:
            queue.get().take()

    def run(self, share: Callable[[int], object]) -> None:
        """Calls ``share`` with 0, 1, ... at the same time, one for each thread, and returns when all have returned.

        Ctrl-C leaves all of them done or none begun, and is raised then, as is what one of them raises.
        """
        job = _Job(share, len(self._queues))

        def wake() -> None:
            for queue in self._queues:
                queue.put(job)

        try:
            wake()
            job.wait()
        finally:
            job.settle(wake)


@functools.cache
def _crew(count: int, process: int) -> Crew:  # noqa: ARG001 - the threads of a fork's parent are not in the child
    return Crew(count)


def crew(count: int) -> Crew:
    """The one of so many threads; made when it is first needed."""
    return _crew(count, os.getpid())
