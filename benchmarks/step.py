"""Suite `step`: microseconds for one pen action of one voice, one thread unless said, all engines in turn.

Before it measures, every engine takes the same inputs, and the parameters that it finds are compared with those of the
backend ``reference``: who computes something else is refused (int8, which cannot be equal, says how far off it is).
"""

import importlib.util
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np

from . import limits, models, peers, peers_js
from .report import Result
from .rounds import Run, interleaved, progress, repeat

STREAM = "livesketch cpu, next(stream)"
BACKEND = "livesketch cpu, backend"
LIMIT = "reading the stored weights once"
TWO_STREAM = "livesketch cpu-two, next(stream), 2 threads"
TWO = "livesketch cpu-two, backend, 2 threads"
LIMIT_TWO = "reading the stored weights once, in 2 threads"
NAIVE = "PyTorch, LSTMCell + torch.distributions, no_grad"
COMPILED = "PyTorch, torch.compile"
TUNED = "PyTorch tuned: inference_mode, addmm(out=), sampled by hand"
NUMPY = "NumPy, two gemv, preallocated, float32"
ONNX = "onnxruntime, float32, bound buffers"
INT8 = "onnxruntime, dynamic int8, bound buffers"
JS = "@magenta/sketch, tfjs-wasm, Node"
EQUAL = 1e-4
"""Parameters of the density may part by so much."""
CHECKED = 64
"""Steps of that comparison."""


def suite(*, model: str, rounds: int, steps: int) -> Result:
    checkpoint, label = models.found(model)
    weights = peers.weights(checkpoint, label)
    rows, expected = reference(checkpoint, label)
    inputs = stroke5(rows, checkpoint)
    engines, absent, errors = (
        livesketch_engines(checkpoint, label),
        {},
        {BACKEND: own_error(checkpoint, label, rows, expected)},
    )
    with ExitStack() as closing:
        for name, make in makers(weights, closing).items():
            progress(f"making {name}")
            made, why = attempt(name, make)
            if made is None:
                absent[name] = why
                continue
            errors[name] = float(np.abs(peers.forced(made, inputs) - expected).max())
            if errors[name] > EQUAL and name != INT8:
                raise RuntimeError(f"{name}: parameters are off by {errors[name]:.2g}, more than {EQUAL}")
            engines[name] = made.run
        data = models.stored(checkpoint)
        engines[LIMIT] = limits.reading(data)
        if checkpoint.cell == "lstm":
            engines[TWO_STREAM] = pulled("cpu-two", checkpoint, label)
            engines[TWO] = repeat(own_batch("cpu-two", checkpoint, label).step)
            engines[LIMIT_TWO] = limits.reading(data, 2)
        series = interleaved(engines, rounds, steps)
    return Result(
        suite="step",
        unit="us",
        facts={
            "model": label or checkpoint.name,
            "hidden": checkpoint.hidden,
            "mixtures": checkpoint.mixtures,
            "weights read per step (MB)": round(len(data) / 1e6, 3),
            "threads": 1,
            "rounds": rounds,
            "steps": steps,
        },
        series=series,
        compare_with=STREAM,
        limit=LIMIT,
        absent=absent,
        errors=errors,
    )


def makers(weights: peers.Weights, closing: ExitStack) -> dict[str, Callable[[], Any]]:
    """How each peer is made; in the order of the table."""
    from .peers_torch import BatchEngine, TorchEngine, TunedEngine

    def onnx(*, int8: bool) -> Any:
        from .peers_onnx import OnnxEngine

        return OnnxEngine(weights, int8=int8)

    def js() -> Any:
        engine = peers_js.JsEngine(weights)
        closing.callback(engine.close)
        return engine

    return {
        NAIVE: lambda: TorchEngine(weights),
        COMPILED: lambda: BatchEngine(weights, 1, 1, compiled=True),
        TUNED: lambda: TunedEngine(weights),
        NUMPY: lambda: peers.NumpyEngine(weights),
        ONNX: lambda: onnx(int8=False),
        INT8: lambda: onnx(int8=True),
        JS: js,
    }


def attempt(name: str, make: Callable[[], Any]) -> tuple[Any, str]:
    """An engine, or None and why there is none here."""
    if name == JS and (why := peers_js.missing()):
        return None, why
    missing = [
        word for word in ("onnx", "onnxruntime") if name in {ONNX, INT8} and importlib.util.find_spec(word) is None
    ]
    if missing:
        return None, f"{' and '.join(missing)} not installed; `make peers` installs them"
    if name != COMPILED:
        return make(), ""
    try:
        return make(), ""
    except Exception as err:  # noqa: BLE001 - inductor has many ways to fail: no compiler, no headers, its own errors
        return None, f"inductor: {type(err).__name__}: {str(err).strip().splitlines()[0][:120]}"


def own_batch(name: str, checkpoint: Any, label: str | None) -> Any:
    """One voice of a backend of ours."""
    from livesketch import backends, sampling

    batch = backends.load(name).open(checkpoint, 1)
    batch.seat(0, seed=1, voice=0)
    warmth = sampling.heat(peers.TEMPERATURE)
    batch.heat(0, warmth.divisor, warmth.spread)
    vector = peers.condition(checkpoint, label)
    if vector.size:
        batch.condition(0, vector)
    return batch


def livesketch_engines(checkpoint: Any, label: str | None) -> dict[str, Run]:
    return {
        STREAM: pulled("cpu", checkpoint, label),
        BACKEND: repeat(own_batch("cpu", checkpoint, label).step),
        "livesketch reference, backend": few(own_batch("reference", checkpoint, label).step),
    }


def pulled(backend: str, checkpoint: Any, label: str | None) -> Run:
    """``next`` of a stream."""
    from livesketch.controls import Controls
    from livesketch.streams.sketch import SketchStream

    stream = SketchStream(checkpoint, label, Controls(peers.TEMPERATURE), 1, backend, 0)

    def pull(steps: int) -> None:
        for _ in range(steps):
            next(stream)

    return pull


def few(step: Callable[[], object]) -> Run:
    """A tenth of the steps, of what is slow by design."""
    run = repeat(step)

    def less(steps: int) -> float:
        return limits.together(lambda _: run(max(1, steps // 10)), 1) * steps / max(1, steps // 10)

    return less


def reference(checkpoint: Any, label: str | None) -> tuple[Any, Any]:
    """Rows that the model drew, stroke-3 in data units, and what `reference` expects after each input: parameters."""
    batch = own_batch("reference", checkpoint, label)
    rows: list[list[float]] = []
    while len(rows) < CHECKED:
        action = batch.step()[0]
        if not action["last"] and action["pen"] < 2:
            rows.append([action["dx"], action["dy"], float(action["pen"])])
    batch.seat(0, seed=1, voice=0)
    density = np.zeros((CHECKED + 1, 3 + 6 * checkpoint.mixtures))
    batch.force(0, np.array(rows), density, end=True)
    return np.array(rows), peers.parameters(density)


def own_error(checkpoint: Any, label: str | None, rows: Any, expected: Any) -> float:
    density = np.zeros((CHECKED + 1, 3 + 6 * checkpoint.mixtures), np.float32)
    own_batch("cpu", checkpoint, label).force(0, rows, density, end=True)
    return float(np.abs(peers.parameters(density) - expected).max())


def stroke5(rows: Any, checkpoint: Any) -> Any:
    """The start token, then these rows as the decoder takes them: (n + 1, 5), model units."""
    found = np.zeros((len(rows) + 1, 5), np.float32)
    found[0] = checkpoint.start_token
    found[1:, :2] = rows[:, :2] / checkpoint.scale_factor
    found[1:, 2], found[1:, 3] = 1 - rows[:, 2], rows[:, 2]
    return found
