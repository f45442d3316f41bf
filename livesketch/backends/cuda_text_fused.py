"""Kernels of ``cuda_kernels`` in text models: the layers of an LSTM for a few voices, and everybody's chance."""

import math
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor

from ..models.checkpoint import TextCheckpoint
from .cuda_cells import added
from .cuda_fused import FEW, ROWS, UNITS, pack_gates, stored
from .cuda_sampling import X
from .cuda_text_models import head_of

if TYPE_CHECKING:
    from .cuda_text_machine import TextMachine

_WORDS: Final = 128
"""Voices of one program that makes uniform numbers."""


class TextFused:
    """The kernels that a text machine's programs use."""

    def __init__(self, checkpoint: TextCheckpoint, machine: "TextMachine", products: torch.dtype) -> None:
        from . import cuda_kernels  # noqa: PLC0415 - imports triton

        self._kernels: Any = cuda_kernels
        self._machine, device = machine, machine.device
        self._uniforms = torch.zeros((machine.size, 4), dtype=torch.float64, device=device)
        self.layers = checkpoint.architecture == "text_lstm" and machine.size <= FEW
        """Whether they have an LSTM's layers too."""
        if not self.layers:
            return
        self._units, self._count = checkpoint.hidden, checkpoint.layers
        own_type = None if products == torch.float32 else products
        self._everyone = torch.ones(machine.size, dtype=torch.int64, device=device)
        self._nought = torch.zeros(machine.size, dtype=torch.int64, device=device)
        self._starts = torch.zeros((2, machine.size + 1, self._count * self._units), device=device)
        self._fresh = torch.zeros_like(machine.model.state[0])
        self._weights, self._biases = [], []
        for layer in range(self._count):
            (w_x, w_h), scales = stored(checkpoint.tensors, (f"layer{layer}.w_x", f"layer{layer}.w_h"))
            self._weights.append(pack_gates(w_x, w_h, scales, own_type, device))
            bias = checkpoint.tensors[f"layer{layer}.b"].dense()
            bias[2 * self._units : 3 * self._units] += checkpoint.forget_bias
            self._biases.append(torch.tensor(bias, dtype=torch.float32, device=device))

    def uniforms(self) -> Tensor:
        """``cuda_sampling.uniforms`` of every voice, (N, 4), in one kernel instead of hundreds of operations."""
        own = self._machine
        grid = (math.ceil(own.size / _WORDS),)
        self._kernels.words[grid](own.own.device, self._uniforms, own.size, BM=_WORDS, num_warps=4)
        return self._uniforms

    def step(self, live: Tensor | None) -> Tensor:
        """``TextModel.step`` of the machine's voices; ``live`` (N,) bool."""
        own, units = self._machine, self._units
        hidden, cell = own.model.state
        taking = self._everyone if live is None else live.long()
        weights = own.model.weights
        x = torch.cat([weights["embed.w"][own.own.device[:, X]].float(), own.labels.device], 1)
        inputs = x_step = x.shape[1]
        apart = self._count * units
        for layer, ((gates, scales), bias) in enumerate(zip(self._weights, self._biases, strict=True)):
            blocks, rows = gates.shape[:2]
            self._kernels.lstm_few[(blocks, own.size)](
                gates, scales, bias, self._nought, own.own.device, taking, x, x, hidden[:, layer], cell[:, layer],
                self._starts, self._fresh[:, layer], x_step, x_step, units, apart, own.size,
                INPUTS=inputs, K=rows, BK=ROWS, BU=UNITS, num_warps=4,
            )  # fmt: skip
            x, inputs, x_step = self._fresh[:, layer], units, apart
        hidden.copy_(self._fresh if live is None else torch.where(live[:, None, None], self._fresh, hidden))
        return added(weights["head.b"].expand(own.size, -1), x, head_of(weights))
