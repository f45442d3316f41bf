"""Beginning from a trained model instead of from random weights."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from ..errors import ControlError
from ..models.catalogue import plain_name
from ..models.cells import sizes_of
from ..models.checkpoint import Checkpoint
from ..models.network import SketchRNN

Z_DROPOUT: Final = 0.5
"""Share of drawings without a latent where the model to begin from learnt with some; the bundled one's was about that."""


def sizes_in(checkpoint: Checkpoint) -> dict[str, Any]:
    """The network options of ``SketchSettings`` that a checkpoint was made with."""
    shapes = {name: tensor.shape for name, tensor in checkpoint.tensors.items()}
    found: dict[str, Any] = {
        "hidden": checkpoint.hidden, "cell": checkpoint.cell, "z_size": checkpoint.z_size, "mixtures": checkpoint.mixtures,
    }  # fmt: skip
    if checkpoint.encoder_cell:
        found |= {
            "encoder_cell": checkpoint.encoder_cell,
            "encoder_hidden": sizes_of("encoder.forward", checkpoint.encoder_cell, shapes).units,
        }
    return found | ({"label_size": checkpoint.label_size} if checkpoint.labels else {})


def options_from(checkpoint: Checkpoint, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a training that begins from a checkpoint: its sizes, and what is asked, which wins.

    A model that draws without a latent too goes on to learn that.
    """
    given = sizes_in(checkpoint) | dict(asked)
    if checkpoint.z_optional and given["z_size"]:
        given.setdefault("z_dropout", Z_DROPOUT)
    return given


@torch.no_grad()
def begin_from(net: SketchRNN, labels: Sequence[str], checkpoint: Checkpoint) -> None:
    """Gives a network the weights of a checkpoint.

    Labels that both have keep their vectors; a new label begins at the mean of all.

    Raises:
        ControlError: the network is of another size or cell.
    """
    dense = {name: torch.from_numpy(tensor.dense()).float() for name, tensor in checkpoint.tensors.items()}
    if net.spec.labels:
        dense["label.w"] = _label_vectors(labels, checkpoint, dense)
    own = net.tensors()
    differing = [
        f"{name} {tuple(dense[name].shape) if name in dense else 'missing'}, here {tuple(own[name].shape)}"
        if name in own
        else f"{name}, not here"
        for name in sorted(set(own) ^ set(dense) | {n for n in set(own) & set(dense) if own[n].shape != dense[n].shape})
    ]
    if differing:
        options = " ".join(f"--{key.replace('_', '-')} {value}" for key, value in sizes_in(checkpoint).items())
        raise ControlError(
            f"--init {checkpoint.name!r} is a network of another kind or size ({'; '.join(differing[:3])}); give its "
            f"options: {options}"
        )
    net.load(dense)


def _label_vectors(labels: Sequence[str], checkpoint: Checkpoint, dense: Mapping[str, Tensor]) -> Tensor:
    """(labels, label_size) out of a checkpoint's."""
    if "label.w" not in dense:
        raise ControlError(
            f"--init {checkpoint.name!r} has no labels, and the data has {len(labels)} classes; give one class, or begin "
            "from a model with labels"
        )
    known = {plain_name(name): vector for name, vector in zip(checkpoint.labels, dense["label.w"], strict=True)}
    mean = dense["label.w"].mean(0)
    return torch.stack([known.get(plain_name(name), mean) for name in labels])
