"""How the cuda backend runs: named functions that work on fixed memory, each captured once as a CUDA graph.

A function copies what the host set out of a pinned block, computes, and copies what it found into another one;
launching its graph is one call. An event says when it is done, so that nothing waits for the whole device. On the CPU,
which the tests use, the same functions are called as they are.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from numpy.typing import NDArray

_CAPTURES: Final = threading.Lock()
"""One at a time: PyTorch captures in one stream of its own."""

_WARM_UPS: Final = 2
"""Runs before a capture: libraries choose and load their kernels then, which a capture may not do."""


class Block:
    """A little memory twice: on the host (pinned, with a NumPy array on it) and on the device."""

    __slots__ = ("array", "device", "host")

    def __init__(self, shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> None:
        self.host = torch.zeros(tuple(shape), dtype=dtype, pin_memory=device.type == "cuda")
        self.device = torch.zeros(tuple(shape), dtype=dtype, device=device)
        self.array: NDArray[Any] = self.host.numpy()

    def up(self) -> None:
        """Enqueues the copy to the device."""
        self.device.copy_(self.host, non_blocking=True)

    def down(self) -> None:
        """Enqueues the copy to the host."""
        self.host.copy_(self.device, non_blocking=True)


class Programs:
    """Functions by name that change nothing but the ``memory`` given; the same memory at each run."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._on_gpu = device.type == "cuda"
        self._runs: dict[str, Callable[[], object]] = {}
        self._done: dict[str, Any] = {}
        self._pool: Any = None

    def __contains__(self, name: str) -> bool:
        return name in self._runs

    def add(self, name: str, function: Callable[[], object], memory: Sequence[torch.Tensor]) -> None:
        """Takes a function up; on a GPU it is run to warm up, ``memory`` put back, and captured."""
        if not self._on_gpu:
            self._runs[name] = function
            return
        with _CAPTURES, torch.cuda.device(self.device):
            self._capture(name, function, memory)

    def _capture(self, name: str, function: Callable[[], object], memory: Sequence[torch.Tensor]) -> None:
        before = [tensor.clone() for tensor in memory]
        aside = _stream(self.device)
        aside.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(aside), ExactProducts():
            for _ in range(_WARM_UPS):
                function()
        aside.synchronize()
        graph = torch.cuda.CUDAGraph()
        # Other threads may step other models meanwhile: their calls are not to break this off, nor this theirs.
        with ExactProducts(), torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            function()
        for tensor, kept in zip(memory, before, strict=True):
            tensor.copy_(kept)
        torch.cuda.current_stream(self.device).synchronize()
        # Nothing that one graph leaves in the pool is read by another, so that all may share it.
        self._pool = graph.pool()
        self._done[name] = torch.cuda.Event()  # type: ignore[no-untyped-call, unused-ignore]
        self._runs[name] = graph.replay

    def run(self, name: str) -> None:
        """Starts one; on a GPU this returns at once."""
        self._runs[name]()
        if self._on_gpu:
            self._done[name].record(torch.cuda.current_stream(self.device))

    def wait(self, name: str) -> None:
        """Waits until the latest run of this one is done."""
        if self._on_gpu:
            self._done[name].synchronize()

    def settle(self) -> None:
        """Waits for everything that was started, also by a call that an interruption broke off."""
        if self._on_gpu:
            torch.cuda.current_stream(self.device).synchronize()


def _stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call, unused-ignore]


class Branch:
    """Copies to the host that go on while what comes next computes; ``join`` waits for them."""

    def __init__(self, device: torch.device) -> None:
        self._stream = _stream(device) if device.type == "cuda" else None

    def copy(self, source: torch.Tensor, target: torch.Tensor) -> None:
        """Enqueues a copy behind what was enqueued so far."""
        if self._stream is None:
            target.copy_(source)
            return
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            target.copy_(source, non_blocking=True)

    def join(self) -> None:
        """What is enqueued from here on waits for the copies."""
        if self._stream is not None:
            torch.cuda.current_stream().wait_stream(self._stream)


class ExactProducts:
    """Inside, float32 products are float32: a user may have allowed TF32 for other work in this process."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")

    def __exit__(self, *error: object) -> None:
        torch.set_float32_matmul_precision(self._before)
