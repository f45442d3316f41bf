"""The losses of Sketch-RNN, in nats.

Sources: Ha & Eck 2017, section 3.2; Graves 2013, "Generating Sequences With Recurrent Neural Networks", eq. 24-25;
magenta/magenta ``sketch_rnn/model.py`` get_lossfunc.

What is counted where, for a drawing of n rows padded with END rows to N_max (targets; ``length`` below is n):

=================  ==============================  ================================================
part               offset nats                     pen nats
=================  ==============================  ================================================
L_s                rows 1 … n
L_p unmasked                                       rows 1 … N_max: magenta's training, and its evaluation during training
L_p masked                                         rows 1 … n: magenta with ``is_training`` 0; the END is not counted
nats per step      rows 1 … n                      rows 1 … n + 1: the END once, which is a probability
=================  ==============================  ================================================

L_R = L_s + L_p, each summed over a drawing's rows and divided by N_max, mean over drawings. So L_R falls where drawings
are padded further: only figures with the same N_max compare. magenta logs the *unmasked* kind on validation and test
sets too, since its evaluation graph keeps ``is_training``.
"""

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

LOG_SIGMA_LIMIT: Final = 20.0
"""Logarithms of standard deviations are held within this, and gradients beyond it are 0: float32 holds all that follows.

Drawing (``sampling.LOG_SIGMA_LIMIT``) allows 60, in float64."""
_CORRELATION_LIMIT: Final = 10.0
_DEVIATION_LIMIT: Final = 1e13
_LOGIT_LIMIT: Final = 1e30
_REFERENCE_EPSILON: Final = 1e-6


def offset_nats(head: Tensor, target: Tensor, *, reference: bool = False) -> Tensor:
    """Negative log density of the targets' offsets, in model units: the bivariate Gaussian mixture, log-sum-exp.

    Finite, with finite gradients, for any finite ``head``.

    Args:
        head: (..., 3 + 6M) outputs of ``SketchRNN.decode``.
        target: (..., 5) stroke-5 rows in model units.
        reference: -log(density + 1e-6) as magenta computes it, which never exceeds 13.8 nats.

    Returns:
        (...) nats; of END rows too, where they mean nothing.
    """
    mixtures = (head.shape[-1] - 3) // 6
    weight, mx, my, sx, sy, raw = torch.split(head[..., 3:].float(), mixtures, -1)
    sx, sy = sx.clamp(-LOG_SIGMA_LIMIT, LOG_SIGMA_LIMIT), sy.clamp(-LOG_SIGMA_LIMIT, LOG_SIGMA_LIMIT)
    raw = raw.clamp(-_CORRELATION_LIMIT, _CORRELATION_LIMIT)
    zx = ((target[..., 0:1] - mx) * torch.exp(-sx)).clamp(-_DEVIATION_LIMIT, _DEVIATION_LIMIT)
    zy = ((target[..., 1:2] - my) * torch.exp(-sy)).clamp(-_DEVIATION_LIMIT, _DEVIATION_LIMIT)
    # log(1 - rho^2) for rho = tanh(raw), without the cancellation near 1
    free = 2 * (math.log(2) - raw.abs() - torch.log1p(torch.exp(-2 * raw.abs())))
    quadratic = ((zx - torch.tanh(raw) * zy).square() * torch.exp(-free) + zy.square()) / 2
    log_normal = -quadratic - sx - sy - 0.5 * free - math.log(2 * math.pi)
    density = torch.logsumexp(_log_softmax(weight) + log_normal, -1)
    if reference:
        density = torch.logaddexp(density, density.new_tensor(math.log(_REFERENCE_EPSILON)))
    return -density


def pen_nats(head: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of the targets' pen states, (...); arguments as of ``offset_nats``."""
    return -(target[..., 2:] * _log_softmax(head[..., :3].float())).sum(-1)


def _log_softmax(logits: Tensor) -> Tensor:
    return torch.log_softmax(logits.clamp(-_LOGIT_LIMIT, _LOGIT_LIMIT), -1)


def masks(target: Tensor) -> tuple[Tensor, Tensor]:
    """(drawn, counted), each (T, B), for target rows (T, B, 5): the drawing's rows; those and the first END."""
    drawn = 1 - target[..., 4]
    counted = torch.cat([torch.ones_like(drawn[:1]), drawn[:-1]])
    return drawn, counted


def kl(mu: Tensor, sigma_hat: Tensor) -> Tensor:
    """KL divergence from N(0, I), (B,): mean over the z_size numbers, as magenta reports it, not their sum.

    -(1 + sigma_hat - mu^2 - exp(sigma_hat)) / 2 (``model.py`` kl_cost); magenta takes the mean over drawings as well.
    """
    return -0.5 * (1 + sigma_hat - mu.square() - sigma_hat.exp()).mean(1)


def floored(divergence: Tensor, tolerance: float = 0.2) -> Tensor:
    """max(divergence, tolerance) for a mean over drawings: below the floor, KL is not made smaller (magenta)."""
    return divergence.clamp(min=tolerance)


@dataclass(frozen=True, slots=True)
class Losses:
    """Sums over drawings, so that parts of a data set can be added; the figures are made of them."""

    n_max: int
    """What L_R divides by, in rows."""
    drawings: int
    rows: int
    """Rows of the drawings, without END and padding."""
    offset: Tensor
    """Nats of the rows' offsets; this and all below are scalars."""
    pen: Tensor
    """Nats of the rows' pen states."""
    end: Tensor
    """Nats of the first END of each drawing."""
    padding: Tensor
    """Nats of the END rows behind it, up to row n_max."""
    kl: Tensor
    """Mean over the numbers of z, summed over drawings; 0 without a latent."""

    def __add__(self, other: "Losses") -> "Losses":
        assert self.n_max == other.n_max, "L_R of another N_max is another figure"
        return Losses(
            self.n_max, self.drawings + other.drawings, self.rows + other.rows, self.offset + other.offset,
            self.pen + other.pen, self.end + other.end, self.padding + other.padding, self.kl + other.kl,
        )  # fmt: skip

    def _mean(self, nats: Tensor) -> Tensor:
        return nats / (self.drawings * self.n_max)

    @property
    def l_s(self) -> Tensor:
        """L_s: nats of the offsets."""
        return self._mean(self.offset)

    @property
    def l_p(self) -> Tensor:
        """L_p unmasked: nats of all pen states up to N_max."""
        return self._mean(self.pen + self.end + self.padding)

    @property
    def l_p_masked(self) -> Tensor:
        """L_p masked: nats of the drawn rows' pen states."""
        return self._mean(self.pen)

    @property
    def l_r(self) -> Tensor:
        """L_R unmasked."""
        return self.l_s + self.l_p

    @property
    def l_r_masked(self) -> Tensor:
        """L_R masked."""
        return self.l_s + self.l_p_masked

    @property
    def nats_per_step(self) -> Tensor:
        """Negative log probability density of a whole drawing, per row and END; independent of N_max."""
        return (self.offset + self.pen + self.end) / (self.rows + self.drawings)

    @property
    def l_kl(self) -> Tensor:
        """L_KL without the floor."""
        return self.kl / self.drawings

    def cost(self, weight: float, tolerance: float = 0.2) -> Tensor:
        """What magenta makes small: L_R unmasked + weight * max(L_KL, tolerance)."""
        return self.l_r + weight * floored(self.l_kl, tolerance)


def losses(
    head: Tensor, target: Tensor, n_max: int, divergence: Tensor | None = None, *, reference: bool = False
) -> Losses:
    """The sums of a batch.

    Args:
        head: (T, B, 3 + 6M), T at least the longest drawing and its END; for L_p unmasked T is ``n_max``.
        target: (T, B, 5), END rows behind each drawing.
        n_max: what L_R divides by.
        divergence: (B,) from ``kl``.
        reference: offset nats with magenta's 1e-6.
    """
    drawn, counted = masks(target)
    pen = pen_nats(head, target)
    padding = pen * (1 - counted)
    return Losses(
        n_max=n_max,
        drawings=target.shape[1],
        rows=int(drawn.sum()),
        offset=(offset_nats(head, target, reference=reference) * drawn).sum(),
        pen=(pen * drawn).sum(),
        end=(pen * (counted - drawn)).sum(),
        padding=padding[:n_max].sum(),
        kl=pen.new_zeros(()) if divergence is None else divergence.sum(),
    )
