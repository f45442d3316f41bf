"""Suite `drift`: whether ticks of 10 ms stay where they belong over ten minutes of the monotonic clock.

The playing process and the C loop of the suite `jitter` tick at the same time, each to a receiver of its own that reads
the monotonic clock with each datagram. A row holds how late the middle tick of each minute is, in milliseconds, counted
from the middle tick of the first minute.
"""

import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from . import jitter
from .report import Result, Series

FACTOR = 200
"""Ticks to a step that is asked for: ten minutes with the usual 300."""


def suite(*, model: str, rounds: int, steps: int) -> Result:  # noqa: ARG001 - once is enough
    ticks = steps * FACTOR
    absent: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        programs = {"livesketch, engine='process'": [sys.executable, "-c", jitter.PLAYER]}
        compiled = jitter.compiled(Path(folder))
        if compiled is None:
            absent[jitter.REFERENCE] = "no C compiler here"
        else:
            programs[jitter.REFERENCE] = [str(compiled)]
        found: dict[str, Any] = {}
        threads = [
            threading.Thread(target=lambda n=name, c=command: found.update({n: minutes(c, model, ticks)}))  # type: ignore[misc]
            for name, command in programs.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return Result(
        suite="drift",
        unit="ms late, the middle tick of each minute",
        facts={"tick": "10 ms", "ticks": ticks, "model": model},
        series=[Series(name, found[name]) for name in programs],
        absent=absent,
    )


def minutes(command: list[str], model: str, ticks: int) -> list[float]:
    """Milliseconds late of the middle tick of each minute; 0 for the first."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        words = [*command, str(listener.getsockname()[1]), str(ticks + jitter.WARM), "idle", "process", model]
        times = np.array(jitter.arrivals(listener, words, now=time.monotonic))
    late = jitter.late(times) * 1e3
    length = min(6000, len(late) // 2)
    middle = [float(np.median(late[begin : begin + length])) for begin in range(0, len(late) - length + 1, length)]
    return [value - middle[0] for value in middle]
