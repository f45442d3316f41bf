"""Small random models for tests: quick to step, of odd sizes, with and without labels."""

import numpy as np

from livesketch.models.checkpoint import Checkpoint, Tensor, quantize


def small_checkpoint(
    hidden: int = 40,
    mixtures: int = 3,
    labels: tuple[str, ...] = (),
    label_size: int = 0,
    *,
    seed: int = 1,
    **changes: object,
) -> Checkpoint:
    """A decoder with random int16 weights whose drawings end now and then."""
    rng = np.random.default_rng(seed)
    width = 5 + (label_size if labels else 0)

    def weights(*shape: int, std: float = 0.3) -> Tensor:
        return quantize(rng.normal(0, std, shape))

    head_b = rng.normal(0, 0.3, 3 + 6 * mixtures)
    head_b[:3] = [1.5, 0.5, -0.5]
    tensors = {
        "decoder.w_x": weights(width, 4 * hidden),
        "decoder.w_h": weights(hidden, 4 * hidden, std=1 / np.sqrt(hidden)),
        "decoder.b": weights(4 * hidden, std=0.1),
        "head.w": weights(hidden, 3 + 6 * mixtures, std=0.5),
        "head.b": quantize(head_b),
    }
    if labels:
        tensors |= {
            "label.w": weights(len(labels), label_size, std=1.0),
            "start.w": weights(label_size, 2 * hidden),
            "start.b": weights(2 * hidden, std=0.1),
        }
    facts: dict[str, object] = {
        "name": "small", "architecture": "sketch_decoder", "cell": "lstm", "hidden": hidden, "mixtures": mixtures,
        "z_size": 0, "label_size": label_size if labels else 0, "labels": labels, "scale_factor": 30.0,
        "stage_units": 400.0, "max_steps": 60, "start_token": (0.0, 0.0, 1.0, 0.0, 0.0), "start_pen": "down",
        "forget_bias": 1.0, "licence": "CC0-1.0", "attribution": "", "data": "random numbers", "losses": {},
        "source": {}, "tensors": tensors,
    }  # fmt: skip
    return Checkpoint(**(facts | changes))  # type: ignore[arg-type]
