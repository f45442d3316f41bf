"""Turns the trainer's float32 weights into a checkpoint for drawing, with its model card beside it.

    python -m livesketch.training.export run/best.safetensors --name quickdraw10 -o quickdraw10.safetensors

Weights become int16 with one scale per tensor; the gates go from PyTorch's order i, f, g, o to Sketch-RNN's i, j, f, o.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from ..models.checkpoint import Checkpoint, Tensor, quantize, save_checkpoint

LICENCE = "CC-BY-4.0"
ATTRIBUTION = "Trained on the Quick, Draw! Dataset, Google Creative Lab, CC BY 4.0"


def _gates(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """(4H, k) in PyTorch's order and layout as (k, 4H) in Sketch-RNN's."""
    i, f, g, o = np.split(matrix, 4)
    return np.ascontiguousarray(np.concatenate([i, g, f, o]).T)


def convert(weights: dict[str, NDArray[np.float32]], facts: dict[str, Any], name: str) -> Checkpoint:
    """The checkpoint of a trained ``ClassConditionalDecoder`` (its state dict as arrays, and the trainer's facts)."""
    hidden = facts["hidden"]
    bias = _gates((weights["lstm.bias_ih_l0"] + weights["lstm.bias_hh_l0"])[:, None])[0]
    bias[2 * hidden : 3 * hidden] -= 1.0  # kept apart, as Sketch-RNN does: forget_bias below
    tensors: dict[str, Tensor] = {
        "decoder.w_x": quantize(_gates(weights["lstm.weight_ih_l0"])),
        "decoder.w_h": quantize(_gates(weights["lstm.weight_hh_l0"])),
        "decoder.b": quantize(bias),
        "head.w": quantize(weights["head.weight"].T.copy()),
        "head.b": quantize(weights["head.bias"]),
        "start.w": quantize(weights["start.weight"].T.copy()),
        "start.b": quantize(weights["start.bias"]),
        "label.w": quantize(weights["labels"]),
    }
    losses = {
        f"{split}.{part}": facts[split][part] for split in ("valid", "test") for part in ("nats", "offset", "pen")
    }
    return Checkpoint(
        name=name,
        architecture="sketch_decoder",
        cell="lstm",
        hidden=hidden,
        mixtures=facts["mixtures"],
        z_size=0,
        label_size=weights["labels"].shape[1],
        labels=tuple(facts["labels"]),
        scale_factor=facts["scale_factor"],
        stage_units=facts["stage_units"],
        max_steps=int(facts["max_steps"]),
        start_token=(0.0, 0.0, 1.0, 0.0, 0.0),
        start_pen="down",
        forget_bias=1.0,
        licence=LICENCE,
        attribution=ATTRIBUTION,
        data=f"Quick, Draw! simplified drawings: {', '.join(facts['labels'])}",
        losses=losses,
        source={"trainer": "livesketch.training.sketch", **{k: facts[k] for k in ("steps", "epochs", "seed")}},
        tensors=tensors,
    )


CARD = """# {name}

A class-conditional Sketch-RNN decoder: one model that draws {count} things by name.

| | |
|---|---|
| draws | {labels} |
| architecture | LSTM decoder, {hidden} units, {mixtures} mixture components, label vector of {label_size} (`livesketch.models.network.ClassConditionalDecoder`) |
| weights | int16 with one scale per tensor, {size:.2f} MB |
| data | Quick, Draw! Dataset, simplified drawings, 90 % of about 4,900 per category for training, 5 % each for validation and test |
| licence of the weights | {licence} |
| attribution | {attribution} |
| trained | {steps:,} steps of 100 drawings, {epochs} epochs, {minutes:.0f} minutes on 2 CPU cores, bfloat16 autocast, seed {seed}, in the last of {runs} runs |
| scale factor | {scale:.3f} data units (standard deviation of all training offsets) |
| stage | {stage:.0f} data units across (twice the reach that 95 % of the training drawings keep within) |
| longest drawing | {max_steps} steps; longer training drawings were left out |

Nats per step (negative log density in model units, every row and one END per drawing, the offset term of END left out),
measured in float32 before the weights were made int16; the weights are an exponential moving average, chosen by the
validation figure:

| split | total | offset | pen |
|---|---|---|---|
| validation | {valid[nats]:.4f} | {valid[offset]:.4f} | {valid[pen]:.4f} |
| test | {test[nats]:.4f} | {test[offset]:.4f} | {test[pen]:.4f} |

Reproduce, with the ten `.npz` files of the data set:

{commands}
    python -m livesketch.training.export run/best.safetensors --name {name} -o {name}.safetensors

Training is limited by time, so that another machine gets further or less far. Limits: quick doodles by many hands, drawn
in 20 seconds; the model copies their habits and their mistakes.
"""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    with safe_open(args.weights, "np") as stored:
        facts = json.loads(stored.metadata()["facts"])
        weights = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118 - no mapping
    checkpoint = convert(weights, facts, args.name)
    save_checkpoint(checkpoint, args.output)
    files = " ".join(f'"{label}.npz"' if " " in label else f"{label}.npz" for label in checkpoint.labels)
    card = CARD.format(
        name=args.name, count=len(checkpoint.labels), labels=", ".join(checkpoint.labels), hidden=checkpoint.hidden,
        mixtures=checkpoint.mixtures, label_size=checkpoint.label_size, size=args.output.stat().st_size / 1e6,
        licence=checkpoint.licence, attribution=checkpoint.attribution, scale=checkpoint.scale_factor,
        stage=checkpoint.stage_units,
        runs=len(facts["runs"]),
        commands="\n".join(f"    python -m livesketch.training.sketch {files} {run} --out run" for run in facts["runs"]),
        **{k: facts[k] for k in ("steps", "epochs", "minutes", "seed", "valid", "test")}, max_steps=checkpoint.max_steps,
    )  # fmt: skip
    args.output.with_suffix(".md").write_text(card)


if __name__ == "__main__":
    main()
