"""The model that is measured: one by name, or random weights of the size of Google's official decoders."""

import os
from pathlib import Path
from typing import Any

import numpy as np

OFFICIAL = "lstm-512"
"""An unconditional LSTM of 512 units with 20 mixtures: random, or ``bird`` where ``LIVESKETCH_SHARED`` has it."""
MEAN_STEPS = 60
"""Steps of a drawing of a random model, about."""


def found(name: str) -> tuple[Any, str | None]:
    """A checkpoint and the label to ask it for."""
    from livesketch.models.catalogue import open_model

    if name != OFFICIAL:
        return open_model(name)
    bird = official()
    return open_model(bird) if bird else (random_decoder(512), None)


def official() -> Path | None:
    """Google's bird in the folder of development data, where there is one."""
    named = os.environ.get("LIVESKETCH_SHARED")
    places = [Path(named) / part / "magenta-models" / "bird.gen.json" for part in ("data", "")] if named else []
    return next((path for path in places if path.is_file()), None)


def random_decoder(hidden: int, mixtures: int = 20) -> Any:
    """An unconditional LSTM with random weights, int16 as in ``.gen.json``; drawings end after some 60 steps."""
    from livesketch.models.magenta import INT16_SCALE
    from livesketch.models.model import Checkpoint, Tensor

    rng = np.random.default_rng(1)

    def weights(*shape: int, spread: float) -> Any:
        return Tensor(np.rint(rng.normal(0, spread, shape) / INT16_SCALE).astype(np.int16), INT16_SCALE)

    head_b = weights(3 + 6 * mixtures, spread=0.3)
    head_b.values[:3] = np.rint(np.log([0.8 * MEAN_STEPS, 0.2 * MEAN_STEPS, 1.0]) / INT16_SCALE)
    return Checkpoint(
        name=f"random, LSTM {hidden}", architecture="sketch_decoder", cell="lstm", hidden=hidden, mixtures=mixtures,
        z_size=0, label_size=0, labels=(), scale_factor=30.0, stage_units=870.0, max_steps=250,
        start_token=(0.0, 0.0, 1.0, 0.0, 0.0), start_pen="down", forget_bias=1.0, licence="none", attribution="none",
        data="random", losses={}, source={},
        tensors={
            "decoder.w_x": weights(5, 4 * hidden, spread=0.3),
            "decoder.w_h": weights(hidden, 4 * hidden, spread=hidden**-0.5),
            "decoder.b": weights(4 * hidden, spread=0.1),
            "head.w": weights(hidden, 3 + 6 * mixtures, spread=hidden**-0.5),
            "head.b": head_b,
        },
    )  # fmt: skip


def flop(checkpoint: Any) -> int:
    """Multiplications and additions of one step's products, of an LSTM."""
    units = checkpoint.hidden
    return 2 * ((5 + units) * 4 * units + units * (3 + 6 * checkpoint.mixtures))


def stored(checkpoint: Any) -> bytes:
    """What a step must read, as it is stored: the weights but for the condition's, which act once per drawing."""
    values = {name: tensor.values for name, tensor in checkpoint.tensors.items()}
    values["decoder.w_x"] = values["decoder.w_x"][:5]
    used = ("decoder.w_x", "decoder.w_h", "decoder.b", "head.w", "head.b")
    return b"".join(values[name].tobytes() for name in used)
