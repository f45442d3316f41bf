"""``livesketch eval``: a checkpoint's losses on data, class by class."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..data.drawings import Split, load_drawings
from ..data.sketch_npz import SPLITS
from ..errors import ControlError, DataError
from ..models.catalogue import listed, plain_name
from ..models.cells import sizes_of
from ..models.checkpoint import Checkpoint
from ..models.network import NetworkSpec, SketchRNN
from ..models.text_model import TextCheckpoint
from .batches import Sketches
from .evaluation import evaluate
from .losses import Losses


@dataclass(frozen=True, slots=True)
class Measured:
    """What a checkpoint gives on one split of some data."""

    by_class: dict[str, Losses]
    without_latent: dict[str, Losses]
    """The same with z = 0; empty unless the model learnt to draw without a latent."""
    n_max: int


def measure(
    checkpoint: Checkpoint,
    sources: Sequence[Path],
    *,
    split: str = "test",
    label: str | None = None,
    limit: int | None = None,
    n_max: int | None = None,
    max_rows: int = 250,
    seed: int = 1,
    padded: bool = True,
    device: torch.device | None = None,
) -> Measured:
    """Losses of a checkpoint, z being the posterior's mean where it has an encoder.

    Args:
        checkpoint: the model; its own scale factor makes model units.
        sources: as for a training; each names a class.
        split: ``train``, ``valid`` or ``test``.
        label: the model's label for all of the data; by default that of the source's name.
        limit: at most so many drawings of each class, the first ones.
        n_max: what L_R is divided by, not less than the split's longest drawing; by default the longest of all splits.
        max_rows: longer drawings are left out.
        seed: how data without splits is split, as in the training.
        padded: whether drawings are run on to N_max for the unmasked L_p, which costs time.
        device: where to compute; the CPU by default.

    Raises:
        DataError: the drawings, or a class that the model does not have.
        ControlError: an unknown split, an n_max that drawings exceed, or a label for a model that has none.
    """
    if split not in SPLITS:
        raise ControlError(f"split {split!r}: expected {', '.join(SPLITS)}")
    net = network_of(checkpoint).to(device or torch.device("cpu"))
    data = load_drawings(sources, max_rows=max_rows, seed=seed)
    part = _limited(getattr(data, split), limit)
    longest, rows = n_max or data.longest(), max(map(len, part.drawings))
    if rows > longest:
        raise ControlError(
            f"N_max {longest}: a drawing has {rows} rows, expected that many or more; or give --max-rows"
        )
    classes = classes_of(checkpoint, data.labels, label)[part.label]
    sketches = Sketches(part.drawings, classes, checkpoint.scale_factor, checkpoint.start_token)
    names = checkpoint.labels or (checkpoint.name,)

    def by_name(net: SketchRNN, *, latent: bool) -> dict[str, Losses]:
        found = evaluate(net, sketches, longest, latent=latent, padded=padded)
        return {names[number]: part for number, part in sorted(found.items())}

    without = by_name(net, latent=False) if checkpoint.z_optional else {}
    return Measured(by_name(net, latent=True), without, longest)


def network_of(checkpoint: Checkpoint) -> SketchRNN:
    """The network of a checkpoint in PyTorch, float32, without dropout."""
    shapes = {name: tensor.shape for name, tensor in checkpoint.tensors.items()}
    decoder = sizes_of("decoder", checkpoint.cell, shapes)
    encoder = sizes_of("encoder.forward", checkpoint.encoder_cell, shapes)
    hyper = decoder if decoder.hyper_units else encoder
    spec = NetworkSpec(
        hidden=checkpoint.hidden, cell=checkpoint.cell, z_size=checkpoint.z_size,
        encoder_hidden=encoder.units or 1, encoder_cell=checkpoint.encoder_cell or "lstm",
        labels=len(checkpoint.labels), label_size=checkpoint.label_size, mixtures=checkpoint.mixtures,
        hyper_units=hyper.hyper_units or 256, embedding=hyper.embedding or 32, recurrent_dropout=0.0,
        forget_bias=checkpoint.forget_bias,
    )  # fmt: skip
    net = SketchRNN(spec)
    net.load({name: tensor.dense().astype(np.float32) for name, tensor in checkpoint.tensors.items()})
    return net


def _limited(part: Split, limit: int | None) -> Split:
    if limit is None:
        return part
    keep = np.concatenate([np.flatnonzero(part.label == label)[:limit] for label in np.unique(part.label)])
    return Split([part.drawings[i] for i in keep], part.label[keep])


def classes_of(checkpoint: Checkpoint | TextCheckpoint, names: Sequence[str], label: str | None) -> NDArray[np.int64]:
    """The model's class number of each of the data's classes; 0 for all in a model without labels.

    Args:
        checkpoint: the model.
        names: of the data's classes.
        label: the model's label for all of them; by default each class has its own name.

    Raises:
        DataError: a class that the model does not have; ControlError: a label for a model that has none.
    """
    if label is not None and not checkpoint.labels:
        raise ControlError(f"label {label!r}: {checkpoint.name!r} makes one thing and has no labels; leave it out")
    if not checkpoint.labels:
        return np.zeros(len(names), np.int64)
    known = {plain_name(name): number for number, name in enumerate(checkpoint.labels)}
    numbers = []
    for name in names:
        number = known.get(plain_name(label or name))
        if number is None:
            raise DataError(
                f"{checkpoint.name!r} has no class {label or name!r}; give its name with --label; it has "
                f"{listed(checkpoint.labels)}"
            )
        numbers.append(number)
    return np.array(numbers, np.int64)
