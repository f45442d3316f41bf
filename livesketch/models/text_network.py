"""Text models in PyTorch, for training only; writing runs on ``livesketch.backends``.

Architectures: ``text_model``. Dropout in training mode: one mask for all steps of a sequence (Gal & Ghahramani 2016,
"A Theoretically Grounded Application of Dropout in Recurrent Neural Networks"; Merity et al. 2018, "Regularizing and
Optimizing LSTM Language Models": locked dropout) on embeddings, between layers, and before the head.

How the weights begin:

* ``embed.w``: normal, deviation 0.05, and 0.02 in a text_attention; ``label.w`` 0.3 and 0.02.
* an LSTM's ``w_x``: Glorot-uniform over all four gates at once; ``w_h``: each gate's square orthogonal; ``b``: 0.
* matrices of a text_attention: normal, deviation 0.02; those that end in the sum (``out``, ``down``) divided by
  sqrt(2 layers) (Radford et al. 2019); norms 1 and 0, biases 0.
* ``head.w``: Glorot-uniform; ``head.b``: 0.
"""

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from .recurrence import Inputs, times
from .recurrence_fast import torch_lstm
from .text_model import NORM_EPSILON, TextInfo, slopes, text_shapes
from .weights import NamedWeights, orthogonal_gates

State: TypeAlias = list[Any]
"""What goes on from one part of a text to the next: of an LSTM layer [c, h] (B, 2 H), of an attention block its last
keys and values, each (B, heads, up to window - 1, E / heads)."""

_SLICE = 1 << 25
"""Most logits that are held at a time."""


@dataclass(frozen=True, slots=True)
class Dropout:
    """Shares dropped in training mode, each 0 to below 1."""

    embedding: float = 0.0
    layers: float = 0.0
    """Of what one LSTM layer gives the next, or of what an attention block adds."""
    output: float = 0.0
    """Of the last layer's output, before the head."""


class TextNetwork(NamedWeights):
    """A text model; sequences are time-major, parameters laid out as ``text_shapes`` says.

    Args:
        info: architecture and sizes.
        dropout: acts in training mode only.
    """

    def __init__(self, info: TextInfo, dropout: Dropout | None = None) -> None:
        self.info = info
        super().__init__(text_shapes(info), f"a {info.architecture} of {len(info.vocabulary)} symbols")
        self.dropout = dropout or Dropout()

    def begin(self, name: str, value: Tensor) -> None:
        """See the module's docstring."""
        attention, own = self.info.architecture == "text_attention", name.rpartition(".")[2]
        if name in {"embed.w", "label.w"}:
            nn.init.normal_(value, std=0.02 if attention else 0.05 if name == "embed.w" else 0.3)
        elif own == "w_h":
            orthogonal_gates(value)
        elif own == "w_x" or name == "head.w":
            nn.init.xavier_uniform_(value)
        elif own == "w":
            last = name.endswith(("out.w", "down.w"))
            nn.init.normal_(value, std=0.02 / math.sqrt(2 * self.info.layers) if last else 0.02)
        else:
            nn.init.constant_(value, float(own == "gamma"))

    def forward(
        self, ids: Tensor, label: Tensor | None, state: State | None = None, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, State]:
        """What the head sees, (T, B, H) float32, for each token given all before it; and the state behind them.

        Args:
            ids: (T, B) tokens, END first where a piece begins.
            label: (B,) numbers of labels; None for a model without.
            state: behind the tokens before; None where there are none.
            dtype: of matrix products; bfloat16 for mixed precision.
        """
        w = self.tensors()
        x = functional.embedding(ids, w["embed.w"])
        x = self._locked(x, self.dropout.embedding)
        beside = None if label is None else functional.embedding(label, w["label.w"])
        run = self._blocks if self.info.architecture == "text_attention" else self._layers
        x, after = run(x, beside, state, dtype)
        return self._locked(x, self.dropout.output), after

    def _layers(
        self, x: Tensor, beside: Tensor | None, state: State | None, dtype: torch.dtype
    ) -> tuple[Tensor, State]:
        info, after = self.info, []
        for layer in range(info.layers):
            w = self._part(f"layer{layer}.")
            begin = x.new_zeros(x.shape[1], 2 * info.hidden) if state is None else state[layer]
            given = Inputs(x, None if layer else beside, dtype)
            x, end = torch_lstm(w, given, begin, info.forget_bias)
            x = x.float()
            after.append(end.float())
            if layer + 1 < info.layers:
                x = self._locked(x, self.dropout.layers)
        return x, after

    def _blocks(
        self, x: Tensor, beside: Tensor | None, state: State | None, dtype: torch.dtype
    ) -> tuple[Tensor, State]:
        x, after = x if beside is None else x + beside, []
        for block in range(self.info.layers):
            w = self._part(f"block{block}.")
            added, kept = self._attended(_normed(x, w, "norm1"), w, None if state is None else state[block], dtype)
            x = x + self._locked(added, self.dropout.layers)
            wide = functional.gelu(_linear(_normed(x, w, "norm2"), w, "up", dtype), approximate="tanh")
            x = x + self._locked(_linear(wide, w, "down", dtype), self.dropout.layers)
            after.append(kept)
        return _normed(x, self.tensors(), "norm"), after

    def _attended(
        self, x: Tensor, w: dict[str, Tensor], before: Any, dtype: torch.dtype
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """What the heads of a block give for x (T, B, E), and the keys and values that the next tokens look back on."""
        steps, batch, size = x.shape
        heads, window = self.info.heads, self.info.window
        parts = _linear(x, w, "qkv", dtype).view(steps, batch, 3, heads, size // heads).permute(2, 1, 3, 0, 4)
        q, k, v = parts.unbind(0)  # each (B, heads, T, E / heads)
        if before is not None:
            k, v = torch.cat([before[0], k], 2), torch.cat([before[1], v], 2)
        bias = _looking_back(steps, k.shape[2], heads, window, x.device)
        out = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        first = max(0, k.shape[2] - (window - 1))
        kept = k[:, :, first:].detach(), v[:, :, first:].detach()
        return _linear(out.permute(2, 0, 1, 3).reshape(steps, batch, size), w, "out", dtype), kept

    def _part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors of one layer by their own names."""
        return {name[len(prefix) :]: value for name, value in self.tensors().items() if name.startswith(prefix)}

    def _locked(self, x: Tensor, share: float) -> Tensor:
        """X (T, B, E) with a share of the units dropped, the same ones at all steps."""
        if not self.training or not share:
            return x
        mask = (torch.rand(1, *x.shape[1:], device=x.device) >= share).to(x.dtype)
        return x * mask.div_(1 - share)

    def logits(self, hidden: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """The head's outputs, (..., V) float32, for hidden (..., H)."""
        w = self.tensors()
        matrix = w["embed.w"].t() if self.info.tied else w["head.w"]
        return times(hidden, matrix, dtype).float() + w["head.b"]

    def nats(self, hidden: Tensor, target: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Negative log probabilities of targets (N,) given hidden (N, H), a slice at a time where V is large."""
        count = max(1, _SLICE // len(self.info.vocabulary))
        if len(target) <= count:
            return self._nats(hidden, target, dtype)
        found = []
        for first in range(0, len(target), count):
            part = hidden[first : first + count], target[first : first + count], dtype
            again = torch.is_grad_enabled()  # logits are computed again when gradients are, instead of kept
            found.append(checkpoint(self._nats, *part, use_reentrant=False) if again else self._nats(*part))
        return torch.cat(found)

    def _nats(self, hidden: Tensor, target: Tensor, dtype: torch.dtype) -> Tensor:
        return functional.cross_entropy(self.logits(hidden, dtype), target, reduction="none")


def _normed(x: Tensor, w: dict[str, Tensor], name: str) -> Tensor:
    return functional.layer_norm(x, x.shape[-1:], w[f"{name}.gamma"], w[f"{name}.beta"], NORM_EPSILON)


def _linear(x: Tensor, w: dict[str, Tensor], name: str, dtype: torch.dtype) -> Tensor:
    return times(x, w[f"{name}.w"], dtype).float() + w[f"{name}.b"]


def _looking_back(steps: int, keys: int, heads: int, window: int, device: torch.device) -> Tensor:
    """What is added to the scores, (heads, steps, keys): - slope * age, and -inf outside the window."""
    place = torch.arange(keys, device=device)
    age = place[keys - steps :, None] - place
    slope = torch.tensor(slopes(heads), dtype=torch.float32, device=device)
    bias = -slope[:, None, None] * age
    return bias.masked_fill((age < 0) | (age >= window), -math.inf)
