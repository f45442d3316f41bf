"""Small random text models for tests: quick to step, of odd sizes, of both architectures, with and without labels."""

from dataclasses import replace
from typing import Any

import numpy as np

from livesketch.models.model import Tensor, quantize
from livesketch.models.text_model import TextCheckpoint, TextInfo, text_shapes

CHARACTERS = "，。不人山无风一日云有来天春花何月水中时上秋知相为归自生长心年行如君见夜清客江多"
WORDS = ("the", " the", " and", ",", " of", " to", "\n", " I", " a", ".", " in", " my", " you", "O", " that")
BYTES = tuple(f"{byte:02x}" for byte in range(256))


def small_text(
    architecture: str = "text_lstm",
    symbols: int | None = None,
    size: int = 24,
    layers: int = 2,
    labels: tuple[str, ...] = (),
    *,
    unit: str = "character",
    embedding: int | None = None,
    tied: bool = True,
    heads: int = 3,
    window: int = 7,
    ends: float = 0.05,
    seed: int = 1,
    **changes: object,
) -> TextCheckpoint:
    """A model with random int16 weights whose pieces end now and then.

    ``size`` is H, and E where ``embedding`` does not say otherwise. ``symbols`` is V - 2: how many of the unit's own
    symbols, invented ones behind them, where None takes its own. END has about ``ends`` of the probability. Other
    fields are set by their names.
    """
    rng = np.random.default_rng(seed)
    attention = architecture == "text_attention"
    label_size = (size if attention else 5) if labels else 0
    facts: dict[str, Any] = {
        "name": "small", "architecture": architecture, "unit": unit,
        "vocabulary": ("", "", *_symbols(unit, symbols)), "embedding": embedding or size, "hidden": size,
        "layers": layers, "tied": tied, "heads": heads if attention else 0, "window": window if attention else 0,
        "label_size": label_size, "labels": labels, "max_steps": 40, "forget_bias": 0.0 if attention else 1.0,
        "licence": "CC0-1.0", "attribution": "", "data": "random numbers", "losses": {}, "source": {},
    }  # fmt: skip
    info = TextInfo(**(facts | changes))
    tensors = {}
    for name, shape in text_shapes(info).items():
        values = rng.normal(0, _spread(name, shape), shape)
        if name.endswith("gamma"):
            values += 1.0
        if name == "head.b":
            tokens = len(values)
            values = values - 0.3 * np.log1p(np.arange(tokens))
            values[0] = np.log(max(ends, 1e-9) / (1 - ends) * np.exp(values[1:]).sum())
        tensors[name] = quantize(values)
    return TextCheckpoint(**{name: getattr(info, name) for name in facts}, tensors=tensors)


def _symbols(unit: str, count: int | None) -> tuple[str, ...]:
    own = {"character": tuple(CHARACTERS), "word": WORDS, "byte": BYTES}[unit]
    more = range(max(0, (count or 0) - len(own)))
    invented = (chr(0xAC00 + k) if unit == "character" else f" w{k}" for k in more)
    found = (*own, *invented)
    assert len(set(found)) == len(found)
    return found[:count]


def _spread(name: str, shape: tuple[int, ...]) -> float:
    """Standard deviations about as after training."""
    if name == "embed.w":
        return 0.3
    if name.endswith((".b", "beta", "gamma")):
        return 0.2
    return 1.0 if name == "label.w" else 1 / np.sqrt(shape[0])


def text_stored_as(checkpoint: TextCheckpoint, dtype: type[Any]) -> TextCheckpoint:
    """The same model with its weights stored as float32 or float16."""
    return replace(checkpoint, tensors={k: Tensor(t.dense().astype(dtype)) for k, t in checkpoint.tensors.items()})
