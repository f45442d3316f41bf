"""What a model gives on drawings that it was not trained on: Sketch-RNN's losses, and nats per step."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..models.network import SketchRNN
from .batches import Batch, Sketches
from .losses import Losses, kl, losses

GROUP = 200
"""Drawings in one batch of an evaluation."""


@torch.no_grad()
def evaluate(
    net: SketchRNN,
    sketches: Sketches,
    n_max: int,
    *,
    ids: NDArray[Any] | None = None,
    latent: bool = True,
    padded: bool = False,
    dtype: torch.dtype = torch.float32,
) -> dict[int, Losses]:
    """Losses by class number, on drawings as they are, dropout off.

    Args:
        net: put back into its mode afterwards.
        sketches: the drawings, in the network's model units.
        n_max: what L_R divides by; rows.
        ids: which drawings; all by default.
        latent: whether they are encoded, z being the posterior's mean; else z is zeros.
        padded: run up to N_max, without which the unmasked L_p means nothing.
        dtype: of matrix products.
    """
    training, device = net.training, next(net.parameters()).device
    net.eval()
    found: dict[int, Losses] = {}
    for group in sketches.by_length(GROUP, ids):
        batch = sketches.batch(group, n_max if padded else 0).to(device)
        for label, part in _by_class(net, batch, n_max, latent, dtype).items():
            found[label] = found[label] + part if label in found else part
    net.train(training)
    return found


def total(found: Mapping[int | str, Losses] | Mapping[int, Losses] | Mapping[str, Losses]) -> Losses:
    """All classes together; there is at least one."""
    first, *rest = found.values()
    return sum(rest, first)


def figures(found: Losses, *, padded: bool) -> dict[str, float]:
    """The figures by name; the unmasked ones only where the padding was run."""
    values = {"nats per step": found.nats_per_step, "L_s": found.l_s, "L_p masked": found.l_p_masked}
    values |= {"L_p unmasked": found.l_p} if padded else {}
    values |= {"L_R masked": found.l_r_masked}
    values |= {"L_R unmasked": found.l_r} if padded else {}
    return {name: float(value) for name, value in (values | {"L_KL": found.l_kl}).items()}


def _by_class(net: SketchRNN, batch: Batch, n_max: int, latent: bool, dtype: torch.dtype) -> dict[int, Losses]:
    z, divergence = None, torch.zeros(len(batch.labels), device=batch.labels.device)
    if net.spec.z_size:
        z = torch.zeros(len(batch.labels), net.spec.z_size, device=batch.labels.device)
        if latent:
            z, sigma_hat = net.encode(batch.rows[1:], batch.lengths, dtype)
            divergence = kl(z, sigma_hat)
    head = net.decode(batch.rows[:-1], net.condition(z, batch.labels if net.spec.labels else None), dtype)
    target, result = batch.rows[1:].double(), {}
    for label in np.unique(batch.labels.cpu().numpy()).tolist():
        own = batch.labels == label
        result[int(label)] = losses(head[:, own], target[:, own], n_max, divergence[own].double())
    return result
