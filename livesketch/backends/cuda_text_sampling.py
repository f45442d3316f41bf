"""Which token is drawn, on the device, in torch: ``livesketch.token_sampling`` for N voices at once, in float64."""

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from ..sampling import LOGIT_LIMIT
from ..token_sampling import END, LEAST_MASS, MASS_LIMIT, SOFTENED, UNK
from .cuda_sampling import DONE, FLAGS, NUMBER, STEP, X

DIVISOR, TOP_K, TOP_P, MIN_P, UNKNOWN, BIASED, SOFT, GIVEN = range(8)
"""Columns of a voice's controls, float64; GIVEN is the token that it takes, -1 where it draws one."""

CONTROLS: Final = 8
FIELDS: Final = 6
"""int64 numbers of a result: piece, step, log probability, entropy, mass (by their bits), token with flags above it."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was drawn or given, (N,) each: as in a TOKEN record."""

    token: Tensor
    log_prob: Tensor
    entropy: Tensor
    mass: Tensor
    softened: Tensor
    given: Tensor


def draw(logits: Tensor, controls: Tensor, u: Tensor, biases: tuple[Tensor, Tensor] | None, *, cut: bool) -> Drawn:
    """One token for every voice, as ``token_sampling.held`` and ``choose`` say.

    Args:
        logits: (N, V).
        controls: (N, CONTROLS).
        u: (N,).
        biases: hard and soft, (N, V) each; they count where controls say so. None: nobody has one.
        cut: whether anybody has a top_k, top_p or min_p.
    """
    values = logits.double().nan_to_num(nan=-LOGIT_LIMIT).clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
    values[:, UNK].masked_fill_(controls[:, UNKNOWN] == 0, -math.inf)
    divisor, token = controls[:, DIVISOR], controls[:, GIVEN].long()
    tempered_by = torch.where(divisor == 0, 1.0, divisor)
    scores, mass, softened = values, torch.ones_like(divisor), torch.zeros_like(token, dtype=torch.bool)
    if biases is not None:
        drawn = token < 0
        bias, softened = _bias(values, tempered_by, biases, (controls[:, BIASED] != 0) & drawn, controls[:, SOFT] != 0)
        scores = values + bias
        mass = torch.where((controls[:, BIASED] != 0) & drawn, _mass(values, bias, tempered_by), 1.0)
    kept, tempered = _kept(scores, divisor, tempered_by, controls, cut=cut)
    weights = torch.where(kept, tempered.exp(), 0.0)
    sums = weights.cumsum(1)
    total = sums[:, -1]
    product = torch.where(weights > 0, weights * tempered, 0.0).sum(1)
    entropy = (total.log() - product / total).clamp(min=0.0)
    index = (sums < (u * total)[:, None]).sum(1).clamp(max=values.shape[1] - 1)
    chosen = torch.where(token < 0, index, token)
    at = chosen[:, None]
    log_prob = torch.where(kept.gather(1, at)[:, 0], tempered.gather(1, at)[:, 0] - total.log(), -math.inf)
    return Drawn(chosen, log_prob, entropy, mass, softened, token >= 0)


def _bias(
    values: Tensor, divisor: Tensor, biases: tuple[Tensor, Tensor], biased: Tensor, has_soft: Tensor
) -> tuple[Tensor, Tensor]:
    """The bias (N, V) in use, and where (N,) the soft one yielded: ``token_sampling.held``."""
    hard, soft = biases
    soft = torch.where((biased & has_soft)[:, None], soft, 0.0)
    hard = torch.where(biased[:, None], hard, 0.0)
    softened = biased & has_soft & (_mass(values, hard + soft, divisor) < LEAST_MASS)
    return hard + torch.where(softened[:, None], soft.clamp(min=SOFTENED), soft), softened


def _mass(values: Tensor, bias: Tensor, divisor: Tensor) -> Tensor:
    """``Distribution.mass``, (N,)."""
    tempered = _tempered(values, divisor)
    taken = bias.double().clamp(max=0.0) / divisor[:, None]
    return ((tempered + taken).exp().sum(1) / tempered.exp().sum(1)).clamp(min=MASS_LIMIT)


def _tempered(scores: Tensor, divisor: Tensor) -> Tensor:
    return (scores - scores.amax(1, keepdim=True)) / divisor[:, None]


def _kept(
    scores: Tensor, divisor: Tensor, tempered_by: Tensor, controls: Tensor, *, cut: bool
) -> tuple[Tensor, Tensor]:
    """Which tokens (N, V) are kept, and the tempered logits, zeros where the voice takes the likeliest."""
    greedy = (divisor == 0)[:, None]
    tempered = _tempered(scores, tempered_by)
    kept = scores > -math.inf
    if cut:
        kept = kept & _uncut(tempered, controls)
    best = torch.zeros_like(kept).scatter(1, scores.argmax(1, keepdim=True), value=True)
    return torch.where(greedy, best, kept), torch.where(greedy, 0.0, tempered)


def _uncut(tempered: Tensor, controls: Tensor) -> Tensor:
    """What top_k, top_p and min_p leave, (N, V)."""
    order = tempered.sort(dim=1, descending=True, stable=True).indices  # of equals the lower index first
    weights = tempered.exp()
    sums = weights.gather(1, order).cumsum(1)
    top_p = controls[:, TOP_P]
    nucleus = (sums < (top_p * sums[:, -1])[:, None]).sum(1) + 1
    nucleus = torch.where(top_p < 1, nucleus, sums.shape[1])
    top_k = controls[:, TOP_K].long()
    count = torch.minimum(nucleus, torch.where(top_k > 0, top_k, sums.shape[1]))
    first = torch.arange(sums.shape[1], device=sums.device) < count[:, None]
    return torch.zeros_like(first).scatter(1, order, first) & (weights >= controls[:, MIN_P][:, None])


def act(own: Tensor, results: Tensor, drawn: Drawn, live: Tensor | None, max_steps: int) -> None:
    """``TextReferenceBatch._take`` for all voices: own (N, OWN), results (N, FIELDS) change in place.

    Voices that are not ``live`` (N,) stay where they are.
    """
    ended = drawn.token == END
    last = ended | (own[:, STEP] + 1 >= max_steps)
    results[:, :2] = own[:, NUMBER : STEP + 1]
    said = torch.stack([drawn.log_prob, drawn.entropy, drawn.mass], 1)
    results[:, 2:5].view(torch.float64).copy_(said)
    flags = last.long() | ended.long() << 8 | drawn.softened.long() << 16 | drawn.given.long() << 24
    results[:, 5] = drawn.token | flags << 32
    moved = torch.stack([own[:, STEP] + 1, drawn.token, torch.zeros_like(last).long(), last.long() * DONE], 1)
    stays = own[:, STEP : FLAGS + 1]
    stays.copy_(moved if live is None else torch.where(live[:, None], moved, stays))


assert (STEP, X, FLAGS) == (4, 5, 7)
