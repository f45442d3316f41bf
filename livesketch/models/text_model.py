"""What a text model is in memory: weights, and what is known about them.

Matrices are for row vectors, x @ W. Two architectures, both causal, one token a step, E numbers an embedding:

``text_lstm``
    Layers of the LSTM in ``cells`` (magenta/magenta ``sketch_rnn/rnn.py`` LSTMCell; gates i, j, f, o, the forget bias
    added when it runs), the first on [embedding; label vector], each other on the h below it; h and c start from zeros.
``text_attention``
    x = embedding + label vector; in each block x += attention(norm1(x)) and x += down(gelu(up(norm2(x)))); then a last
    norm (a pre-norm transformer: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners"). GELU is
    its tanh form (Hendrycks & Gimpel 2016). A head i of 1 … ``heads`` attends to the last ``window`` tokens, itself
    among them, by softmax(q k / sqrt(E / heads) - 2^(-8 i / heads) age), age in steps: ALiBi (Press et al. 2022, "Train
    Short, Test Long"). The columns of ``qkv`` are q, k, v, each in heads.

Both: logits = h @ head.w + head.b, where a tied model has embed.w.T for head.w.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..token_sampling import END, UNK
from .cells import Shape
from .model import Tensor

__all__ = [
    "ARCHITECTURES",
    "END",
    "NORM_EPSILON",
    "UNITS",
    "UNK",
    "TextCheckpoint",
    "TextInfo",
    "slopes",
    "text_shapes",
]

ARCHITECTURES: Final = ("text_lstm", "text_attention")

UNITS: Final = ("character", "word", "byte")

NORM_EPSILON: Final = 1e-5
"""Added to the variance inside the root, as in ``torch.nn.LayerNorm``."""


@dataclass(frozen=True, slots=True, eq=False)
class TextInfo:
    """All that a checkpoint says about a text model, without its weights."""

    name: str
    architecture: str
    """``text_lstm`` or ``text_attention``."""
    unit: str
    """What a token is: ``character``, ``word`` (with the space before it) or ``byte`` (of UTF-8)."""
    vocabulary: tuple[str, ...]
    """END, "", and UNK, "", then V - 2 symbols by falling frequency; bytes are two hexadecimal digits."""
    embedding: int
    """E, 1 … 16384."""
    hidden: int
    """Units H of each layer; in a text_attention E."""
    layers: int
    """LSTM layers or attention blocks, 1 … 64."""
    tied: bool
    """Whether the embedding is also the head's matrix; then E is H."""
    heads: int
    """Attention heads, a divisor of E; 0 in a text_lstm."""
    window: int
    """How many tokens attention looks back on, the present one among them; 0 in a text_lstm."""
    label_size: int
    """Length of the label vector, E in a text_attention; 0 without labels."""
    labels: tuple[str, ...]
    """The classes of a class-conditional model; empty where it writes one kind of thing."""
    max_steps: int
    """A piece is cut after so many tokens, 1 … 10**6."""
    forget_bias: float
    """Added to the forget gate when the model runs; not in the stored bias. 0 in a text_attention."""
    licence: str
    attribution: str
    data: str
    """What it was trained on."""
    losses: Mapping[str, float]
    """Measured, by name."""
    source: Mapping[str, Any]
    """Where the file came from; JSON values."""


@dataclass(frozen=True, slots=True, eq=False)
class TextCheckpoint(TextInfo):
    """A text model: weights, and what is known about them. ``text_shapes`` lists the tensors."""

    tensors: Mapping[str, Tensor] = field(default_factory=dict)


def text_shapes(info: TextInfo) -> dict[str, Shape]:
    """The tensors that a model has, and their shapes."""
    tokens, size = len(info.vocabulary), info.embedding
    shapes: dict[str, Shape] = {"embed.w": (tokens, size), "head.b": (tokens,)}
    if not info.tied:
        shapes["head.w"] = (info.hidden, tokens)
    if info.label_size:
        shapes["label.w"] = (len(info.labels), info.label_size)
    for layer in range(info.layers):
        shapes |= _block(layer, size) if info.architecture == "text_attention" else _layer(layer, info)
    if info.architecture == "text_attention":
        shapes |= {"norm.gamma": (size,), "norm.beta": (size,)}
    return shapes


def _layer(layer: int, info: TextInfo) -> dict[str, Shape]:
    inputs, units = info.hidden if layer else info.embedding + info.label_size, info.hidden
    own: dict[str, Shape] = {"w_x": (inputs, 4 * units), "w_h": (units, 4 * units), "b": (4 * units,)}
    return {f"layer{layer}.{name}": shape for name, shape in own.items()}


def _block(block: int, size: int) -> dict[str, Shape]:
    own: dict[str, Shape] = {f"{norm}.{part}": (size,) for norm in ("norm1", "norm2") for part in ("gamma", "beta")}
    for name, inputs, outputs in (
        ("qkv", size, 3 * size), ("out", size, size), ("up", size, 4 * size), ("down", 4 * size, size)
    ):  # fmt: skip
        own |= {f"{name}.w": (inputs, outputs), f"{name}.b": (outputs,)}
    return {f"block{block}.{name}": shape for name, shape in own.items()}


def slopes(heads: int) -> tuple[float, ...]:
    """What each head takes from a score per step of age.

    >>> slopes(8)[:3]
    (0.5, 0.25, 0.125)
    """
    return tuple(2.0 ** (-8 * head / heads) for head in range(1, heads + 1))
