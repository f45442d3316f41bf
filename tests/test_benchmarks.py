"""The benchmarks measure what they say: all engines compute the same step, and the suites run."""

import importlib.util
import itertools
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from conftest import skip_or_fail

from livesketch.models.checks import check

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


def module(name: str) -> Any:
    return importlib.import_module(f"benchmarks.{name}")


ENGINES: dict[str, Callable[[Any], Any]] = {
    "numpy": lambda w: module("peers").NumpyEngine(w),
    "torch": lambda w: module("peers_torch").TorchEngine(w),
    "torch-tuned": lambda w: module("peers_torch").TunedEngine(w),
    "torch-batch": lambda w: module("peers_torch").BatchEngine(w, 3, 1),
    "onnxruntime": lambda w: module("peers_onnx").OnnxEngine(w),
    "onnxruntime-int8": lambda w: module("peers_onnx").OnnxEngine(w, int8=True),
    "magenta-js": lambda w: module("peers_js").JsEngine(w),
}


@pytest.mark.parametrize("engine", ENGINES)
def test_every_peer_computes_the_same_step(
    engine: str, peers: Any, weights: Any, peer_module: Callable[[str], None]
) -> None:
    if engine.startswith("onnxruntime"):
        peer_module("onnx")
        peer_module("onnxruntime")
    if engine == "magenta-js" and (why := module("peers_js").missing()):
        skip_or_fail("peers", why)
    inputs = np.random.default_rng(6).normal(size=(20, 5)).astype(np.float32)
    inputs[:, 4] = 0  # END of the input begins another drawing in the batches
    measured = ENGINES[engine](weights)
    try:
        off = np.abs(peers.forced(measured, inputs) - peers.parameters(heads(weights, inputs))).max()
        if engine == "onnxruntime-int8":
            assert 1e-3 < off < 0.5, "int8 is near, and int8"
        else:
            assert off < 1e-5
        measured.run(100)  # over the ends of drawings
        assert np.abs(peers.forced(measured, inputs[:3]) - peers.parameters(heads(weights, inputs[:3]))).max() < 0.5
    finally:
        getattr(measured, "close", lambda: None)()


def test_parameters_of_a_density_are_those_of_the_head(peers: Any) -> None:
    """One component: logits 0, 0, log 2 of the pen, one weight, means 3 and 4, deviations e and 1, correlation 0."""
    found = peers.parameters(np.array([[0, 0, np.log(2), 5, 3, 4, 1, 0, 0]]))
    assert found == pytest.approx(np.array([[0.25, 0.25, 0.5, 1, 3, 4, np.e, 1, 0]]))


@pytest.mark.parametrize("way", ["by_distributions", "written_out"])
def test_a_batch_samples_by_its_density(way: str, peers: Any, weights: Any) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    y = np.random.default_rng(7).normal(0, 0.5, 3 + 6 * MIXTURES).astype(np.float32)
    rows = getattr(module("peers_torch"), way)(torch.from_numpy(y).expand(40_000, -1), MIXTURES).numpy()
    keeps_to(peers, y, rows)


def test_the_peers_sampler_keeps_to_the_density(peers: Any, weights: Any) -> None:
    """Pen states and the mean offset over many samples, against the mixture's own."""
    sampler, given = peers.NumpySampler(weights), np.zeros(5, np.float32)
    y = np.random.default_rng(7).normal(0, 0.5, 3 + 6 * MIXTURES).astype(np.float32)
    drawn = []
    for _ in range(20_000):
        sampler.next_input(y, given)
        drawn.append(given.copy())
    keeps_to(peers, y, np.array(drawn))


def keeps_to(peers: Any, y: np.ndarray[Any, Any], rows: np.ndarray[Any, Any]) -> None:
    """Rows (n, 5) that were drawn are as the outputs y (3 + 6M) of the head say."""

    def softmax(logits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        weight = np.exp(logits / peers.DIVISOR)
        return np.asarray(weight / weight.sum())

    pi, mu = softmax(y[3 : 3 + MIXTURES]), y[3 + MIXTURES : 3 + 3 * MIXTURES].reshape(2, -1)
    sigma = np.exp(y[3 + 3 * MIXTURES : 3 + 5 * MIXTURES].reshape(2, -1)) * peers.SPREAD
    rho = np.tanh(y[3 + 5 * MIXTURES :])
    mean = mu @ pi
    assert np.abs(rows[:, 2:].mean(0) - softmax(y[:3])).max() < 0.015
    assert np.abs(rows[:, :2].mean(0) - mean).max() < 0.04
    around = rows[:, :2] - mean
    assert np.abs((around**2).mean(0) / ((sigma**2 + mu**2) @ pi - mean**2) - 1).max() < 0.06
    both = (rho * sigma[0] * sigma[1] + mu[0] * mu[1]) @ pi - mean[0] * mean[1]
    assert abs((around[:, 0] * around[:, 1]).mean() - both) < 0.05


def test_a_limit_reads_everything_and_multiplies_on_registers(peers: Any) -> None:
    limits = module("limits")
    words = np.arange(1, 1001, dtype=np.uint64)
    assert limits.folding()(words, 3) == 3 * words.sum()
    for threads in (1, 2):
        assert limits.reading(words.tobytes(), threads)(5) > 0
        assert limits.peak(10**6, threads)(5) > 0
    spin, lanes = limits.spinning(bf16=False)
    (code,) = spin.inspect_asm().values()
    if platform.machine() == "x86_64" and lanes > 4:
        assert len(re.findall(r"vfn?m(?:add|sub)\d+ps", code)) >= limits.SUMS
    assert lanes == {4: 4, 8: 8, 16: 16}[lanes]


def test_a_peak_counts_the_operations_that_it_does(peers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a loop that takes a second a call: a step of as many operations as a call has takes a second."""
    limits = module("limits")
    calls: list[int] = []
    monkeypatch.setattr(limits, "spinning", lambda *, bf16: (lambda turns, start: calls.append(turns), 8))
    monkeypatch.setattr(limits, "LONGER", 1)
    monkeypatch.setattr(limits, "together", lambda work, threads: [work(k) for k in range(threads)] and len(calls) / 2)
    run = limits.peak(limits.SUMS * 8 * 2 * limits.TURNS, 2)
    calls.clear()
    assert run(10) == pytest.approx(5.0)  # ten calls of a second each, in two threads
    assert calls == [limits.TURNS] * 10


def test_voices_count_pen_actions(peers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What took 2 seconds for 7 steps of 100 voices took 2 / 700 for each pen action."""
    voices = module("voices")
    ticks = iter([0.0, 2.0])
    monkeypatch.setattr(voices.time, "perf_counter", lambda: next(ticks))
    asked: list[int] = []
    seconds = voices.counted(asked.append, 100)(50)
    assert asked == [8]
    assert seconds / 50 == pytest.approx(2 / 800)


def test_an_aged_stream_stays_about_as_old(peers: Any) -> None:
    """Of 1,500 steps and then 100 at a time: the third hundred is that of another stream."""
    made: list[Any] = []

    def fresh() -> Any:
        made.append(itertools.count())
        return made[-1]

    aged = module("growth").Aged(fresh, 1500)
    assert all(aged.run(70) > 0 for _ in range(3))
    assert [next(stream) for stream in made] == [1640, 1570]


def test_the_random_model_is_of_the_official_size_and_sound(peers: Any) -> None:
    models = module("models")
    made = models.random_decoder(512)
    check(made, "random")
    assert len(models.stored(made)) == 2 * 1_123_963, "performance is quoted for so many weights of 16 bits"
    assert models.flop(made) == 2 * (517 * 2048 + 512 * 123)


def test_rounds_take_what_an_engine_measured_itself(peers: Any) -> None:
    (series,) = module("rounds").interleaved({"own": lambda steps: steps * 3e-6}, 2, 10)
    assert series.values == pytest.approx([3.0, 3.0])


def test_documents_say_what_the_committed_results_say(peers: Any) -> None:
    assert module("plots").stale() == [], "run python -m benchmarks.plots"


def test_a_document_that_was_changed_by_hand_is_noticed(
    peers: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plots = module("plots")
    page = tmp_path / "page.md"
    monkeypatch.setattr(plots, "ROOT", tmp_path)
    monkeypatch.setattr(plots, "DOCS", tmp_path)
    monkeypatch.setattr(plots, "PAGES", (page,))
    page.write_text("before\n<!-- made by benchmarks.plots: step -->\n<!-- end -->\nafter\n")
    assert plots.main([]) == 0
    written = page.read_text()
    assert written.startswith("before\n<!-- made")
    assert written.endswith("<!-- end -->\nafter\n")
    assert plots.stale() == []
    value = re.search(r"\| (\d+(?:\.\d+)?) \|", written)
    assert value is not None
    page.write_text(written.replace(value[1], "1", 1))
    assert plots.main(["--check"]) == 1
    assert plots.stale() == ["page.md"]


def test_a_table_of_voices_says_rates_and_shares(peers: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """10 µs of 1,000 operations are 100,000 a second, half of the peak, and 1,667 voices at 60 steps a second."""
    plots, voices, report = module("plots"), module("voices"), module("report")
    named, peak = voices.named, voices.peak_name
    micros = {named(voices.OWN, 1, 1): 40.0, named(voices.OWN, 256, 2): 10.0, named(voices.OWN, 256, 1): 20.0,
              named(voices.NAIVE, 256, 2): 30.0, peak("fp32", 1): 10.0, peak("fp32", 2): 5.0,
              named(voices.FAST, 256, 2): 5.0, peak("bf16", 2): 4.0}  # fmt: skip
    series = [
        report.Series(
            name, [value * 2, value, value * 3] if name.startswith("limit") else [value, value * 2, value / 2]
        )
        for name, value in micros.items()
    ]  # of a limit the best round counts, of all else the middle one
    facts = {"flop per step": 1000, "threads": 2}
    report.write(report.Result("voices", "us", facts, series, absent={"limit: bf16": "none here"}), tmp_path)
    monkeypatch.setattr(plots, "RESULTS", tmp_path)
    part = plots.part("voices")
    assert "| livesketch cpu, 2 threads |  | 100,000 |" in part
    assert "| livesketch cpu, 2 threads: share of the fp32 peak of so many threads |  | 50% |" in part
    assert "| livesketch cpu, 1 thread: share of the fp32 peak of so many threads | 25% | 50% |" in part
    assert "| livesketch cpu, precision='fast', 2 threads: share of the bf16 peak of so many threads |  | 80% |" in part
    assert "1,667 voices (livesketch cpu, 2 threads)" in " ".join(part.split())
    assert "Not measured: limit: bf16: none here." in part
    labels = [text.text for text in ET.fromstring(plots.voices_plot(plots.newest("voices"))).iter() if text.text]
    assert "fp32 peak, 2 threads (0 GFLOP/s)" in labels
    assert "PyTorch batch, no_grad, 2 threads" in labels


SPEED = re.compile(r"\d[\d.,]*\s*(?:µs|us\b|microseconds|GFLOP|×|x faster|times (?:faster|as fast|as long))")


def test_the_readme_claims_no_speed_of_its_own(peers: Any) -> None:
    text = module("plots").PART.sub("", (REPO / "README.md").read_text(encoding="utf-8"))
    assert "times as long as" not in text
    assert SPEED.findall(text) == []
    assert SPEED.findall("a step takes 21.5 µs, 3 times faster") == ["21.5 µs", "3 times faster"]


SMALL = """
import sys
from benchmarks import __main__ as program, growth, voices
voices.COUNTS, growth.UNITS, growth.VOICES, growth.AGES = (1, 50), (32, 512), (1, 3), (10**3, 2000)
sys.exit(program.main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "suite", ["step", "pauses", "voices", "growth", "text", "import", "first-action", "training", "bulk"]
)
def test_a_suite_runs_and_writes_what_it_found(
    suite: str, tmp_path: Path, peers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", SMALL, suite, "--rounds", "2", "--steps", "5", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=580, check=False)
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
        for peer in ("onnxruntime, float32", "onnxruntime, dynamic int8", "@magenta/sketch", "torch.compile"):
            assert any(peer in name for name in [*found["series"], *found["absent"]])
        assert found["errors"]["livesketch cpu, backend"] < 1e-4
    plots = module("plots")
    monkeypatch.setattr(plots, "RESULTS", tmp_path)
    for name in (name for name, (of, _) in plots.PARTS.items() if of == suite):
        assert path.name in plots.part(name) or name == "readme"
    for _, draw in (plot for plot in plots.PLOTS.values() if plot[0] == suite):
        ET.fromstring(draw(plots.newest(suite)))


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
    assert (
        "no suite stpe; there are step, pauses, voices, growth, text, import, first-action, training, jitter"
        in done.stderr
    )
