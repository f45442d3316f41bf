"""Measuring several engines in turn, so that a machine whose speed drifts treats them alike."""

import gc
import random
import sys
import time
from collections.abc import Callable

from .report import Series

Run = Callable[[int], float | None]
"""Takes that many steps; gives the seconds that they took where it measured itself, else None."""

WARM_STEPS = 50
"""Steps before each measurement: the engine measured before has filled the caches with its own weights, and a thread
that helps is asleep."""


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
                own = engines[name](steps)
                seconds = time.perf_counter() - start if own is None else own
                values[name].append(seconds / steps * 1e6)
    finally:
        gc.enable()
        progress("")
    return [Series(name, values[name]) for name in engines]


def repeat(step: Callable[[], object]) -> Run:
    """A call a step."""

    def run(steps: int) -> None:
        for _ in range(steps):
            step()

    return run


def progress(text: str) -> None:
    """One line on stderr that the next replaces; nothing where nobody looks."""
    if sys.stderr.isatty():
        print(f"\r{text:30}\r", end="", file=sys.stderr, flush=True)
