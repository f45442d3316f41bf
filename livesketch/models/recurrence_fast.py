"""The three cells over whole sequences, faster than ``recurrence.run_plain`` and tested equal to it.

When a loop of ordinary operations is trained, autograd multiplies h' by the gates' gradient at each step and adds the
result to the whole gradient of W, which is memory traffic. Here the steps' rows are kept and multiplied at the end.

* ``lstm`` on a CPU: the whole sequence is one autograd function, and between its products a compiled kernel goes over
  the numbers once. ``lstm`` on a GPU: cuDNN where nothing is dropped.
* ``layer_norm``, ``hyper``, and what cuDNN has not: the plain loop with products that keep their rows.

No part needs a C compiler. Nothing here has been run on a GPU.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from .lstm_kernels import backward, forward
from .recurrence import LOOPS, Inputs, Product, Weights, times


def run_fast(cell: str, w: Weights, inputs: Inputs, state: Tensor, mask: Tensor | None, forget_bias: float) -> Tensor:
    """What ``run_plain`` gives; of the lstm cell in ``inputs.dtype``."""
    if cell == "lstm" and inputs.rows.is_cuda and mask is None:
        return torch_lstm(w, inputs, state, forget_bias)[0]
    if cell != "lstm" or inputs.rows.is_cuda:
        return LOOPS[cell](w, inputs, state, mask, forget_bias, gathered_product)
    c, h = state.chunk(2, 1)
    size = inputs.rows.shape[2]
    once = _with_forget(w["b"], forget_bias).expand(len(c), -1)
    if inputs.beside is not None:
        once = once + times(inputs.beside, w["w_x"][size:], inputs.dtype).float()
    given = (inputs.rows, w["w_x"][:size], once, w["w_h"], h, c, mask, inputs.dtype)
    out: Tensor = LstmSequence.apply(*given)  # type: ignore[no-untyped-call]
    return out


def _with_forget(b: Tensor, forget_bias: float) -> Tensor:
    units = len(b) // 4
    added = torch.zeros_like(b)
    added[2 * units : 3 * units] = forget_bias
    return b + added


def torch_lstm(w: Weights, inputs: Inputs, state: Tensor, forget_bias: float) -> tuple[Tensor, Tensor]:
    """PyTorch's own LSTM, of ``inputs.dtype`` all through: the h of every step (T, B, H), and the state behind them.

    Its gates come in the order i, f, j, o, its matrices transposed. On a GPU it is cuDNN's, which has not been run.
    """
    dtype = inputs.dtype
    c, h = (part[None].to(dtype) for part in state.chunk(2, 1))
    b = _reordered(_with_forget(w["b"], forget_bias))
    weights = [_reordered(w["w_x"]).t(), _reordered(w["w_h"]).t(), b, torch.zeros_like(b)]
    weights = [value.to(dtype).contiguous() for value in weights]
    given, training = inputs.joined().to(dtype), torch.is_grad_enabled()  # cuDNN keeps what backward needs if told so
    begin = [h.contiguous(), c.contiguous()]
    out, h, c = torch.lstm(given, begin, weights, True, 1, 0.0, training, False, False)
    return out, torch.cat([c[0], h[0]], 1)


def _reordered(value: Tensor) -> Tensor:
    """Columns i, j, f, o as i, f, j, o."""
    i, j, f, o = value.chunk(4, -1)
    return torch.cat([i, f, j, o], -1)


class LstmSequence(torch.autograd.Function):
    """The lstm cell over a sequence, on the CPU.

    forward(rows (T, B, R), w_x (R, 4H), once (B, 4H), w_h (H, 4H), h (B, H), c (B, H), mask (T, B, H) or None, dtype)
    -> h of every step, (T, B, H) of ``dtype``, as are matrix products and the gates that are kept; all else is float32.
    ``once`` is added to the gates at every step.
    """

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        """See the class."""
        rows, w_x, once, w_h, h, c, mask, dtype = given
        steps, batch = rows.shape[:2]
        units = len(w_h)
        w = w_h.to(dtype)
        lease = ctx.lease = _Lease()
        gates, cell = lease.take((steps, batch, 4 * units), dtype), lease.take((steps + 1, batch, units), torch.float32)
        hidden = w.new_empty(steps + 1, batch, units)
        hidden[0], cell[0] = h, c
        inputs, weights, more = (value.detach().contiguous().numpy() for value in (rows, w_x, once))
        masks, opened, hiddens, cells = _masks(mask, steps), _bits(gates), _bits(hidden), cell.numpy()
        lines = np.empty(4 * units, np.float32), np.empty(units, np.float32)
        turned, given, found = (
            w.t().contiguous().t(),
            hidden.unbind(0),
            gates.unbind(0),
        )  # a layout that multiplies faster
        for t in range(steps):
            torch.mm(given[t], turned, out=found[t])
            forward(opened[t], hiddens[t + 1], inputs[t], weights, more, masks[t], cells[t], cells[t + 1], *lines)
        ctx.save_for_backward(rows, w_x, w, hidden, cell, gates, mask)
        out: Tensor = hidden[1:]
        return out

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of rows, w_x, once, w_h, h and c."""
        rows, w_x, w, hidden, cell, gates, mask = ctx.saved_tensors
        steps, batch, columns = gates.shape
        units = columns // 4
        lease = _Lease()  # until this is done
        d_gates, d_low = lease.take(gates.shape, gates.dtype), hidden.new_zeros(batch, units)
        d_once, d_c = cell.new_zeros(batch, columns), torch.zeros_like(cell[0])
        masks, d_out, cells = _masks(mask, steps), _bits(outer[0].contiguous()), cell.numpy()
        opened, d_opened, narrow = _bits(gates), _bits(d_gates), _bits(d_low)
        turned = w.t()
        lines = [np.empty(size, np.float32) for size in (columns, columns, units, units)]
        d_found = d_gates.unbind(0)
        for t in range(steps - 1, -1, -1):
            backward(
                opened[t],
                masks[t],
                cells[t],
                cells[t + 1],
                d_out[t],
                narrow,
                d_c.numpy(),
                d_opened[t],
                d_once.numpy(),
                *lines,
            )
            torch.mm(d_found[t], turned, out=d_low)
        d_w_h = _gathered(hidden[:-1].flatten(0, 1), d_gates.flatten(0, 1))
        d_w_x = _gathered(rows.to(hidden.dtype).flatten(0, 1), d_gates.flatten(0, 1))
        d_rows = (d_gates @ w_x.to(hidden.dtype).t()).float() if ctx.needs_input_grad[0] else None
        return d_rows, d_w_x, d_once, d_w_h, d_low.float(), d_c, None, None


class _Lease:
    """Memory that a graph uses; given back when that is gone. New pages take the system a while to clear."""

    def __init__(self) -> None:
        self._taken: list[Tensor] = []

    def take(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """A tensor of any content."""
        count = math.prod(shape)
        fits = [k for k, flat in enumerate(_free) if flat.dtype == dtype and count <= len(flat) <= 2 * count]
        flat = _free.pop(fits[0]) if fits else torch.empty(count, dtype=dtype)
        self._taken.append(flat)
        return flat[:count].view(*shape)

    def __del__(self) -> None:
        _free[:0] = self._taken
        del _free[_KEPT:]


_free: Final[list[Tensor]] = []
"""What was given back, latest first."""
_KEPT: Final = 24
"""Tensors: those of a decoder and both directions of an encoder, with some to spare."""

_RUN: Final = 2600
"""Rows of one product where many are summed: it takes longer where they do not fit into the processor's cache."""


def _gathered(left: Tensor, right: Tensor) -> Tensor:
    """left.T @ right for (rows, m) and (rows, n): float32."""
    pairs = zip(torch.split(left, _RUN), torch.split(right, _RUN), strict=True)
    total: Tensor = sum(((one.t() @ other).float() for one, other in pairs), start=torch.zeros(()))
    return total


def _bits(value: Tensor) -> Any:
    """A tensor's numbers as the kernels take them."""
    if value.dtype == torch.float32:
        return value.numpy()
    assert value.dtype == torch.bfloat16
    return value.view(torch.int16).numpy().view(np.uint16)


def _masks(mask: Tensor | None, steps: int) -> Any:
    """A mask for each step as the kernels take it."""
    if mask is not None:
        return mask.contiguous().numpy()
    return [np.zeros((0, 0), np.float32)] * steps


class _Kept:
    """What the steps leave for the product that makes W's gradient."""

    def __init__(self, w: Tensor, dtype: torch.dtype) -> None:
        self.w = w.detach().to(dtype)
        self.left: list[Tensor] = []
        self.right: list[Tensor] = []


class _Source(torch.autograd.Function):
    """W itself; its gradient out of all steps at once. Autograd comes here when it has been through every step."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, kept: _Kept) -> Tensor:
        ctx.kept = kept
        return w.view_as(w)

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> tuple[Tensor | None, None]:
        kept: _Kept = ctx.kept
        if not kept.left:
            return None, None
        gradient = torch.cat(kept.left).t() @ torch.cat(kept.right)
        kept.left.clear()
        kept.right.clear()
        return gradient.float(), None


class _Step(torch.autograd.Function):
    """The product h @ W at one step; leaves its part of W's gradient to the source."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, _source: Tensor, kept: _Kept) -> Tensor:
        ctx.kept = kept
        low = h.to(kept.w.dtype)
        ctx.save_for_backward(low)
        return (low @ kept.w).float()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None]:
        kept: _Kept = ctx.kept
        right = outer[0].to(kept.w.dtype)
        kept.left.append(ctx.saved_tensors[0])
        kept.right.append(right)
        return (right @ kept.w.t()).float(), None, None


def gathered_product(w: Tensor, dtype: torch.dtype) -> Product:
    """The product h @ w whose gradient in w is one product over all steps."""
    kept = _Kept(w, dtype)
    source: Final[Tensor] = _Source.apply(w, kept)  # type: ignore[no-untyped-call]

    def product(h: Tensor) -> Tensor:
        out: Tensor = _Step.apply(h, source, kept)  # type: ignore[no-untyped-call]
        return out

    return product
