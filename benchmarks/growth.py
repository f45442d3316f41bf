"""Suite `growth`: microseconds for one pen action as the model, the voices, the performance and the work grow.

One thread. What is compared is measured in turn: a stream that has made a million actions beside one that has made a
thousand, a large model beside a small one. What memory the million took stands among the facts.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import limits, models, peers
from .report import Result
from .rounds import Run, interleaved, progress
from .voices import counted, own

UNITS = (128, 256, 384, 512, 768, 1024)
VOICES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
AGES = (10**3, 10**4, 10**5, 10**6)
DRAWINGS = (1, 10, 100)


def suite(*, model: str, rounds: int, steps: int) -> Result:
    checkpoint, label = models.found(model)
    engines: dict[str, Run] = {}
    for units in UNITS:
        decoder = models.random_decoder(units)
        engines[f"{units} units"] = pulling(stream_of(decoder, None))
        engines[f"{units} units, reading the stored weights once"] = limits.reading(models.stored(decoder))
    for count in VOICES:
        engines[voices_name(count)] = counted(own(checkpoint, label, count, 1), count)
    for age in AGES:
        progress(f"{age} steps")
        aged = Aged(lambda: stream_of(checkpoint, label), age)
        engines[f"after {age} steps"] = aged.run
    gained = f"memory gained from step {AGES[0]} to {AGES[-1]} (MB)", round(aged.gained / 1e6, 2)
    for count in DRAWINGS:
        engines[f"drawings {count}"] = drawing(checkpoint, label, count)
    return Result(
        suite="growth",
        unit="us",
        facts={"model": label or checkpoint.name, "threads": 1, "rounds": rounds, "steps": steps, gained[0]: gained[1]},
        series=interleaved(engines, rounds, steps),
        compare_with=f"after {AGES[0]} steps",
    )


def voices_name(count: int) -> str:
    return f"{count} voice{'s' * (count > 1)}"


def stream_of(checkpoint: Any, label: str | None) -> Any:
    from livesketch.controls import Controls
    from livesketch.streams.sketch import SketchStream

    return SketchStream(checkpoint, label, Controls(peers.TEMPERATURE), 1, "cpu", 0)


def pulling(stream: Any) -> Run:
    def run(steps: int) -> None:
        for _ in range(steps):
            next(stream)

    return run


class Aged:
    """A stream that has made so many actions; another takes its place once it has made a tenth more."""

    def __init__(self, make: Callable[[], Any], age: int) -> None:
        self._make, self._age = make, age
        self.gained = 0
        """Bytes of memory that the process took for the steps behind the first thousand."""
        self._begin()

    def _begin(self) -> None:
        self._stream = self._make()
        self._made = 0
        self._pull(AGES[0])
        before = resident()
        self._pull(self._age - AGES[0])
        self.gained = resident() - before

    def _pull(self, steps: int) -> None:
        for _ in range(steps):
            next(self._stream)
        self._made += steps

    def run(self, steps: int) -> float:
        if self._made + steps > self._age * 1.1 and self._made > self._age:
            self._begin()
        start = time.perf_counter()
        self._pull(steps)
        return time.perf_counter() - start


def drawing(checkpoint: Any, label: str | None, count: int) -> Run:
    """Whole drawings, each as a list of actions, kept until all are done."""

    def run(steps: int) -> float:
        stream = stream_of(checkpoint, label)
        start = time.perf_counter()
        made = [list(stream.drawing()) for _ in range(count)]
        return (time.perf_counter() - start) * steps / sum(map(len, made))

    return run


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
