"""Documents as training batches: flat in memory, cut into chunks, bucketed by length.

A document of n symbols gives n + 1 targets, its symbols and END; its inputs are END and its symbols. What is longer
than a chunk is cut: a chunk that does not begin its document goes on with the symbol before it as input, from a state of
zeros. Running text is cut at other places in each epoch, behind a line where there is one near, and a chunk at the
beginning of a line has END as its first input: so the model learns to begin at a line.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.corpus import Texts
from ..models.text_model import END
from ..models.tokens import Tokens, pieces
from .groups import mixed


@dataclass(frozen=True, slots=True)
class TextBatch:
    """Chunks side by side, time first."""

    inputs: Tensor
    """(T, B) tokens."""
    targets: Tensor
    """(T, B) tokens: what comes after each input."""
    counted: Tensor
    """(T, B): whether there is a target; False is padding."""
    labels: Tensor
    """(B,)."""

    def to(self, device: torch.device) -> "TextBatch":
        """The same on another device."""
        return TextBatch(*(part.to(device) for part in (self.inputs, self.targets, self.counted, self.labels)))

    def select(self, ids: Tensor) -> "TextBatch":
        """Some of the chunks, by their places."""
        own = TextBatch(self.inputs[:, ids], self.targets[:, ids], self.counted[:, ids], self.labels[ids])
        return own.part(0, int(own.counted.sum(0).max()))

    def part(self, first: int, last: int) -> "TextBatch":
        """The steps from ``first`` to before ``last``."""
        rows = slice(first, last)
        return TextBatch(self.inputs[rows], self.targets[rows], self.counted[rows], self.labels)


@dataclass(frozen=True, slots=True)
class Chunks:
    """Parts of documents, each given by its document and the places of its first and behind its last target."""

    document: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.document)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Targets of each."""
        return self.last - self.first

    def groups(self, size: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
        """All of them once, in groups of ``size`` of about equal length, in random order; the last may be smaller."""
        return mixed(self.lengths, size, rng)


class TokenTexts:
    """The documents of a split as tokens.

    Args:
        texts: the documents.
        tokens: the vocabulary.
        running: whether they are running text.
    """

    def __init__(self, texts: Texts, tokens: Tokens, *, running: bool = False) -> None:
        self.labels, self.ended, self.running = texts.label, texts.ended, running
        found = [np.array(tokens.ids(document), np.int32) for document in texts.documents]
        sizes = np.array([len(document) for document in found], np.int64)
        self.lengths = sizes + self.ended
        """Targets of each document."""
        self._first = np.concatenate([[0], (sizes + 2).cumsum()])
        end = np.array([END], np.int32)
        self._tokens = np.concatenate([part for document in found for part in (end, document, end)] or [end])
        self._characters = np.concatenate([[0], _widths(texts, tokens.unit).cumsum(dtype=np.int64)])
        line = "0a" if tokens.unit == "byte" else "\n"
        breaks = [number for number, symbol in enumerate(tokens.vocabulary) if symbol.endswith(line)]
        self._breaks = np.isin(self._tokens, breaks) if running else np.zeros(len(self._tokens), np.bool_)

    def __len__(self) -> int:
        return len(self.lengths)

    def whole(self, ids: NDArray[np.int64], most: int | None = None) -> Chunks:
        """These documents whole, or the beginnings of them, at most so many targets."""
        lengths = self.lengths[ids]
        return Chunks(ids, np.zeros_like(lengths), lengths if most is None else np.minimum(lengths, most))

    def chunks(self, length: int, rng: np.random.Generator) -> Chunks:
        """All documents in chunks of at most ``length`` targets; ``rng`` says where running text is cut."""
        document, first, last = [], [], []
        for number, targets in enumerate(self.lengths.tolist()):
            edges = self._edges(number, targets, length, rng)
            document += [number] * (len(edges) - 1)
            first += edges[:-1]
            last += edges[1:]
        return Chunks(*(np.array(part, np.int64) for part in (document, first, last)))

    def _edges(self, number: int, targets: int, length: int, rng: np.random.Generator) -> list[int]:
        if targets <= length:
            return [0, targets]
        if not self.running:
            return [*range(0, targets, length), targets]
        begin = self._first[number]
        breaks = np.flatnonzero(self._breaks[begin : begin + targets])  # places whose input ends a line
        edges = [0]
        while True:
            step = int(
                rng.integers(length * 3 // 4 + 1, length + 1)
            )  # else cuts at lines meet, epoch by epoch the same
            edge = edges[-1] + step
            if edge >= targets:
                break
            before = int(np.searchsorted(breaks, edge, "right"))
            near = int(breaks[before - 1]) if before else 0
            edges.append(near if near > edges[-1] + step // 2 else edge)
        return [*edges, targets]

    def batch(self, chunks: Chunks, ids: NDArray[np.int64] | Sequence[int]) -> TextBatch:
        """Some of these chunks, by their places."""
        document, lengths = chunks.document[ids], chunks.lengths[ids]
        begin = self._first[document] + chunks.first[ids]
        steps = np.arange(int(lengths.max()))[:, None]
        counted = steps < lengths
        places = begin + np.where(counted, steps, 0)
        inputs = np.where(counted, self._tokens[places], END)
        inputs[0, self._breaks[begin]] = END
        targets = np.where(counted, self._tokens[places + 1], END)
        return TextBatch(
            torch.from_numpy(inputs.astype(np.int64)), torch.from_numpy(targets.astype(np.int64)),
            torch.from_numpy(counted), torch.from_numpy(self.labels[document]),
        )  # fmt: skip

    def characters(self, chunks: Chunks, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many characters the targets of these chunks are, each; END counts as one."""
        begin = self._first[chunks.document[ids]] + chunks.first[ids] + 1
        return np.asarray(self._characters[begin + chunks.lengths[ids]] - self._characters[begin], np.int64)


def _widths(texts: Texts, unit: str) -> NDArray[np.int32]:
    """How many characters each token is, END before and behind each document included, which counts as one."""
    one = np.ones(1, np.int32)
    found = [one[:0]]
    for document in texts.documents:
        parts = pieces(document, unit)
        # a character has one byte that does not continue it
        widths = [not 0x80 <= int(part, 16) < 0xC0 for part in parts] if unit == "byte" else list(map(len, parts))
        found += [one, np.array(widths, np.int32), one]
    return np.concatenate(found)
