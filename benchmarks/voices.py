"""Suite `voices`: microseconds for one pen action where N voices are stepped together, beside PyTorch's batches.

Limits are in the same unit: how long one pen action would take at the peak of multiply-adds on registers, or at the
rate of PyTorch's product of two square matrices. Columns say what that is in pen actions a second and in GFLOP/s.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import limits, models, peers
from .report import Result
from .rounds import Run, interleaved, progress
from .step import EQUAL, reference, stroke5

COUNTS = (1, 8, 64, 256, 1024, 2048)
CALL = 16
"""A measurement takes so many times ``--steps`` pen actions of all voices together, but not more steps than that."""
FEW = 4
"""And at least so many steps of all voices."""
RATE = 60
"""Steps a second of a voice that is played in real time."""
OWN, FAST = "livesketch cpu", "livesketch cpu, precision='fast'"
NAIVE, COMPILED = "PyTorch batch, no_grad", "PyTorch batch, torch.compile"


def suite(*, model: str, rounds: int, steps: int) -> Result:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    checkpoint, label = models.found(model)
    flop = models.flop(checkpoint)
    engines, absent = livesketch_engines(checkpoint, label, cores)
    others, errors, without = peer_engines(checkpoint, label, cores)
    bounds, unbounded = peaks(flop, cores)
    return Result(
        suite="voices",
        unit="us",
        facts={
            "model": label or checkpoint.name, "hidden": checkpoint.hidden, "mixtures": checkpoint.mixtures,
            "flop per step": flop, "threads": cores, "rounds": rounds, "steps": steps,
        },
        series=interleaved(engines | others | bounds, rounds, steps),
        limit=peak_name("fp32", cores),
        derived={
            "steps/s": lambda row: 1e6 / row.median,
            "GFLOP/s": lambda row: flop / row.median / 1e3,
            f"at {RATE}/s": lambda row: realtime(row.median),
        },
        absent=absent | without | unbounded,
        errors=errors,
    )  # fmt: skip


def livesketch_engines(checkpoint: Any, label: str | None, cores: int) -> tuple[dict[str, Run], dict[str, str]]:
    """Exact on one thread and on all, fast on all; and what cannot run here with the reason."""
    engines: dict[str, Run] = {}
    absent = {}
    for count in COUNTS:
        progress(f"{count} voices")
        for threads in sorted({1, cores}):
            engines[named(OWN, count, threads)] = counted(own(checkpoint, label, count, threads), count)
        if why := limits.no_bf16():
            absent[named(FAST, count, cores)] = why
        else:
            engines[named(FAST, count, cores)] = counted(own(checkpoint, label, count, cores, "fast"), count)
    return engines, absent


def peer_engines(
    checkpoint: Any, label: str | None, cores: int
) -> tuple[dict[str, Run], dict[str, float], dict[str, str]]:
    """PyTorch's batches, how far off they are, and what cannot run here with the reason."""
    weights = peers.weights(checkpoint, label)
    rows, expected = reference(checkpoint, label)
    inputs = stroke5(rows, checkpoint)
    engines: dict[str, Run] = {}
    errors, absent = {}, {}
    for kind in (NAIVE, COMPILED):
        for count in COUNTS:
            name = named(kind, count, cores)
            made, why = attempt(kind, weights, count, cores)
            if made is None:
                absent[name] = why
                continue
            errors[name] = float(np.abs(peers.forced(made, inputs) - expected).max())
            if errors[name] > EQUAL:
                raise RuntimeError(f"{name}: parameters are off by {errors[name]:.2g}, more than {EQUAL}")
            engines[name] = counted(made.run, count)
    return engines, errors, absent


def named(kind: str, count: int, threads: int) -> str:
    return f"{kind}, {threads} thread{'s' * (threads > 1)}, {count} voice{'s' * (count > 1)}"


def peak_name(kind: str, threads: int) -> str:
    return f"limit: {kind} multiply-adds on registers, {threads} thread{'s' * (threads > 1)}"


def realtime(micros: float) -> float:
    """Voices that would keep up at ``RATE`` steps a second, if a pen action takes so long."""
    return 1e6 / micros / RATE


def peaks(flop: int, cores: int) -> tuple[dict[str, Run], dict[str, str]]:
    """Probes, and those that cannot run here with the reason."""
    bounds: dict[str, Run] = {}
    absent = {}
    why = limits.no_bf16()
    for threads in sorted({1, cores}):
        bounds[peak_name("fp32", threads)] = limits.peak(flop, threads)
        if why:
            absent[peak_name("bf16", threads)] = why
        else:
            bounds[peak_name("bf16", threads)] = limits.peak(flop, threads, bf16=True)
    for dtype in ("float32", "bfloat16"):
        bounds[f"limit: torch.mm {dtype}, {limits.SIDE} square, {cores} threads"] = limits.gemm(flop, cores, dtype)
    return bounds, absent


def own(checkpoint: Any, label: str | None, count: int, threads: int, precision: Any = "exact") -> Run:
    """``livesketch.voices(...).step()``; the arrays it gives are part of it."""
    from livesketch.backends import precise
    from livesketch.controls import Controls
    from livesketch.streams.voices import SketchVoices

    with threads_of_the_backend(threads):
        choir = SketchVoices(checkpoint, label, count, Controls(peers.TEMPERATURE), 1, precise("cpu", precision))
        choir.step()

    def run(steps: int) -> None:
        for _ in range(steps):
            choir.step()

    return run


@contextmanager
def threads_of_the_backend(threads: int) -> Iterator[None]:
    """The cpu backend reads how many threads it may use when a batch is opened."""
    before = os.environ.get("LIVESKETCH_THREADS")
    os.environ["LIVESKETCH_THREADS"] = str(threads)
    try:
        yield
    finally:
        del os.environ["LIVESKETCH_THREADS"]
        if before is not None:
            os.environ["LIVESKETCH_THREADS"] = before


def attempt(kind: str, weights: peers.Weights, count: int, threads: int) -> tuple[Any, str]:
    """A peer, or None and why there is none here."""
    from .peers_torch import BatchEngine

    progress(f"{kind}, {count} voices")
    if kind == NAIVE:
        return BatchEngine(weights, count, threads), ""
    try:
        return BatchEngine(weights, count, threads, compiled=True), ""
    except Exception as err:  # noqa: BLE001 - inductor has many ways to fail
        return None, f"inductor: {type(err).__name__}: {str(err).strip().splitlines()[0][:120]}"


def counted(run: Run, count: int) -> Run:
    """The same in seconds for one pen action: fewer steps where there are many voices."""

    def some(steps: int) -> float:
        calls = min(steps, max(FEW, CALL * steps // count))
        start = time.perf_counter()
        run(calls)
        return (time.perf_counter() - start) * steps / (calls * count)

    return some
