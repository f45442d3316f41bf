"""What a text model gives on documents that it was not trained on: nats per token and per character, perplexity."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..models.text_model import UNK
from ..models.text_network import TextNetwork
from .groups import by_length
from .text_batches import Chunks, TokenTexts

GROUP = 64
"""Documents in one batch of an evaluation."""

PART = 256
"""Tokens of each that are run at a time."""


@dataclass(frozen=True, slots=True)
class TextLosses:
    """Sums over documents, so that parts of a corpus can be added; the figures are made of them."""

    nats: float
    tokens: int
    """Targets: all symbols, and one END a document."""
    characters: int
    """Characters of these; END counts as one."""
    unknown: int
    """Tokens that are not in the vocabulary; what they cost is that *some* such symbol comes."""
    documents: int

    def __add__(self, other: "TextLosses") -> "TextLosses":
        return TextLosses(
            self.nats + other.nats, self.tokens + other.tokens, self.characters + other.characters,
            self.unknown + other.unknown, self.documents + other.documents,
        )  # fmt: skip

    def figures(self) -> dict[str, float]:
        """By name; where tokens are characters, the first two are the same."""
        per_token = self.nats / self.tokens
        return {
            "nats per character": self.nats / self.characters,
            "nats per token": per_token,
            "perplexity per token": math.exp(min(per_token, 700.0)),
            "unknown tokens, %": 100 * self.unknown / self.tokens,
        }


def total_text(found: Mapping[Any, TextLosses]) -> TextLosses:
    """All classes together; there is at least one."""
    first, *rest = found.values()
    return sum(rest, first)


@torch.no_grad()
def evaluate_text(
    net: TextNetwork,
    texts: TokenTexts,
    *,
    ids: NDArray[np.int64] | None = None,
    most: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> dict[int, TextLosses]:
    """Losses by class number, of documents as they are: each from its beginning, the state carried on to its end.

    Args:
        net: put back into its mode afterwards.
        texts: the documents.
        ids: which of them; all by default.
        most: at most so many tokens of each.
        dtype: of matrix products.
    """
    training = net.training
    net.eval()
    chunks = texts.whole(np.arange(len(texts)) if ids is None else ids, most)
    found: dict[int, TextLosses] = {}
    for group in by_length(chunks.lengths, GROUP):
        for label, part in _group(net, texts, chunks, group, dtype).items():
            found[label] = found[label] + part if label in found else part
    net.train(training)
    return found


def _group(
    net: TextNetwork, texts: TokenTexts, chunks: Chunks, group: NDArray[np.int64], dtype: torch.dtype
) -> dict[int, TextLosses]:
    """The losses of documents side by side, a part of each after the other."""
    batch = texts.batch(chunks, group)
    nats, unknown = (np.zeros(len(group)) for _ in range(2))
    state, device = None, next(net.parameters()).device
    for first in range(0, len(batch.inputs), PART):
        part = batch.part(first, first + PART).to(device)
        hidden, state = net(part.inputs, part.labels if net.info.labels else None, state, dtype)
        each = torch.zeros(part.counted.shape, dtype=torch.float64, device=device)
        each[part.counted] = net.nats(hidden[part.counted], part.targets[part.counted], dtype).double()
        nats += each.sum(0).cpu().numpy()
        unknown += ((part.targets == UNK) & part.counted).sum(0).cpu().numpy()
    lengths, characters, labels = chunks.lengths[group], texts.characters(chunks, group), batch.labels.numpy()
    return {
        int(label): TextLosses(
            float(nats[own].sum()), int(lengths[own].sum()), int(characters[own].sum()), int(unknown[own].sum()),
            int(own.sum()),
        )
        for label in np.unique(labels)
        for own in [labels == label]
    }  # fmt: skip
