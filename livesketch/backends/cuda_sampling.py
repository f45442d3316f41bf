"""Chance and choice on the device, in torch: ``livesketch.sampling`` for N voices at once, in float64.

A voice's counters are a row of eight int64 numbers, OWN; a float64 is kept there by its bits.
"""

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from ..sampling import LOG_SIGMA_LIMIT, LOGIT_LIMIT

KEY_LOW, KEY_HIGH, VOICE, NUMBER, STEP, X, Y, FLAGS = range(8)
"""Columns of OWN: the seed's words, the voice's number, the drawing's or piece's, the next step, the place, and the pen
with ``DONE`` added where the next step begins another drawing. A text has its last token in X."""

OWN: Final = 8
DONE: Final = 256
FIELDS: Final = 7
"""int64 numbers of an ACTION record, whose bytes they are: drawing, step, x, y, dx, dy, and ``packed``."""

_LOW: Final = 0xFFFFFFFF
_BUMPS: Final = (0x9E3779B9, 0xBB67AE85)


def _product(words: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """High and low 32 bits of a product of 32-bit words; int64 has no room for all 64 bits without a sign."""
    low, high = words * (factor & 0xFFFF), words * (factor >> 16)
    return ((low >> 16) + high) >> 16, (low + ((high & 0xFFFF) << 16)) & _LOW


def uniforms(own: Tensor) -> Tensor:
    """``sampling.uniforms`` of each voice, (N, 4) float64: the same bits, since all of it is integers."""
    c0, c1, c2 = own[:, STEP] & _LOW, own[:, VOICE] & _LOW, own[:, NUMBER] & _LOW
    c3 = torch.zeros_like(c0)
    k0, k1 = own[:, KEY_LOW], own[:, KEY_HIGH]
    for _ in range(10):
        (high0, low0), (high1, low1) = _product(c0, 0xD2511F53), _product(c2, 0xCD9E8D57)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + _BUMPS[0]) & _LOW, (k1 + _BUMPS[1]) & _LOW
    return ((torch.stack([c0, c1, c2, c3], 1) >> 9).double() + 0.5) * 2.0**-23


def choose(logits: Tensor, divisor: Tensor, u: Tensor) -> Tensor:
    """``sampling.choose``: indices (N,) for logits (N, M), divisors and u (N,)."""
    bounded = logits.clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
    greedy = divisor == 0
    scaled = (bounded - bounded.amax(1, keepdim=True)) / torch.where(greedy, 1.0, divisor)[:, None]
    sums = scaled.exp().cumsum(1)
    index = (sums < u[:, None] * sums[:, -1:]).sum(1).clamp(max=logits.shape[1] - 1)
    return torch.where(greedy, logits.argmax(1), index)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was sampled, (N,) each; offsets in model units, float64."""

    component: Tensor
    pen: Tensor
    dx: Tensor
    dy: Tensor


def sample(head: Tensor, heat: Tensor, u: Tensor) -> Chosen:
    """``sampling.sample``: head (N, 3 + 6M), heat (N, 2) divisor and spread, u (N, 4)."""
    values, mixtures = head.double(), (head.shape[1] - 3) // 6
    component = choose(values[:, 3 : 3 + mixtures], heat[:, 0], u[:, 0])
    pen = choose(values[:, :3], heat[:, 0], u[:, 1])
    at = (3 + mixtures + component)[:, None] + mixtures * torch.arange(5, device=head.device)
    mu_x, mu_y, log_x, log_y, raw = values.gather(1, at).unbind(1)
    sigma_x, sigma_y = (v.clamp(-LOG_SIGMA_LIMIT, LOG_SIGMA_LIMIT).exp() * heat[:, 1] for v in (log_x, log_y))
    radius, angle = (-2 * u[:, 2].log()).sqrt(), 2 * math.pi * u[:, 3]
    z1, z2 = radius * angle.cos(), radius * angle.sin()
    size = raw.abs().clamp(max=300.0)
    free = (math.log(2) - size - (-2 * size).exp().log1p()).exp()  # sqrt(1 - tanh(raw)^2)
    return Chosen(component, pen, mu_x + sigma_x * (free * z1 + raw.tanh() * z2), mu_y + sigma_y * z2)


def packed(component: Tensor, pen: Tensor, ink: Tensor, last: Tensor, ended: Tensor) -> Tensor:
    """The last eight bytes of an ACTION record, (N,) each."""
    flags = pen | ink.long() << 8 | last.long() << 16 | ended.long() << 24
    return (component & _LOW) | flags << 32


def act(own: Tensor, given: Tensor, actions: Tensor, chosen: Chosen, scale: float, max_steps: int) -> None:
    """``ReferenceBatch._move`` for all voices: own (N, OWN), given (N, 5) and actions (N, FIELDS) change in place."""
    pen, ended = chosen.pen, chosen.pen == 2
    dx, dy = (torch.where(ended, 0.0, offset) * scale for offset in (chosen.dx, chosen.dy))
    place = own[:, X : Y + 1].view(torch.float64)
    place += torch.stack([dx, dy], 1)
    last = ended | (own[:, STEP] + 1 >= max_steps)
    ink = (own[:, FLAGS] == 0) & ~ended
    actions[:, :4] = own[:, NUMBER : Y + 1]
    actions[:, 4:6].view(torch.float64).copy_(torch.stack([dx, dy], 1))
    actions[:, 6] = packed(chosen.component, pen, ink, last, ended)
    # As ``force`` would take the same action in, so that both leave the same bits.
    given[:, :2] = torch.stack([dx / scale, dy / scale], 1)
    given[:, 2:] = torch.stack([pen == 0, pen == 1, ended], 1)
    own[:, STEP] += 1
    own[:, FLAGS] = torch.where(last, pen + DONE, pen)
