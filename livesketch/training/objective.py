"""What is made small: L_R + w * max(L_KL, tolerance), for one batch."""

import torch
from torch import Tensor, nn

from ..models.network import SketchRNN
from .batches import Batch
from .losses import kl, masks, offset_nats, pen_nats


class Objective(nn.Module):
    """A network and its sums over a batch, as one module, so that DistributedDataParallel can wrap it.

    Padding never counts: behind a drawing only one END does (magenta trains to give END to the end of the padding too).
    """

    def __init__(self, net: SketchRNN, dtype: torch.dtype) -> None:
        super().__init__()
        self.net, self.dtype = net, dtype

    def forward(self, batch: Batch, noise: Tensor | None, encoded: Tensor | None) -> tuple[Tensor, ...]:
        """Four sums over the drawings: nats, steps, KL, and how many were encoded.

        Nats are of offset and pen, each row and one END per drawing, and steps those rows and ENDs; KL is a mean over
        latent numbers, of the drawings that were encoded.

        Args:
            batch: B drawings.
            noise: (B, z_size) standard normal numbers; None takes the posterior's mean.
            encoded: (B,) which drawings get a latent; the others get zeros. None: all.
        """
        z, divergence, count = None, batch.rows.new_zeros(()), batch.rows.new_zeros(())
        if self.net.spec.z_size:
            mask = torch.ones_like(batch.labels, dtype=torch.bool) if encoded is None else encoded
            mu, sigma_hat = self.net.encode(batch.rows[1:, mask], batch.lengths[mask], self.dtype)
            chosen = mu if noise is None else mu + torch.exp(sigma_hat / 2) * noise[mask]
            z = mu.new_zeros(len(mask), self.net.spec.z_size)
            z[mask] = chosen
            divergence, count = kl(mu, sigma_hat).sum(), mask.sum()
        label = batch.labels if self.net.spec.labels else None
        head = self.net.decode(batch.rows[:-1], self.net.condition(z, label), self.dtype)
        target = batch.rows[1:]
        drawn, counted = masks(target)
        total = (offset_nats(head, target) * drawn).sum() + (pen_nats(head, target) * counted).sum()
        return total, counted.sum(), divergence, count
