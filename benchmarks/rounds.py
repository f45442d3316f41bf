"""Measuring several engines in turn, so that a machine whose speed drifts treats them alike."""

import gc
import random
import sys
import time
from collections.abc import Callable

from .report import Series

Run = Callable[[int], object]
"""Takes that many steps."""

WARM_STEPS = 20
"""Steps before each measurement: the engine measured before has filled the caches with its own weights."""


def interleaved(engines: dict[str, Run], rounds: int, steps: int) -> list[Series]:
    """Microseconds a step, one value per engine and round; each round takes the engines in another order."""
    values: dict[str, list[float]] = {name: [] for name in engines}
    order = list(engines)
    shuffle = random.Random(1)
    gc.collect()
    gc.disable()
    try:
        for turn in range(rounds):
            progress(f"round {turn + 1} of {rounds}")
            shuffle.shuffle(order)
            for name in order:
                engines[name](min(WARM_STEPS, steps))
                start = time.perf_counter()
                engines[name](steps)
                values[name].append((time.perf_counter() - start) / steps * 1e6)
    finally:
        gc.enable()
        progress("")
    return [Series(name, values[name]) for name in engines]


def progress(text: str) -> None:
    """One line on stderr that the next replaces; nothing where nobody looks."""
    if sys.stderr.isatty():
        print(f"\r{text:30}\r", end="", file=sys.stderr, flush=True)
