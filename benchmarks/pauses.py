"""Suite `pauses`: microseconds for a pen action a while after the one before, as where a clock or a pen sets the pace.

After a pause the caches hold other things, and the second thread of `cpu-two` has had the time to work ahead.
"""

import gc
import statistics
import time
from typing import Any

from . import models
from .report import Result, Series
from .rounds import WARM_STEPS, progress
from .step import own_batch

PAUSES = {"0.1 ms": 1e-4, "1 ms": 1e-3, "a sixtieth of a second": 1 / 60}
BACKENDS = ("cpu", "cpu-two")
MOST = 100
"""Steps of a measurement, at most: most of the time nothing happens."""


def suite(*, model: str, rounds: int, steps: int) -> Result:
    checkpoint, label = models.found(model)
    engines = {name: own_batch(name, checkpoint, label) for name in BACKENDS}
    count = min(steps, MOST)
    values: dict[str, list[float]] = {f"livesketch {name}, after {pause}": [] for pause in PAUSES for name in BACKENDS}
    gc.collect()
    gc.disable()
    try:
        for turn in range(rounds):
            progress(f"round {turn + 1} of {rounds}")
            for pause, seconds in PAUSES.items():
                for name, batch in engines.items():
                    values[f"livesketch {name}, after {pause}"].append(paused(batch, seconds, count))
    finally:
        gc.enable()
        progress("")
    return Result(
        suite="pauses",
        unit="us",
        facts={"model": label or checkpoint.name, "hidden": checkpoint.hidden, "rounds": rounds, "steps": count},
        series=[Series(name, micros) for name, micros in values.items()],
    )


def paused(batch: Any, seconds: float, count: int) -> float:
    """The middle one of so many steps."""
    for _ in range(min(WARM_STEPS, count)):
        batch.step()
    found = []
    for _ in range(count):
        time.sleep(seconds)
        start = time.perf_counter()
        batch.step()
        found.append(time.perf_counter() - start)
    return statistics.median(found) * 1e6
