"""What changes from step to step of a training: learning rate and KL weight. Also the clipping of gradients.

Source: magenta/magenta ``sketch_rnn/sketch_rnn_train.py`` train, and ``model.py`` for the defaults and the clipping.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor


def exponential(step: int, rate: float = 1e-3, decay: float = 0.9999, least: float = 1e-5) -> float:
    """The learning rate of a step, from 0 on: (rate - least) * decay^step + least."""
    return (rate - least) * decay**step + least


def cosine(step: int, steps: int, rate: float, least: float) -> float:
    """Half a cosine from ``rate`` at step 0 to ``least`` at step ``steps`` and after it; magenta has none."""
    return least + (rate - least) * 0.5 * (1 + math.cos(math.pi * min(step / steps, 1.0)))


def kl_weight(step: int, weight: float = 0.5, start: float = 0.01, decay: float = 0.99995) -> float:
    """The weight of KL in the loss of a step, from 0 on: weight - (weight - start) * decay^step."""
    return weight - (weight - start) * decay**step


@torch.no_grad()
def clip_by_value(parameters: Iterable[Tensor], limit: float = 1.0) -> None:
    """Holds every number of the gradients within ±``limit``; NaN stays NaN."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if gradients:
        torch._foreach_clamp_min_(gradients, -limit)
        torch._foreach_clamp_max_(gradients, limit)
