"""Text streams of small models, for tests."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from small_texts import small_text, text_stored_as

from livesketch.events import Token
from livesketch.models.text_model import TextCheckpoint
from livesketch.streams.text import TextStream
from livesketch.token_sampling import TextSettings

ARCHITECTURES = ("text_lstm", "text_attention")
BACKENDS = ("cpu", "reference")
ENDS = {"text_lstm": 0.08, "text_attention": 0.4}
SMALL = {name: small_text(name, labels=("甲", "乙"), ends=ENDS[name]) for name in ARCHITECTURES}
"""By architecture; of two labels, pieces of about a dozen tokens, 40 at most."""


def opened(
    model: TextCheckpoint | str = "text_lstm", *, seed: int = 9, backend: str = "cpu", voice: int = 0, **settings: Any
) -> TextStream:
    """A stream of a model, or of the small one of this architecture; its first label, where it has some."""
    checkpoint = SMALL[model] if isinstance(model, str) else model
    label = checkpoint.labels[0] if checkpoint.labels else None
    return TextStream(checkpoint, label, TextSettings(**settings), seed, backend, voice)


def leaning(checkpoint: TextCheckpoint, values: Mapping[int, float]) -> TextCheckpoint:
    """The model with other numbers in its last bias: -1e4 for tokens that never come."""
    changed = text_stored_as(checkpoint, np.float32)
    bias = changed.tensors["head.b"].values.copy()
    for token, value in values.items():
        bias[token] = value
    return replace(changed, tensors={**changed.tensors, "head.b": replace(changed.tensors["head.b"], values=bias)})


def endless(architecture: str = "text_lstm", **changes: Any) -> TextCheckpoint:
    """A model that never ends a piece."""
    return leaning(small_text(architecture, max_steps=10**9, **changes), {0: -1e4})


def text_of(tokens: list[Token]) -> str:
    return "".join(token.text for token in tokens)


def ids_of(tokens: list[Token]) -> list[tuple[int, int, int, bool]]:
    """What two backends have in common."""
    return [(token.piece, token.step, token.index, token.given) for token in tokens]


def history(stream: TextStream) -> list[Token]:
    """Everything that it remembers, pieces that are over included."""
    return stream._past.last(10**6)
