"""Suite `step`: microseconds for one pen action of one voice, one thread, all engines in turn."""

import importlib.util
from typing import Any

import numpy as np

from . import peers
from .report import Result
from .rounds import Run, interleaved

STREAM = "livesketch cpu, next(stream)"


def suite(*, model: str, rounds: int, steps: int) -> Result:
    from livesketch.models.catalogue import open_model

    checkpoint, label = open_model(model)
    weights = peers.weights(checkpoint, label)
    engines = livesketch_engines(model, checkpoint, label)
    engines["PyTorch, LSTMCell + torch.distributions, no_grad"] = peers.TorchEngine(weights).run
    engines["NumPy, two gemv, preallocated, float32"] = peers.NumpyEngine(weights).run
    absent = {}
    missing = [name for name in ("onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        absent["onnxruntime, float32"] = f"{' and '.join(missing)} not installed; `make peers` installs them"
    else:
        engines["onnxruntime, float32, bound buffers"] = peers.OnnxEngine(weights).run
    read, size = reading(checkpoint)
    engines["reading the stored weights once"] = read
    return Result(
        suite="step",
        unit="us",
        facts={
            "model": label or checkpoint.name,
            "hidden": checkpoint.hidden,
            "mixtures": checkpoint.mixtures,
            "weights read per step (MB)": round(size / 1e6, 3),
            "threads": 1,
            "rounds": rounds,
            "steps": steps,
        },
        series=interleaved(engines, rounds, steps),
        compare_with=STREAM,
        absent=absent,
    )


def livesketch_engines(model: str, checkpoint: Any, label: str | None) -> dict[str, Run]:
    import livesketch as ls
    from livesketch import backends, sampling

    stream = ls.sketch(model, seed=1, temperature=peers.TEMPERATURE, backend="cpu")

    def pull(steps: int) -> None:
        for _ in range(steps):
            next(stream)

    engines: dict[str, Run] = {STREAM: pull}
    for name in ("cpu", "reference"):
        batch = backends.load(name).open(checkpoint, 1)
        batch.seat(0, seed=1, voice=0)
        warmth = sampling.heat(peers.TEMPERATURE)
        batch.heat(0, warmth.divisor, warmth.spread)
        vector = peers.condition(checkpoint, label)
        if vector.size:
            batch.condition(0, vector)
        engines[f"livesketch {name}, backend"] = repeat(batch.step)
    return engines


def repeat(step: Any) -> Run:
    def run(steps: int) -> None:
        for _ in range(steps):
            step()

    return run


def reading(checkpoint: Any) -> tuple[Run, int]:
    """Reads what a step must read, as it is stored: the limit that memory sets. Returns the probe and the bytes."""
    from numba import njit

    stored = {name: tensor.values for name, tensor in checkpoint.tensors.items()}
    stored["decoder.w_x"] = stored["decoder.w_x"][:5]  # the rows of the condition act once per drawing
    used = ("decoder.w_x", "decoder.w_h", "decoder.b", "head.w", "head.b")
    data = b"".join(stored[name].tobytes() for name in used)
    words = np.frombuffer(data + bytes(-len(data) % 8), np.uint64).copy()

    @njit  # type: ignore[untyped-decorator, unused-ignore]
    def fold(words: Any) -> Any:
        total = np.uint64(0)
        for k in range(words.size):  # compiled to wide loads into several accumulators
            total ^= words[k]
        return total

    def run(steps: int) -> None:
        for _ in range(steps):
            fold(words)

    return run, len(data)
