"""Suite `training`: sketches a second that are trained, one thread, all engines in turn.

A step is forward, backward, clipping by value and Adam on the same batch: 100 drawings, all of 129 rows and an END,
so that nobody gains by leaving padding out. Sizes and losses are magenta's defaults (conditional, LSTM 256 and 512). An
LSTMCell has no recurrent dropout, so nobody has it but for a row of its own that says what it costs.
"""

import gc
import random
import time
from collections.abc import Callable
from typing import Any

from .report import Result, Series
from .rounds import progress

BATCH, LENGTH = 100, 130
PORT = "PyTorch port, LSTMCell loop, fp32"
WEIGHT = 0.5

Step = Callable[[], None]


def suite(*, model: str, rounds: int, steps: int) -> Result:  # noqa: ARG001 - what all suites are given
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(1)
    rows, lengths = drawings()
    engines = {
        PORT: port_step(rows, lengths),
        "the port under autocast, bf16": port_step(rows, lengths, bf16=True),
        "livesketch, fp32": own_step(rows, lengths, torch.float32),
        "livesketch, bf16": own_step(rows, lengths, torch.bfloat16),
        "livesketch, bf16, recurrent dropout 0.1": own_step(rows, lengths, torch.bfloat16, dropout=0.1),
        "livesketch, fp32, fast=False": own_step(rows, lengths, torch.float32, fast=False),
    }
    return Result(
        suite="training",
        unit="sketches/s",
        facts={
            "batch": BATCH,
            "length": LENGTH,
            "threads": 1,
            "rounds": rounds,
        },
        series=measured(engines, rounds),
        compare_with=PORT,
    )


def measured(engines: dict[str, Step], rounds: int) -> list[Series]:
    """One step of each engine per round, in another order each time, after a step that warms."""
    values: dict[str, list[float]] = {name: [] for name in engines}
    order, shuffle = list(engines), random.Random(1)
    for name in order:
        progress(f"warming {name}")
        engines[name]()
    gc.collect()
    for turn in range(rounds):
        progress(f"round {turn + 1} of {rounds}")
        shuffle.shuffle(order)
        for name in order:
            start = time.perf_counter()
            engines[name]()
            values[name].append(BATCH / (time.perf_counter() - start))
    progress("")
    return [Series(name, values[name]) for name in engines]


def drawings() -> tuple[Any, Any]:
    """Stroke-5 rows (T + 1, B, 5) with the start token, and lengths (B,), of random drawings."""
    import torch

    rows = torch.zeros(LENGTH + 1, BATCH, 5)
    rows[1:LENGTH, :, :2] = torch.randn(LENGTH - 1, BATCH, 2)
    lifts = (torch.rand(LENGTH - 1, BATCH) < 0.1).float()
    rows[1:LENGTH, :, 2], rows[1:LENGTH, :, 3] = 1 - lifts, lifts
    rows[0, :, 2] = rows[LENGTH, :, 4] = 1
    return rows, torch.full((BATCH,), LENGTH - 1)


def own_step(rows: Any, lengths: Any, dtype: Any, *, fast: bool = True, dropout: float = 0.0) -> Step:
    import torch

    from livesketch.models.network import NetworkSpec, SketchRNN
    from livesketch.training.losses import kl, losses
    from livesketch.training.schedules import clip_by_value

    net = SketchRNN(NetworkSpec(recurrent_dropout=dropout), fast=fast)
    adam = torch.optim.Adam(net.parameters(), fused=True)

    def step() -> None:
        mu, sigma_hat = net.encode(rows[1:], lengths, dtype)
        z = mu + torch.exp(sigma_hat / 2) * torch.randn_like(mu)
        head = net.decode(rows[:-1], net.condition(z, None), dtype)
        adam.zero_grad()
        losses(head, rows[1:], LENGTH, kl(mu, sigma_hat)).cost(WEIGHT).backward()
        clip_by_value(net.parameters())
        adam.step()

    return step


def port_step(rows: Any, lengths: Any, *, bf16: bool = False) -> Step:
    import torch

    from .training_peer import PlainSketchRNN

    net = PlainSketchRNN()
    adam = torch.optim.Adam(net.parameters())

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = net.loss(rows, lengths, WEIGHT)
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_value_(net.parameters(), 1.0)
        adam.step()

    return step
