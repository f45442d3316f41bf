"""The benchmarks measure what they say: all engines compute the same step, and the suites run."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

REPO = Path(__file__).resolve().parent.parent
UNITS, MIXTURES = 24, 3


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(REPO))
    return importlib.import_module("benchmarks.peers")


@pytest.fixture
def weights(peers: Any) -> Any:
    random = np.random.default_rng(5)

    def normal(*shape: int) -> np.ndarray[Any, Any]:
        return random.normal(0, 0.4, shape).astype(np.float32)

    return peers.Weights(
        w=normal(5 + UNITS, 4 * UNITS),
        b=normal(4 * UNITS),
        head_w=normal(UNITS, 3 + 6 * MIXTURES),
        head_b=normal(3 + 6 * MIXTURES),
        hidden=normal(UNITS),
        cell=normal(UNITS),
        start=np.zeros(5, np.float32),
        max_steps=30,
    )


def heads(weights: Any, inputs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same computed plainly in float64, shape (n, 3 + 6M)."""
    hidden, cell = weights.hidden.astype(float), weights.cell.astype(float)
    out = []
    for given in inputs:
        i, j, f, o = np.split(np.concatenate([given, hidden]) @ weights.w.astype(float) + weights.b, 4)
        cell = cell / (1 + np.exp(-f)) + np.tanh(j) / (1 + np.exp(-i))
        hidden = np.tanh(cell) / (1 + np.exp(-o))
        out.append(hidden @ weights.head_w.astype(float) + weights.head_b)
    return np.array(out)


@pytest.mark.parametrize("engine", ["NumpyEngine", "TorchEngine", "OnnxEngine"])
def test_every_peer_computes_the_same_step(
    engine: str, peers: Any, weights: Any, peer_module: Callable[[str], None]
) -> None:
    if engine == "OnnxEngine":
        peer_module("onnx")
        peer_module("onnxruntime")
    inputs = np.random.default_rng(6).normal(size=(20, 5)).astype(np.float32)
    measured = getattr(peers, engine)(weights)
    got = np.array([np.array(measured.head(given)) for given in inputs])
    assert np.abs(got - heads(weights, inputs)).max() < 1e-5
    measured.run(100)  # over the ends of drawings


def test_the_peers_sampler_keeps_to_the_density(peers: Any, weights: Any) -> None:
    """Pen states and the mean offset over many samples, against the mixture's own."""
    sampler, given = peers.NumpySampler(weights), np.zeros(5, np.float32)
    y = np.random.default_rng(7).normal(0, 0.5, 3 + 6 * MIXTURES).astype(np.float32)
    drawn = []
    for _ in range(20_000):
        sampler.next_input(y, given)
        drawn.append(given.copy())
    rows = np.array(drawn)

    def softmax(logits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        weight = np.exp(logits / peers.DIVISOR)
        return np.asarray(weight / weight.sum())

    pi = softmax(y[3 : 3 + MIXTURES])
    assert np.abs(rows[:, 2:].mean(0) - softmax(y[:3])).max() < 0.015
    assert abs(rows[:, 0].mean() - pi @ y[3 + MIXTURES : 3 + 2 * MIXTURES]) < 0.04
    assert abs(rows[:, 1].mean() - pi @ y[3 + 2 * MIXTURES : 3 + 3 * MIXTURES]) < 0.04


@pytest.mark.slow
@pytest.mark.parametrize("suite", ["step", "import", "first-action", "training"])
def test_a_suite_runs_and_writes_what_it_found(suite: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", suite, "--rounds", "2", "--steps", "5", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob(f"{suite}-*.json")
    text = path.read_text()
    assert str(Path.home()) not in text
    assert str(REPO) not in text
    found = json.loads(text)
    assert found["series"]
    assert all(value > 0 for values in found["series"].values() for value in values)
    assert found["machine"]["cores"] <= (os.cpu_count() or 1)
    for name in [*found["series"], *found["absent"]]:
        assert name in done.stdout
    if suite == "step":
        assert any("onnxruntime" in name for name in [*found["series"], *found["absent"]])


def test_without_a_gpu_the_suite_cuda_says_what_it_did_not_measure(
    peers: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    from livesketch import BackendUnavailableError
    from livesketch.backends import cuda_device

    def nowhere() -> None:
        raise BackendUnavailableError("no driver")

    monkeypatch.setattr(cuda_device, "find", nowhere)
    suite, report = (importlib.import_module(f"benchmarks.{name}") for name in ("cuda", "report"))
    result = suite.suite(model="cat", rounds=1, steps=1)
    assert not result.series
    report.show(result)
    assert importlib.import_module("benchmarks.__main__").main(["cuda", "--out", str(tmp_path)]) == 0
    assert not [*tmp_path.iterdir()]
    assert result.absent == {"cuda": "no CUDA device: no driver"}


@pytest.mark.slow
def test_the_suite_cuda_runs_as_it_would_on_a_gpu(peers: Any, monkeypatch: Any, capsys: Any) -> None:
    """On the CPU, whose numbers mean nothing here: that the script is sound before a machine with a GPU is at hand."""
    import torch

    from livesketch.backends import cuda_device

    monkeypatch.setattr(cuda_device, "find", lambda: torch.device("cpu"))
    suite, report = (importlib.import_module(f"benchmarks.{name}") for name in ("cuda", "report"))
    monkeypatch.setattr(suite, "MANY_STEPS", 2)
    sizes = 1, 1001
    result = suite.measured(torch.device("cpu"), model="cat", rounds=2, steps=2, voices=sizes, gemm=64)
    report.show(result)
    said = capsys.readouterr().out
    for words in ("host to host, p50", "p99", "eager PyTorch", "run(k), 1001 voices, fast", "product (TFLOP/s)"):
        assert words in said
    assert all(value > 0 for row in result.series for value in row.values)
    assert result.facts["fast, 1001 voices: share of that rate"] > 0


def test_the_eager_peer_on_a_gpu_computes_the_same_step(peers: Any, weights: Any) -> None:
    import torch

    eager = importlib.import_module("benchmarks.cuda_peer").Eager(weights, 2, torch.device("cpu"))
    inputs = np.random.default_rng(6).normal(size=(20, 5)).astype(np.float32)
    with torch.no_grad():
        got = np.array([eager.head(torch.from_numpy(given).expand(2, -1)).numpy() for given in inputs])
    assert np.abs(got - heads(weights, inputs)[:, None]).max() < 1e-5
    eager.run(100)  # over the ends of drawings


def test_an_unknown_suite_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "stpe", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "no suite stpe; there are step, text, import, first-action, training, jitter, cuda" in done.stderr
