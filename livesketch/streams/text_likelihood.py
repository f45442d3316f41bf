"""How likely a text model finds a text that it did not write."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ..backends.protocol import TextBatch

_PART: Final = 64
"""Tokens whose logits are held at a time."""


@dataclass(frozen=True, slots=True)
class TextLogProb:
    """Teacher-forced nats of a text as a whole piece, END counted once, at temperature 1; lower is likelier."""

    nats: float
    """Of the whole: its negative log probability."""
    tokens: int
    """END among them."""
    characters: int
    """END counts as one."""
    unknown: int
    """Tokens that the model does not know; what they cost is that *some* such symbol comes."""

    @property
    def per_character(self) -> float:
        """Nats, as ``livesketch eval`` prints them."""
        return self.nats / self.characters

    @property
    def per_token(self) -> float:
        """Nats."""
        return self.nats / self.tokens

    @property
    def perplexity(self) -> float:
        """Per token."""
        return math.exp(min(self.per_token, 700.0))


def nats_of(batch: TextBatch, tokens: Sequence[int], end: int, symbols: int) -> float:
    """Of tokens and ``end`` behind them, in a vocabulary of V ``symbols``, under one voice that has written nothing."""
    given, nats = np.array(tokens, np.int64), 0.0
    for first in range(0, len(given), _PART):
        part = given[first : first + _PART]
        over = first + _PART >= len(given)
        logits = np.empty((len(part) + over, symbols))
        batch.force(0, part, logits, end=over)
        wanted = np.append(part, end)[: len(logits)]
        top = logits.max(1)
        sums = np.log(np.exp(logits - top[:, None]).sum(1))
        nats += float((top + sums - logits[np.arange(len(logits)), wanted]).sum())
    return nats
