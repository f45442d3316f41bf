"""Small random models for tests: quick to step, of odd sizes, of every cell, with and without labels and latents."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from livesketch.models.cells import CellSizes, cell_shapes
from livesketch.models.checkpoint import Checkpoint, Tensor, quantize

Weights = Callable[..., Tensor]


def small_checkpoint(
    hidden: int = 40,
    mixtures: int = 3,
    labels: tuple[str, ...] = (),
    label_size: int = 0,
    *,
    seed: int = 1,
    cell: str = "lstm",
    z_size: int = 0,
    encoder: tuple[str, int] | None = None,
    hyper: tuple[int, int] = (24, 4),
    z_optional: bool = False,
    **changes: object,
) -> Checkpoint:
    """A model with random int16 weights whose drawings end now and then.

    ``encoder`` is the encoder's cell and its units in each direction: with it (and a ``z_size``) the model is a
    sketch_vae. ``hyper`` are the units and the embedding of the smaller cell in hyper cells, here and in the encoder.
    Other fields are set by their names.
    """
    rng = np.random.default_rng(seed)
    condition = z_size + (label_size if labels else 0)

    def weights(*shape: int, std: float = 0.3, mean: float = 0.0) -> Tensor:
        return quantize(rng.normal(mean, std, shape))

    head_b = rng.normal(0, 0.3, 3 + 6 * mixtures)
    head_b[:3] = [1.5, 0.5, -0.5]
    decoder = CellSizes(cell, hidden, *(hyper if cell == "hyper" else (0, 0)))
    tensors = _cell(weights, "decoder", decoder, 5 + condition)
    tensors |= {"head.w": weights(hidden, 3 + 6 * mixtures, std=0.5), "head.b": quantize(head_b)}
    if labels:
        tensors |= {"label.w": weights(len(labels), label_size, std=1.0)}
    if condition:
        start = 2 * decoder.state
        tensors |= {"start.w": weights(condition, start), "start.b": weights(start, std=0.1)}
    if encoder:
        sizes = CellSizes(*encoder, *(hyper if encoder[0] == "hyper" else (0, 0)))
        for way in ("encoder.forward", "encoder.backward"):
            tensors |= _cell(weights, way, sizes, 5)
        for part in ("mu", "sigma"):
            tensors |= {f"{part}.w": weights(2 * sizes.units, z_size), f"{part}.b": weights(z_size)}
    facts: dict[str, object] = {
        "name": "small", "architecture": "sketch_vae" if encoder else "sketch_decoder", "cell": cell, "hidden": hidden,
        "mixtures": mixtures, "z_size": z_size, "label_size": label_size if labels else 0, "labels": labels,
        "scale_factor": 30.0, "stage_units": 400.0, "max_steps": 60, "start_token": (0.0, 0.0, 1.0, 0.0, 0.0),
        "start_pen": "down", "forget_bias": 1.0, "licence": "CC0-1.0", "attribution": "", "data": "random numbers",
        "losses": {}, "source": {}, "encoder_cell": encoder[0] if encoder else "", "z_optional": z_optional,
        "tensors": tensors,
    }  # fmt: skip
    return Checkpoint(**(facts | changes))  # type: ignore[arg-type]


def _cell(weights: Weights, prefix: str, sizes: CellSizes, inputs: int) -> dict[str, Tensor]:
    """A cell's tensors, each about as large as after training."""
    how: dict[str, dict[str, float]] = {
        "w_h": {"std": 1 / np.sqrt(sizes.units)},
        "b": {"std": 0.1},
        "gamma": {"mean": 1.0},
        "beta": {"std": 0.2},
        "c_gamma": {"mean": 1.0},
        "c_beta": {"std": 0.2},
        "z_b": {"mean": 1.0},
    }
    if sizes.hyper_units:
        how |= {"hyper.w_h": {"std": 1 / np.sqrt(sizes.hyper_units)}}
    out = {}
    for name, shape in cell_shapes(prefix, sizes, inputs).items():
        own = name.removeprefix(f"{prefix}.")
        out[name] = weights(*shape, **how.get(own, how.get(own.rpartition(".")[2], {})))
    return out


def stored_as(checkpoint: Checkpoint, dtype: type[Any]) -> Checkpoint:
    """The same model with its weights stored as float32 or float16."""
    return replace(checkpoint, tensors={k: Tensor(t.dense().astype(dtype)) for k, t in checkpoint.tensors.items()})
