"""Suite `cuda`: one voice from host to host, many steps without the host, 1 to 65,536 voices; beside eager PyTorch.

All engines run on the same GPU in turn. The limit that many voices are held against is this GPU's own rate of a bf16
product of matrices, measured in the same run.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from . import cuda_peer, peers, text
from .report import Result, Series
from .rounds import Run, interleaved, progress

VOICES = (1, 16, 256, 4096, 65536)
MANY_STEPS = 32
"""Steps of one measurement of many voices."""
GEMM = 8192
BARE = "torch in a graph, no kernels of our own"
LIVE = "livesketch, live step, host to host"
PEER = "eager PyTorch, LSTMCell + torch.distributions"


def suite(*, model: str, rounds: int, steps: int) -> Result:
    from livesketch import BackendUnavailableError, MissingExtraError
    from livesketch.backends import cuda_device

    try:
        device = cuda_device.find()
    except (BackendUnavailableError, MissingExtraError) as err:
        return Result("cuda", "us", {"model": model}, [], absent={"cuda": f"no CUDA device: {err}"})
    return measured(device, model=model, rounds=rounds, steps=steps)


def measured(
    device: Any, *, model: str, rounds: int, steps: int, voices: tuple[int, ...] = VOICES, gemm: int = GEMM
) -> Result:
    """All of it on one device."""
    import torch

    from livesketch.models.catalogue import open_model

    checkpoint, label = open_model(model)
    rates = {kind: rate(device, kind, gemm) for kind in (torch.bfloat16, torch.float32)}
    series = latencies(model, rounds, steps)
    few = {size: size for size in voices if size < 1000}
    series += interleaved(engines(checkpoint, label, device, list(few)), rounds, steps)
    for size in voices:
        if size not in few:
            made = engines(checkpoint, label, device, [size])
            series += interleaved(made, rounds, min(steps, MANY_STEPS))
            made.clear()  # its memory is needed for the next
    operations = 2 * multiplications(checkpoint)
    facts: dict[str, Any] = {
        "model": label or checkpoint.name, "hidden": checkpoint.hidden, "mixtures": checkpoint.mixtures,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "torch": torch.__version__, "rounds": rounds, "steps": steps, "million operations a step": operations / 1e6,
    }  # fmt: skip
    for kind, found in rates.items():
        facts[f"{str(kind).removeprefix('torch.')} product (TFLOP/s)"] = round(found / 1e12, 2)
    medians = {row.name: row.median for row in series}
    for precision, kind in (("fast", torch.bfloat16), ("exact", torch.float32)):
        name, size = run_name(voices[-1], precision), voices[-1]
        facts[f"{precision}, {size} voices: share of that rate"] = round(
            operations * size / (medians[name] * 1e-6) / rates[kind], 3
        )
        facts[f"{precision}, {size} voices: million steps a second"] = round(size / medians[name], 2)
    return Result("cuda", "us", facts, series, compare_with=f"{LIVE}, p50")


def run_name(size: int, precision: str) -> str:
    return f"livesketch, run(k), {size} voices, {precision}"


def multiplications(checkpoint: Any) -> int:
    """Weights that a step multiplies with; a condition's are multiplied when it changes."""
    tensors = checkpoint.tensors
    used = sum(tensor.values.size for name, tensor in tensors.items() if name in {"decoder.w_h", "head.w"})
    return int(used + tensors["decoder.w_x"].values[:5].size)


def rate(device: Any, kind: Any, size: int) -> float:
    """Operations a second of a product of square matrices of random numbers, the best of ten."""
    import torch

    from livesketch.backends.cuda_graph import ExactProducts

    a, b = (torch.randn(size, size, device=device).to(kind) for _ in range(2))
    best = np.inf
    with ExactProducts():
        for _ in range(13):
            wait(device)
            start = time.perf_counter()
            torch.mm(a, b)
            wait(device)
            best = min(best, time.perf_counter() - start)
    return float(2 * size**3 / best)


def wait(device: Any) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


def opened(checkpoint: Any, label: str | None, size: int, precision: str, **options: Any) -> Any:
    from livesketch import sampling
    from livesketch.backends import cuda_device
    from livesketch.backends.cuda_batch import CudaBatch

    batch = CudaBatch(checkpoint, size, cuda_device.find(), precision, **options)
    warmth, vector = sampling.heat(peers.TEMPERATURE), peers.condition(checkpoint, label)
    for k in range(size):
        batch.condition(k, vector)
        batch.seat(k, 1, k)
        batch.heat(k, warmth.divisor, warmth.spread)
    return batch


def latencies(model: str, rounds: int, steps: int) -> list[Series]:
    """The middle and the hundredth slowest of a round's steps, one at a time, as a performance makes them."""
    import livesketch as ls
    from livesketch.backends import cuda
    from livesketch.models.catalogue import open_model

    checkpoint, label = open_model(model)
    batch = opened(checkpoint, label, 1, "exact")
    changed = opened(checkpoint, label, 1, "exact")
    written = cuda.BACKEND.open_text(text.random_model(), 1)
    stream = ls.sketch(model, seed=1, temperature=peers.TEMPERATURE, backend="cuda")

    def change() -> None:
        changed.heat(0, 0.8, 0.9)
        changed.step()

    calls: dict[str, Callable[[], object]] = {
        LIVE: batch.step,
        f"{LIVE}, temperature changed before each": change,
        f"{LIVE}, next(stream)": stream.__next__,
        "livesketch, live token, 5,500 symbols, 2 x LSTM-512": written.step,
    }
    found: dict[str, list[list[float]]] = {name: [] for name in calls}
    for turn in range(rounds):
        progress(f"round {turn + 1} of {rounds}")
        for name, call in calls.items():
            for _ in range(20):
                call()
            times = []
            for _ in range(max(steps, 100)):
                start = time.perf_counter()
                call()
                times.append((time.perf_counter() - start) * 1e6)
            found[name].append(times)
    progress("")
    return [
        Series(f"{name}, p{percent}", [float(np.percentile(times, percent)) for times in found[name]])
        for name in calls
        for percent in (50, 99)
    ]


def timed(batch: Any) -> Run:
    """``batch.run``, whose actions are not asked for: what a run gives would be its own time."""

    def run(steps: int) -> None:
        batch.run(steps)

    return run


def engines(checkpoint: Any, label: str | None, device: Any, sizes: list[int]) -> dict[str, Run]:
    """Microseconds a step of so many voices, the actions on the host at the end."""
    made: dict[str, Run] = {}
    weights = peers.weights(checkpoint, label)
    for size in sizes:
        for precision in ("exact", "fast"):
            made[run_name(size, precision)] = timed(opened(checkpoint, label, size, precision))
        made[f"{run_name(size, 'exact')}, {BARE}"] = timed(opened(checkpoint, label, size, "exact", fused=False))
        made[f"{PEER}, {size} voices"] = cuda_peer.Eager(weights, size, device).run
    return made
