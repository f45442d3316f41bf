"""Suite `bulk`: finished drawings a second, many voices at once, beside one stream and a batch in PyTorch; memory."""

import random
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from . import peers
from .peers_torch import TorchEngine
from .report import Result, Series
from .rounds import progress

COUNTS = (100, 1_000, 10_000)
FEW = 100
"""Drawings for the engines whose speed does not depend on how many there are."""
BATCH = 256
"""Drawings that PyTorch begins together."""
MOST_ROUNDS = 5
STREAM = "livesketch, next(stream), one after the other"

MEMORY = """
import re
import livesketch as ls
for _ in ls.bulk({model!r}, {count}, seed=1, backend="cpu"): pass
print(re.search(r"VmHWM:\\s*([0-9]+) kB", open("/proc/self/status").read())[1])
"""
"""Linux's own figure of the process alone: ``getrusage`` counts what its parent had before, too."""


class TorchBatch:
    """What most people write: LSTMCell and torch.distributions over a batch, until the longest drawing has ended."""

    def __init__(self, w: peers.Weights) -> None:
        engine = TorchEngine(w)
        self._lstm, self._linear, self._weights = engine._lstm, engine._linear, w  # noqa: SLF001 - the same layers

    def draw(self, count: int) -> list[Any]:
        """So many drawings, stroke-3 rows (n, 3) in model units each."""
        out: list[Any] = []
        while len(out) < count:
            out += self._batch(min(BATCH, count - len(out)))
        return out

    def _batch(self, count: int) -> list[Any]:
        import torch

        w, rows, pens = self._weights, [], []
        state = tuple(torch.from_numpy(part.copy()).repeat(count, 1) for part in (w.hidden, w.cell))
        given, ended = torch.from_numpy(w.start.copy()).repeat(count, 1), torch.zeros(count, dtype=torch.bool)
        with torch.no_grad():
            for _ in range(w.max_steps):
                state = self._lstm(given, state)
                place, pen = self._sample(self._linear(state[0]))
                given = torch.cat([place, torch.nn.functional.one_hot(pen, 3).float()], 1)
                rows.append(place.numpy())
                pens.append(pen.numpy())
                ended |= pen == 2
                if ended.all():
                    break
        places, states = np.stack(rows, 1), np.stack(pens, 1)
        lengths = [int(np.flatnonzero(np.append(own == 2, True))[0]) for own in states]
        return [np.c_[places[k, :n], states[k, :n] == 1] for k, n in enumerate(lengths)]

    def _sample(self, y: Any) -> Any:
        import torch

        pen, pi, *parts = y.split([3] + 6 * [self._weights.mixtures], 1)
        k = torch.distributions.Categorical(logits=pi / peers.DIVISOR).sample()
        state = torch.distributions.Categorical(logits=pen / peers.DIVISOR).sample()
        mu_x, mu_y, log_x, log_y, raw = (part.gather(1, k[:, None])[:, 0] for part in parts)
        sigma_x, sigma_y, rho = log_x.exp() * peers.SPREAD, log_y.exp() * peers.SPREAD, raw.tanh()
        rows = [torch.stack([sigma_x, torch.zeros_like(rho)], -1)]
        rows += [torch.stack([rho * sigma_y, (1 - rho**2).sqrt() * sigma_y], -1)]
        normal = torch.distributions.MultivariateNormal(torch.stack([mu_x, mu_y], -1), scale_tril=torch.stack(rows, 1))
        return normal.sample(), state


def suite(*, model: str, rounds: int, steps: int) -> Result:
    """``steps`` bounds the largest number of drawings, a hundred for each; ``rounds`` are at most ``MOST_ROUNDS``."""
    import livesketch as ls
    from livesketch.models.catalogue import open_model

    checkpoint, label = open_model(model)
    counts = [count for count in COUNTS if count <= 100 * steps] or [min(COUNTS)]
    stream = ls.sketch(model, seed=1, temperature=peers.TEMPERATURE, backend="cpu")
    batch = TorchBatch(peers.weights(checkpoint, label))
    engines: dict[str, tuple[Callable[[int], object], int]] = {
        STREAM: (lambda count: [list(stream.drawing()) for _ in range(count)], FEW)
    }
    for count in counts:
        engines[f"livesketch, bulk of {count}"] = (lambda n: drawn(model, n), count)
    for count in counts[:2]:
        engines[f"PyTorch, batches of {BATCH}, no_grad, {count}"] = (batch.draw, count)
    linux = sys.platform == "linux"
    memory = {f"peak memory for {count} (MiB)": peak(model, count) for count in counts if linux}
    return Result(
        suite="bulk",
        unit="drawings/s",
        facts={
            "model": label or checkpoint.name, "hidden": checkpoint.hidden, "threads": 1,
            "voices": ls.bulk(model, 1, seed=1).voices, "steps a drawing": round(length(model), 1),
            "drawings of the stream": FEW, "rounds": min(rounds, MOST_ROUNDS), **memory,
        },
        series=rates(engines, min(rounds, MOST_ROUNDS)),
        compare_with=STREAM,
    )  # fmt: skip


def drawn(model: str, count: int) -> int:
    import livesketch as ls

    return sum(1 for _ in ls.bulk(model, count, seed=1, temperature=peers.TEMPERATURE, backend="cpu"))


def length(model: str) -> float:
    import livesketch as ls

    found = ls.bulk(model, FEW, seed=1, temperature=peers.TEMPERATURE, backend="cpu")
    return sum(map(len, found)) / FEW


def peak(model: str, count: int) -> float:
    """The most memory that a process of its own had for so many drawings, MiB."""
    program = MEMORY.format(model=model, count=count)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return round(int(done.stdout) / 2**10, 1)


def rates(engines: dict[str, tuple[Callable[[int], object], int]], rounds: int) -> list[Series]:
    """Drawings a second, a value for each engine and round; each round takes the engines in another order."""
    values: dict[str, list[float]] = {name: [] for name in engines}
    order, shuffle = list(engines), random.Random(1)
    for run, _ in engines.values():
        run(3)  # what is compiled or allocated first
    for turn in range(rounds):
        progress(f"round {turn + 1} of {rounds}")
        shuffle.shuffle(order)
        for name in order:
            run, count = engines[name]
            start = time.perf_counter()
            run(count)
            values[name].append(count / (time.perf_counter() - start))
    progress("")
    return [Series(name, found) for name, found in values.items()]
