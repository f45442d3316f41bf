"""The cuda backend: NVIDIA GPUs through PyTorch, with kernels in Triton where it is installed.

Weights stay on the GPU. A step is one CUDA graph, captured when the model is opened: it reads the live controls from
pinned memory, samples with the same counter-based numbers as the other backends, and leaves the actions in pinned
memory.

What it promises: densities within 1e-4 of ``reference`` in the precision ``exact``, which is float32; the same uniform
numbers bit for bit, so that a drawing is that of ``reference`` until a first near-tie; and that a voice of a batch does
not depend on the others in it, so that the same batch gives the same bits again on the same GPU and libraries. What it
does not promise, unlike ``cpu`` and ``reference``: the same bits for a voice alone and among many, since libraries
choose the order of a sum by the size of the batch. In the precision ``fast`` products are taken in bf16 (fp16 on GPUs
older than Ampere), and densities differ by some 1e-2.

This module loads neither: ``torch`` is imported when a model is opened.
"""

from typing import TYPE_CHECKING

from ..models.checkpoint import Checkpoint, TextCheckpoint
from . import cuda_device

if TYPE_CHECKING:
    from .cuda_batch import CudaBatch
    from .cuda_text import CudaTextBatch


class CudaBackend:
    """``Backend`` on the current GPU."""

    def __init__(self, name: str = "cuda", precision: str = "exact") -> None:
        self.name, self._precision = name, precision

    def open(self, checkpoint: Checkpoint, size: int, precision: str | None = None) -> "CudaBatch":
        """``Backend.open``; warms up and captures, so that no later step waits for it. None: this backend's precision.

        Raises:
            ControlError: a precision other than ``exact`` and ``fast``.
        """
        device = cuda_device.find()
        with cuda_device.opening(device, f"{checkpoint.name!r} with {size} voices"):
            from .cuda_batch import CudaBatch  # noqa: PLC0415 - imports torch

            return CudaBatch(checkpoint, size, device, precision or self._precision)

    def open_text(self, checkpoint: TextCheckpoint, size: int, precision: str | None = None) -> "CudaTextBatch":
        """``Backend.open_text``, as ``open``."""
        device = cuda_device.find()
        with cuda_device.opening(device, f"{checkpoint.name!r} with {size} voices"):
            from .cuda_text import CudaTextBatch  # noqa: PLC0415 - imports torch

            return CudaTextBatch(checkpoint, size, device, precision or self._precision)


BACKEND = CudaBackend()
FAST = CudaBackend("cuda-fast", "fast")
