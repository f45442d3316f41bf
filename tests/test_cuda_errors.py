"""What the cuda backend says where it cannot run, and what ``auto`` does then; a GPU that fails is played by a fake."""

import importlib.util
import logging
import sys

import numpy as np
import pytest
import torch
from cuda_devices import use
from small_models import small_checkpoint
from small_texts import small_text

import livesketch as ls
from livesketch import BackendUnavailableError, MissingExtraError, backends
from livesketch.backends import cuda, cuda_auto, cuda_device
from livesketch.models.checkpoint import save_checkpoint

MODEL = small_checkpoint()


@pytest.fixture
def gpu(monkeypatch):
    """A PyTorch that believes in a GPU of this name and capability."""
    facts = {"name": "NVIDIA Example", "capability": (9, 0), "built": ["sm_80", "sm_90", "compute_90"]}
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: facts["capability"])
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: facts["name"])
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: facts["built"])
    return facts


def refused(words, error=BackendUnavailableError):
    return pytest.raises(error, match=f"(?s)cuda.*{words}.*usable: cpu, reference")


def test_without_pytorch_the_extra_is_named(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "torch" else real(name, *more))
    with refused(r"PyTorch.*pip install \"livesketch\[cuda\]\"", MissingExtraError):
        backends.load("cuda").open(MODEL, 1)


def test_a_pytorch_without_cuda_says_so(monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    for opened in (cuda.BACKEND.open, lambda *rest: cuda.BACKEND.open_text(small_text(), 1)):
        with refused("built without CUDA; expected a build with it"):
            opened(MODEL, 1)


def test_without_a_driver_it_says_what_pytorch_said(gpu, monkeypatch):
    def init():
        raise RuntimeError("Found no NVIDIA driver on your system.\nLong advice")

    monkeypatch.setattr(torch.cuda, "init", init)
    with refused(r"finds no GPU to use \(Found no NVIDIA driver on your system\.\); expected.*nvidia-smi"):
        cuda.BACKEND.open(MODEL, 1)


def test_a_gpu_that_is_too_old_is_refused(gpu):
    gpu["capability"] = (6, 1)
    with refused(r"NVIDIA Example has compute capability 6\.1; expected 7\.0 or newer"):
        cuda.BACKEND.open(MODEL, 1)


@pytest.mark.parametrize(
    ("capability", "built", "runs"),
    [
        ((9, 0), ["sm_80", "sm_90"], True), ((9, 0), ["sm_80"], False), ((8, 9), ["sm_80"], True),
        ((12, 0), ["sm_90", "compute_90"], True), ((12, 0), ["sm_90"], False), ((8, 0), ["sm_86"], False),
        ((10, 0), ["sm_100"], True), ((9, 0), ["sm_90a"], True), ((7, 5), ["nonsense"], False), ((7, 5), [], True),
    ],
)  # fmt: skip
def test_a_pytorch_built_for_other_gpus_is_refused(gpu, capability, built, runs):
    gpu["capability"], gpu["built"] = capability, built
    if runs:
        assert cuda_device.find().type == "cuda"
    else:
        with refused(f"is built for {', '.join(built)} only"):
            cuda_device.find()


def test_too_little_memory_is_said_with_what_to_try(gpu, monkeypatch):
    from livesketch.backends import cuda_batch

    def full(*rest, **options):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 80.00 GiB.")

    monkeypatch.setattr(cuda_batch, "SketchMachine", full)
    with refused(r"'small' with 5000 voices does not fit.*NVIDIA Example.*80\.00 GiB.*fewer voices, precision"):
        cuda.BACKEND.open(MODEL, 5000)


def test_a_gpu_that_fails_while_a_model_is_opened(gpu, monkeypatch):
    from livesketch.backends import cuda_batch

    def broken(*rest, **options):
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nadvice")

    monkeypatch.setattr(cuda_batch, "SketchMachine", broken)
    with refused(
        r"failed while 'small' with 1 voices was prepared \(CUDA error: an illegal memory access was encountered"
    ):
        cuda.BACKEND.open(MODEL, 1)


class FakeGpu:
    type = "cuda"

    def __str__(self):
        return "cuda:0"


@pytest.mark.parametrize("kind", ["sketch", "text"])
@pytest.mark.parametrize("when", ["run", "settle"])
def test_a_gpu_that_is_lost_in_a_step_says_so_then_and_ever_after(gpu, monkeypatch, kind, when):
    use("cpu", monkeypatch)
    batch = cuda.BACKEND.open(MODEL, 1) if kind == "sketch" else cuda.BACKEND.open_text(small_text(), 1)
    batch.step()
    batch._device = FakeGpu()

    def lost(*rest):
        raise RuntimeError("CUDA error: unspecified launch failure")

    if when == "run":
        monkeypatch.setattr(type(batch._programs), "run", lost)
    else:
        monkeypatch.setattr(type(batch._programs), "wait", lost)
    for _ in range(2):
        with refused(r"NVIDIA Example \(cuda:0\) failed in a step \(CUDA error: unspecified launch failure\).*seed"):
            batch.step()
    monkeypatch.undo()
    for call in (batch.snapshot, lambda: batch.steps, lambda: batch.seat(0, 1, 0), lambda: batch.mark(0)):
        with pytest.raises(BackendUnavailableError, match="failed in a step"):
            call()


def test_a_player_s_stream_ends_with_the_error_of_a_lost_gpu(gpu, monkeypatch, tmp_path):
    use("cpu", monkeypatch)
    save_checkpoint(MODEL, tmp_path / "small.safetensors")
    stream = ls.sketch(str(tmp_path / "small.safetensors"), seed=1, backend="cuda")
    assert stream.backend == "cuda"
    next(stream)
    stream._batch._failed = RuntimeError("CUDA error: device-side assert triggered")
    with pytest.raises(BackendUnavailableError, match="device-side assert"):
        next(stream)


def test_without_triton_a_gpu_is_used_and_it_is_said(monkeypatch, caplog):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not cuda_device.with_triton(FakeGpu())
    assert 'pip install "livesketch[cuda]"' in caplog.text
    assert not cuda_device.with_triton(torch.device("cpu"))


# auto


def test_auto_is_the_cpu_for_few_voices_and_without_a_driver(monkeypatch):
    monkeypatch.setattr(backends, "driver_seen", lambda: True)
    assert backends.load("auto").name == backends.load("auto", cuda_auto.MANY - 1).name == "cpu"
    monkeypatch.setattr(backends, "driver_seen", lambda: False)
    assert backends.load("auto", cuda_auto.MANY).name == "cpu"


def test_auto_falls_back_before_the_start_and_says_so(monkeypatch, caplog):
    monkeypatch.setattr(backends, "driver_seen", lambda: True)
    monkeypatch.setattr(cuda_auto, "MANY", 3)
    monkeypatch.setattr(torch.version, "cuda", None)
    with caplog.at_level(logging.WARNING, "livesketch"):
        choir = ls.voices("cat", cuda_auto.MANY, seed=7)
    assert choir.backend == "cpu"
    assert "auto takes backend 'cpu': backend \"cuda\": PyTorch" in caplog.text
    text = backends.load("auto", cuda_auto.MANY)
    assert text.open_text(small_text(), 1).backend == text.name == "cpu"


def test_auto_that_began_on_the_gpu_never_changes_over(monkeypatch, caplog):
    monkeypatch.setattr(backends, "driver_seen", lambda: True)
    use("cpu", monkeypatch)
    backend = backends.load("auto", cuda_auto.MANY)
    assert backend.name == "cuda"
    assert backend.open(MODEL, 2).backend == backend.open_text(small_text(), 2).backend == "cuda"

    def gone():
        raise BackendUnavailableError("gone")

    monkeypatch.setattr(cuda_device, "find", gone)
    for opened in (lambda: backend.open(MODEL, 2), lambda: backend.open_text(small_text(), 2)):
        with pytest.raises(BackendUnavailableError, match="gone"):
            opened()
    assert backend.name == "cuda"
    assert not caplog.text


def test_a_named_backend_is_never_replaced(monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    with refused("built without CUDA"):
        ls.voices("cat", 2, backend="cuda")


def test_loading_the_backend_imports_no_torch():
    import subprocess

    code = (
        "import sys; from livesketch import backends; backends.load('cuda'); backends.load('auto', 5000);"
        "print([name for name in ('torch', 'triton') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_the_actions_array_takes_what_a_stream_puts_there(monkeypatch):
    use("cpu", monkeypatch)
    batch = cuda.BACKEND.open(MODEL, 2)
    batch.step()
    kept = batch.actions.copy()
    batch.step()
    batch.actions[:] = kept
    assert batch.mark(0) != kept[:1].tobytes()
    assert np.array_equal(batch.actions, kept)
    assert batch.steps == 2


# Captures, with a stand-in for what only a GPU has


class Stand:
    """Does nothing, under any name, and notes it."""

    def __init__(self, notes, what):
        self.notes, self.what = notes, what

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def __getattr__(self, name):
        return lambda *rest: self.notes.append((self.what, name))


class Graph:
    """Replays the function that was captured."""

    def __init__(self):
        self.function = None

    def replay(self):
        self.function()

    def pool(self):
        return "pool"


@pytest.fixture
def captures(monkeypatch):
    import inspect

    notes, signature = [], inspect.signature(torch.cuda.graph.__init__)

    def capturing(graph, **options):
        signature.bind(None, graph, **options)
        graph.function = sys._getframe(1).f_locals["function"]
        notes.append(("graph", options["pool"], options["capture_error_mode"]))
        return Stand(notes, "graph")

    streams = iter(range(100))
    for name in ("device", "stream"):
        monkeypatch.setattr(torch.cuda, name, lambda *rest, name=name: Stand([], name))
    monkeypatch.setattr(torch.cuda, "Stream", lambda *rest: Stand(notes, f"stream {next(streams)}"))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda *rest: Stand(notes, "current"))
    monkeypatch.setattr(torch.cuda, "Event", lambda: Stand(notes, "event"))
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", capturing)
    return notes


def test_a_program_is_warmed_up_captured_once_and_leaves_no_trace(captures):
    from livesketch.backends.cuda_graph import Branch, Programs

    programs, memory, other = Programs(FakeGpu()), torch.zeros(1), torch.zeros(3)
    precisions = []

    def more():
        precisions.append(torch.get_float32_matmul_precision())
        memory.add_(1)
        branch = Branch(FakeGpu())
        branch.copy(memory.expand(3), other)
        branch.join()

    torch.set_float32_matmul_precision("high")  # a user's choice for other work in the process
    try:
        for name in ("one", "two"):
            programs.add(name, more, [memory])
            assert memory.item() == 0
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert set(precisions) == {"highest"}
    assert [note for note in captures if note[0] == "graph"] == [
        ("graph", None, "thread_local"), ("graph", "pool", "thread_local"),
    ]  # fmt: skip
    captures.clear()
    programs.run("one")
    programs.wait("one")
    programs.settle()
    assert memory.item() == 1
    assert captures[-3:] == [("event", "record"), ("event", "synchronize"), ("current", "synchronize")]
    assert "one" in programs
    assert "three" not in programs
