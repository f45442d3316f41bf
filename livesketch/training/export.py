"""From trained weights to a checkpoint that draws, with its model card beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..models.checkpoint import Checkpoint, quantize, save_checkpoint
from ..models.model import Tensor
from ..models.network import NetworkSpec
from .card import write_card


def arrays(tensors: Mapping[str, torch.Tensor]) -> dict[str, NDArray[Any]]:
    """Weights for a checkpoint."""
    return {name: value.detach().cpu().numpy() for name, value in tensors.items()}


def checkpoint_of(
    spec: NetworkSpec, weights: Mapping[str, NDArray[Any]], facts: Mapping[str, Any], *, exact: bool = False
) -> Checkpoint:
    """The checkpoint of trained weights, int16 with one scale a tensor, or float32 where ``exact``.

    ``weights`` by checkpoint tensor name; ``facts`` as ``SketchRun.facts`` gives them.
    """
    store = (lambda array: Tensor(np.asarray(array, np.float32))) if exact else quantize
    settings = facts["settings"]
    return Checkpoint(
        name=facts["name"],
        architecture="sketch_vae" if spec.z_size else "sketch_decoder",
        cell=spec.cell,
        hidden=spec.hidden,
        mixtures=spec.mixtures,
        z_size=spec.z_size,
        label_size=spec.label_size if spec.labels else 0,
        labels=tuple(facts["labels"]) if spec.labels else (),
        scale_factor=facts["scale_factor"],
        stage_units=facts["stage_units"],
        max_steps=facts["longest"] + 1,
        start_token=(0.0, 0.0, 1.0, 0.0, 0.0),
        start_pen="down",
        forget_bias=spec.forget_bias,
        licence=facts["licence"],
        attribution=facts["attribution"],
        data=facts["data"],
        losses=dict(facts["losses"]),
        source={
            "trainer": "livesketch train sketch",
            "step": facts["step"],
            "epoch": facts["epoch"],
            "minutes": round(facts["seconds"] / 60, 1),
            "options": facts["options"],
            "seed": settings["seed"],
            **({"init": facts["init"]} if facts.get("init") else {}),
        },
        encoder_cell=spec.encoder_cell if spec.z_size else "",
        z_optional=bool(spec.z_size and settings["z_dropout"]),
        tensors={name: store(np.asarray(array)) for name, array in weights.items()},
    )


_EXPLAINED = """Losses, measured before the weights were made int16, matrices multiplied in {precision} (`livesketch eval` uses
float32). Nats per step are the negative log density in model units over every row and one END per drawing.
L_R is magenta's: the sum over a drawing divided by N_max = {longest}, mean over drawings. L_KL is the mean over latent
numbers and drawings, without the floor."""


def save_model(checkpoint: Checkpoint, facts: Mapping[str, Any], path: Path) -> None:
    """Writes the checkpoint and, beside it, its model card ``.md``.

    Raises:
        OutputError: one of them cannot be written.
    """
    save_checkpoint(checkpoint, path)
    settings = facts["settings"]
    z = f", latent vector of {checkpoint.z_size}" if checkpoint.z_size else ""
    label = f", label vector of {checkpoint.label_size}" if checkpoint.label_size else ""
    encoder = f", bidirectional {checkpoint.encoder_cell} encoder of {settings['encoder_hidden']} units" if z else ""
    cell = f"{checkpoint.cell} decoder, {checkpoint.hidden} units, {checkpoint.mixtures} mixture components"
    more = [
        ("scale factor", f"{checkpoint.scale_factor:.3f} data units per model unit (standard deviation of all training offsets)"),
        ("stage", f"{checkpoint.stage_units:.0f} data units across (twice the reach that 95 % of the training drawings keep within)"),
        ("longest drawing", f"{facts['longest']} rows; longer ones were left out"),
    ]  # fmt: skip
    write_card(
        checkpoint, facts, path, does="draws", architecture=f"{cell}{z}{label}{encoder}", things="drawings",
        chosen="lowest validation L_R + kl_weight * max(L_KL, kl_tolerance)", more=more,
        explained=_EXPLAINED.format(**facts), command="sketch",
    )  # fmt: skip
